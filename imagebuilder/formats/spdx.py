"""SPDX 2.3: a bill as JSON. The same bill gives the same bytes.

Source: SPDX 2.3, clauses 6 (document), 7 (packages) and 11 (relationships).
"""

import json
from urllib.parse import quote

from imagebuilder.domain.bill import Bill, BilledPackage, BillPart, PartKind, Software
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.formats.cyclonedx import moment_text, serial_of
from imagebuilder.formats.package_url import package_url

_DOCUMENT, _IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-image"
_PURPOSES = {
    PartKind.RECIPE: "SOURCE",
    PartKind.COMPONENT: "SOURCE",
    PartKind.PARENT: "OPERATING-SYSTEM",
    PartKind.INDEX: "OTHER",
}
_NOT_SAID = "NOASSERTION"


def spdx(bill: Bill, tool_version: str) -> bytes:
    """Give the document. `tool_version` is ours."""
    packages = [
        _package(bill, each, _id("package", number))
        for number, each in enumerate(bill.contents.packages)
    ]
    software = [
        _software(each, _id("software", number))
        for number, each in enumerate(bill.contents.software)
    ]
    parts = [_part(each, _id("part", number)) for number, each in enumerate(bill.parts)]
    name = quote(f"{bill.image}-{bill.version}", safe="")
    document: Canonical = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": bill.reference,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{serial_of(bill)}",
        "creationInfo": {
            "created": moment_text(bill.recorded_at),
            "creators": [f"Tool: imagebuilder-{tool_version}"],
        },
        "packages": [_image(bill), *packages, *software, *parts],
        "relationships": [
            _relation(_DOCUMENT, "DESCRIBES", _IMAGE),
            *(
                _relation(_IMAGE, "CONTAINS", _id("package", number))
                for number in range(len(packages))
            ),
            *(
                _relation(_IMAGE, "CONTAINS", _id("software", number))
                for number in range(len(software))
            ),
            *(
                _relation(_IMAGE, _relation_to(each), _id("part", number))
                for number, each in enumerate(bill.parts)
            ),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _image(bill: Bill) -> Canonical:
    contents = bill.contents
    told = [f"release: {contents.release.name}", f"disk: {bill.identity}"]
    told += [f"{file.format}: {file.digest}" for file in bill.files]
    told += [f"not known: {gap}" for gap in contents.gaps]
    return {
        **_head(_IMAGE, bill.image, bill.version),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "comment": "\n".join(told),
    }


def _package(bill: Bill, billed: BilledPackage, spdx_id: str) -> Canonical:
    package = billed.package
    return {
        **_head(spdx_id, package.name, package.version),
        **_checksums(billed.archive),
        "sourceInfo": f"built from {package.source} {package.source_version}",
        "externalRefs": [_told_by(package_url(package, bill.contents.release))],
    }


def _software(software: Software, spdx_id: str) -> Canonical:
    return {
        **_head(spdx_id, software.name, software.version),
        "sourceInfo": f"found at {software.path}",
        "externalRefs": [_told_by(software.url)],
    }


def _told_by(url: str) -> Canonical:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": url,
    }


def _part(part: BillPart, spdx_id: str) -> Canonical:
    return {
        **_head(spdx_id, part.name, part.version),
        **_checksums(part.digest),
        "primaryPackagePurpose": _PURPOSES[part.kind],
        "comment": part.kind.value,
    }


def _head(spdx_id: str, name: str, version: str) -> dict[str, Canonical]:
    return {
        "SPDXID": spdx_id,
        "name": name,
        **({"versionInfo": version} if version else {}),
        "downloadLocation": _NOT_SAID,
        "filesAnalyzed": False,
    }


def _checksums(digest: Digest | None) -> dict[str, Canonical]:
    if digest is None:
        return {}
    return {"checksums": [{"algorithm": "SHA256", "checksumValue": digest.hex}]}


def _relation(one: str, kind: str, other: str) -> Canonical:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _relation_to(part: BillPart) -> str:
    return "DESCENDANT_OF" if part.kind is PartKind.PARENT else "GENERATED_FROM"


def _id(kind: str, number: int) -> str:
    return f"SPDXRef-{kind}-{number}"
