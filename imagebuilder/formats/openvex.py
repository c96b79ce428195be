"""OpenVEX: statements of whether products are affected by vulnerabilities, read and written.

Source: OpenVEX Specification 0.2.0, sections "Statement Fields" and "Status Labels"; documents of
0.0.1, whose vulnerabilities and products are plain text, are read too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote

from imagebuilder.domain.bill import Release
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.finding_search import FoundIn
from imagebuilder.domain.image import VersionSummary
from imagebuilder.domain.waiver import Justification, Waiver, moment_text

_CONTEXT = "https://openvex.dev/ns/v0.2.0"
_MOST_STATEMENTS = 10_000
_LONGEST = 4096


class VexStatus(StrEnum):
    """Whether a product is affected."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


@dataclass(frozen=True, slots=True, kw_only=True)
class VexStatement:
    """What is said of one vulnerability in some products.

    `author` is whose word it is, empty where the document does not say. Shape: `products` and
    `subcomponents` are package URLs, or whatever else names them.
    """

    vulnerability: str
    status: VexStatus
    products: tuple[str, ...] = ()
    subcomponents: tuple[str, ...] = ()
    justification: Justification | None = None
    impact: str = ""
    action: str = ""
    author: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of the Debian packages it speaks of, sorted, each once."""
        named = (package_of(each) for each in (*self.subcomponents, *self.products))
        return tuple(sorted({name for name in named if name}))


def package_of(purl: str) -> str:
    """Give the name of a Debian package by its package URL; empty for what is none.

    Source: purl-spec, PURL-TYPES, deb.
    """
    if not purl.startswith("pkg:deb/"):
        return ""
    path = purl.removeprefix("pkg:").partition("?")[0].partition("#")[0].partition("@")[0]
    return unquote(path.rpartition("/")[2])


def image_purl(image: str, version: str) -> str:
    """Give how a version of an image is named in documents that others read."""
    return f"pkg:generic/{quote(image, safe='')}@{quote(version, safe='')}"


def image_of(purl: str) -> str:
    """Give the name of the image that we named so; empty for what is none."""
    if not purl.startswith("pkg:generic/"):
        return ""
    return unquote(purl.removeprefix("pkg:generic/").partition("@")[0])


def source_purl(package: str, version: str, release: Release) -> str:
    """Give how the source of a package is named there; of no known distribution, by none."""
    at = f"@{quote(version, safe='')}" if version else ""
    of = f"{release.distribution}/" if release.distribution else ""
    return f"pkg:deb/{of}{quote(package, safe='')}{at}?arch=source"


def read_openvex(text: str) -> tuple[VexStatement, ...]:
    """Give the statements of a document. Raises: VexMalformed."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VexMalformed(f"It is no JSON: {error}") from error
    if not isinstance(document, dict) or "openvex" not in str(document.get("@context", "")):
        raise VexMalformed("Its @context is not that of OpenVEX.")
    statements = document.get("statements")
    if not isinstance(statements, list):
        raise VexMalformed("It has no list of statements.")
    if len(statements) > _MOST_STATEMENTS:
        raise VexMalformed(f"It has {len(statements)} statements, and may have {_MOST_STATEMENTS}.")
    shared = _names(document.get("products"))
    author = _word(document, "author")
    return tuple(
        replace(_statement(n, each, shared), author=author)
        for n, each in enumerate(statements, start=1)
    )


def write_openvex(
    statements: Sequence[VexStatement], *, author: str, written_at: datetime
) -> Canonical:
    """Give the document of statements; the same statements make the same id."""
    told: list[Canonical] = [_told(each) for each in statements]
    name = Digest.of_bytes(json.dumps(told, sort_keys=True).encode()).hex
    return {
        "@context": _CONTEXT,
        "@id": f"urn:imagebuilder:vex:{name}",
        "author": author,
        "timestamp": written_at.isoformat(),
        "version": 1,
        "statements": told,
    }


def statement_of_finding(found: FoundIn) -> VexStatement:
    """Give what is said of a vulnerability of a version.

    Only a waiver with a justification says that it does no harm; any other one accepts the harm.
    """
    finding, waiver = found.judged.finding, found.judged.waiver
    image, _, version = found.reference.partition("@")
    is_harmless = waiver is not None and waiver.justification is not None
    status = VexStatus.NOT_AFFECTED if is_harmless else VexStatus.AFFECTED
    action = "" if is_harmless else "No fix is published."
    if finding.is_undecided:
        status, action = VexStatus.UNDER_INVESTIGATION, ""
    elif waiver is not None and not is_harmless:
        action = f"Accepted until {moment_text(waiver.expires_at)}: {waiver.reason}"
    elif finding.is_fixable and not is_harmless:
        action = f"Update {finding.scope} to {finding.fixed_version}."
    return VexStatement(
        vulnerability=finding.id,
        status=status,
        products=(image_purl(image, version),),
        subcomponents=(
            source_purl(finding.scope, finding.installed_version, Release(name=found.release)),
        ),
        justification=waiver.justification if waiver else None,
        impact=waiver.reason if waiver and is_harmless else "",
        action=action,
    )


def statements_of_waiver(
    waiver: Waiver, versions: Sequence[VersionSummary]
) -> tuple[VexStatement, ...]:
    """Give what a waiver says of the versions that it is for.

    A package has another name in each distribution, so each has a statement of its own.
    """
    within, of = waiver.accepted.within, dict[str, list[str]]()
    for each in versions:
        package = source_purl(within, "", Release(name=each.release)) if within else ""
        of.setdefault(package, []).append(image_purl(each.image, str(each.version)))
    if not of:
        of[source_purl(within, "", Release()) if within else ""] = []
    return tuple(_of_waiver(waiver, package, products) for package, products in of.items())


def _of_waiver(waiver: Waiver, package: str, products: Sequence[str]) -> VexStatement:
    is_harmless = waiver.justification is not None
    until = f"Accepted until {moment_text(waiver.expires_at)}: {waiver.reason}"
    return VexStatement(
        vulnerability=waiver.accepted.id,
        status=VexStatus.NOT_AFFECTED if is_harmless else VexStatus.AFFECTED,
        products=tuple(products),
        subcomponents=(package,) if package else (),
        justification=waiver.justification,
        impact=waiver.reason if is_harmless else "",
        action="" if is_harmless else until,
    )


def _told(statement: VexStatement) -> Canonical:
    parts: list[Canonical] = [{"@id": each} for each in statement.subcomponents]
    within: dict[str, Canonical] = {"subcomponents": parts} if parts else {}
    fields: dict[str, Canonical] = {
        "vulnerability": {"name": statement.vulnerability},
        "products": [{"@id": each, **within} for each in statement.products],
        "status": statement.status.value,
    }
    if statement.justification is not None:
        fields["justification"] = statement.justification.value
    if statement.impact:
        fields["impact_statement"] = statement.impact
    if statement.action:
        fields["action_statement"] = statement.action
    return fields


def _statement(number: int, fields: object, shared: tuple[str, ...]) -> VexStatement:
    if not isinstance(fields, dict):
        raise VexMalformed(f"Statement {number} is no object.")
    vulnerability = _name_of(fields.get("vulnerability"))
    if not vulnerability:
        raise VexMalformed(f"Statement {number} names no vulnerability.")
    status = _word(fields, "status")
    justification = _word(fields, "justification")
    try:
        return VexStatement(
            vulnerability=vulnerability,
            status=VexStatus(status),
            products=_names(fields.get("products")) or shared,
            subcomponents=tuple(_parts(fields)),
            justification=Justification(justification) if justification else None,
            impact=_word(fields, "impact_statement"),
            action=_word(fields, "action_statement"),
        )
    except ValueError as error:
        raise VexMalformed(f"Statement {number}, of {vulnerability}: {error}.") from error


def _parts(fields: Mapping[str, Any]) -> Iterator[str]:
    products = fields.get("products")
    for product in (fields, *(products if isinstance(products, list) else ())):
        if isinstance(product, dict):
            yield from _names(product.get("subcomponents"))


def _names(things: object) -> tuple[str, ...]:
    named = map(_name_of, things) if isinstance(things, list) else ()
    return tuple(name for name in named if name)


def _name_of(thing: object) -> str:
    """Give the name of what is plain text, or an object with an id, a purl or a name."""
    if isinstance(thing, str):
        return thing[:_LONGEST]
    if not isinstance(thing, dict):
        return ""
    identifiers = thing.get("identifiers")
    purl = identifiers.get("purl") if isinstance(identifiers, dict) else None
    found = next((x for x in (thing.get("name"), purl, thing.get("@id")) if x), "")
    return found[:_LONGEST] if isinstance(found, str) else ""


def _word(fields: Mapping[str, Any], key: str) -> str:
    found = fields.get(key)
    return found[:_LONGEST] if isinstance(found, str) else ""


class VexMalformed(InvalidInput):
    """A document is no OpenVEX."""

    code = "vex-malformed"

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(
            "The document is not one of OpenVEX.",
            context=reason,
            hint='Give a document as OpenVEX 0.2.0 writes it: {"@context": '
            '"https://openvex.dev/ns/v0.2.0", "statements": [...]}.',
        )
