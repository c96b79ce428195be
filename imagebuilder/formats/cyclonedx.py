"""CycloneDX: a bill as JSON of versions 1.6 and 1.7. The same bill gives the same bytes.

Source: ECMA-424, and the JSON schemas bom-1.6 and bom-1.7.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from imagebuilder.domain.bill import Bill, BilledPackage, BillPart, PartKind
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.formats.package_url import package_url


class CycloneDxVersion(StrEnum):
    """The versions of the standard that are written."""

    V1_6 = "1.6"
    V1_7 = "1.7"


_IMAGE = "image"
_TYPES = {
    PartKind.RECIPE: "file",
    PartKind.COMPONENT: "file",
    PartKind.PARENT: "operating-system",
    PartKind.INDEX: "data",
}


def serial_of(bill: Bill) -> UUID:
    """Give the number of a bill, the same for all bills of the same bits."""
    return uuid5(NAMESPACE_URL, f"imagebuilder:{bill.identity}")


def moment_text(at: datetime) -> str:
    """Give a moment to the second, as both standards take it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cyclonedx(bill: Bill, tool_version: str, version: CycloneDxVersion) -> bytes:
    """Give the document. `tool_version` is ours."""
    components = [*_packages(bill), *_software(bill), *_parts(bill)]
    document: Canonical = {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version.value,
        "serialNumber": serial_of(bill).urn,
        "version": 1,
        "metadata": {
            "timestamp": moment_text(bill.recorded_at),
            "tools": {
                "components": [
                    {"type": "application", "name": "imagebuilder", "version": tool_version}
                ]
            },
            "component": _image(bill),
        },
        "components": components,
        "dependencies": [
            {"ref": _IMAGE, "dependsOn": sorted(str(each["bom-ref"]) for each in components)}
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _image(bill: Bill) -> Canonical:
    contents = bill.contents
    told = [
        ("release", contents.release.name),
        *(("unknown", gap) for gap in contents.gaps),
        ("disk", str(bill.identity)),
        *((f"artifact:{file.format}", str(file.digest)) for file in bill.files),
    ]
    return {
        "type": "operating-system",
        "bom-ref": _IMAGE,
        "name": bill.image,
        "version": bill.version,
        "properties": _properties(told),
    }


def _packages(bill: Bill) -> Iterator[dict[str, Canonical]]:
    for billed in bill.contents.packages:
        url = package_url(billed.package, bill.contents.release)
        yield {
            "type": "library",
            "bom-ref": url,
            "name": billed.package.name,
            "version": billed.package.version,
            **_hashes(billed.archive),
            "purl": url,
            "properties": _source(billed),
        }


def _software(bill: Bill) -> Iterator[dict[str, Canonical]]:
    for number, software in enumerate(bill.contents.software):
        yield {
            "type": "library",
            "bom-ref": f"software-{number}",
            "name": software.name,
            **({"version": software.version} if software.version else {}),
            "purl": software.url,
            "properties": _properties([("path", software.path)]),
        }


def _source(billed: BilledPackage) -> Canonical:
    package = billed.package
    told = [("source", package.source), ("source-version", package.source_version)]
    return _properties(told)


def _parts(bill: Bill) -> Iterator[dict[str, Canonical]]:
    for number, part in enumerate(bill.parts):
        yield {
            "type": _TYPES[part.kind],
            "bom-ref": f"{part.kind}-{number}",
            "name": part.name,
            **({"version": part.version} if part.version else {}),
            **_hashes(part.digest),
            "properties": _part_properties(part),
        }


def _part_properties(part: BillPart) -> Canonical:
    return _properties([("kind", part.kind.value)])


def _hashes(digest: Digest | None) -> dict[str, Canonical]:
    return {} if digest is None else {"hashes": [{"alg": "SHA-256", "content": digest.hex}]}


def _properties(told: list[tuple[str, str]]) -> Canonical:
    return [{"name": f"imagebuilder:{name}", "value": value} for name, value in told]
