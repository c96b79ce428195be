"""OSV records of distributions whose packages have Debian's order of versions.

Only ranges of the ecosystem itself count: an upstream's versions, or its commits, say nothing of
packages that a distribution mends on its own. Source: Open Source Vulnerability format 1.7.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from imagebuilder.domain.advisory import Advisory, AffectedRange, Feed, FixState
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.versions import PackageOrder
from imagebuilder.formats.advisory_fields import (
    CVE,
    MalformedEntry,
    id_of,
    list_of,
    mapping_of,
    moment_of,
    package_of,
    short,
    shown_text,
    text_of,
)
from imagebuilder.formats.debian_tracker import severity_of_urgency

_DEBIAN: Mapping[str, str] = {
    "7": "wheezy",
    "8": "jessie",
    "9": "stretch",
    "10": "buster",
    "11": "bullseye",
    "12": "bookworm",
    "13": "trixie",
    "14": "forky",
    "15": "duke",
}
_UBUNTU: Mapping[str, str] = {
    "14.04": "trusty",
    "16.04": "xenial",
    "18.04": "bionic",
    "20.04": "focal",
    "22.04": "jammy",
    "22.10": "kinetic",
    "23.04": "lunar",
    "23.10": "mantic",
    "24.04": "noble",
    "24.10": "oracular",
    "25.04": "plucky",
    "25.10": "questing",
    "26.04": "resolute",
}
_FEEDS: Mapping[str, tuple[Feed, Mapping[str, str]]] = {
    "Debian": (Feed.OSV_DEBIAN, _DEBIAN),
    "Ubuntu": (Feed.OSV_UBUNTU, _UBUNTU),
}
_UBUNTU_PRIORITIES: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.INFO,
}
_NOTICES = ("DSA-", "DLA-", "DTSA-", "USN-", "LSN-")
_START = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class OsvRecord:
    """What a record says. Shape: `left_out` maps why a part was left out to how many were."""

    cves: tuple[str, ...]
    advisories: tuple[Advisory, ...]
    severity: Severity
    title: str
    modified_at: datetime | None
    left_out: Mapping[str, int]


def is_osv(document: Mapping[str, Any]) -> bool:
    """Whether a document looks like a record of OSV."""
    return isinstance(document.get("id"), str) and (
        "modified" in document or isinstance(document.get("affected"), list)
    )


def read_osv(document: object) -> OsvRecord:
    """Give what a record says. Raises: MalformedEntry."""
    record = mapping_of(document, "the record")
    name = id_of(record.get("id"), "id")
    modified = moment_of(record.get("modified"), f"{name}, modified")
    left_out: Counter[str] = Counter()
    advisories: list[Advisory] = []
    cves = _cves(name, record)
    if moment_of(record.get("withdrawn"), f"{name}, withdrawn") is not None:
        left_out["records that were withdrawn"] += 1
    else:
        notice = name if name.startswith(_NOTICES) else ""
        affected = list_of(record.get("affected"), f"{name}, affected")
        for number, part in enumerate(affected):
            where = f"{name}, affected {number}"
            advisories += _affected(mapping_of(part, where), where, cves, notice, left_out)
    return OsvRecord(
        cves=cves,
        advisories=_with_priority(advisories, _priority(record, name)),
        severity=_scored(record, name),
        title=shown_text(record.get("summary") or record.get("details"), f"{name}, details"),
        modified_at=modified,
        left_out=left_out,
    )


def _cves(name: str, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the CVEs that a record is of; its own name where it tells none."""
    named = [name]
    for key in ("aliases", "upstream"):
        named += [text_of(each, f"{name}, {key}") for each in list_of(record.get(key), key)]
    cves = [each for each in named if CVE.fullmatch(each)]
    if not cves and name.startswith(_NOTICES):
        related = list_of(record.get("related"), f"{name}, related")
        cves = [text_of(each, f"{name}, related") for each in related]
        cves = [each for each in cves if CVE.fullmatch(each)]
    return tuple(dict.fromkeys(cves)) or (name,)


def _affected(
    part: Mapping[str, Any],
    where: str,
    cves: tuple[str, ...],
    notice: str,
    left_out: Counter[str],
) -> Iterator[Advisory]:
    package = mapping_of(part.get("package"), f"{where}, package")
    ecosystem = text_of(package.get("ecosystem"), f"{where}, ecosystem")
    feed, release, reason = _release(ecosystem)
    ranges, undecided = _ranges(part, where)
    if feed is None or not ranges:
        left_out[reason or "packages without a range in their distribution's versions"] += 1
        return
    source = package_of(package.get("name"), f"{where}, package")
    specific = mapping_of(part.get("ecosystem_specific") or {}, f"{where}, ecosystem_specific")
    urgency = specific.get("urgency")
    severity = severity_of_urgency(urgency) if isinstance(urgency, str) else None
    for cve in cves:
        for affected in ranges:
            state = FixState.FIXED if affected.fixed else FixState.OPEN
            yield Advisory(
                cve=cve,
                release=release,
                package=source,
                feed=feed,
                state=FixState.UNDETERMINED if undecided else state,
                affected=affected,
                severity=severity or Severity.UNKNOWN,
                id=notice,
                reason=undecided,
            )


def _release(ecosystem: str) -> tuple[Feed | None, str, str]:
    """Give the feed and the release of an ecosystem, or why it is left out."""
    distribution, _, rest = ecosystem.partition(":")
    if distribution not in _FEEDS:
        return None, "", "packages of other ecosystems"
    if rest.startswith("Pro"):
        return None, "", "packages of Ubuntu Pro, which needs a subscription"
    feed, codenames = _FEEDS[distribution]
    codename = codenames.get(rest.partition(":")[0])
    if codename is None:
        return None, "", f"packages of {distribution} releases that are not known"
    return feed, f"{distribution.lower()}:{codename}", ""


def _ranges(part: Mapping[str, Any], where: str) -> tuple[tuple[AffectedRange, ...], str]:
    """Give the ranges in the distribution's own versions, and why they do not tell, if so."""
    found: list[AffectedRange] = []
    for number, each in enumerate(list_of(part.get("ranges"), f"{where}, ranges")):
        place = f"{where}, range {number}"
        fields = mapping_of(each, place)
        if text_of(fields.get("type"), f"{place}, type") == "ECOSYSTEM":
            found += _of_events(list_of(fields.get("events"), f"{place}, events"), place)
    order = PackageOrder.DEBIAN
    strange = [
        version
        for each in found
        for version in (each.introduced, each.fixed, each.last_affected)
        if version and version != _START and not order.knows(version)
    ]
    if strange:
        return (AffectedRange(),), f"{short(strange[0])}, which bounds it, is no version"
    return tuple(dict.fromkeys(found)), ""


def _of_events(events: list[Any], where: str) -> Iterator[AffectedRange]:
    """Give the ranges that events bound: each is from where it was introduced to the next bound."""
    introduced: str | None = None
    for event in events:
        fields = mapping_of(event, where)
        if "introduced" in fields:
            if introduced is not None:
                raise MalformedEntry(where, "It was introduced twice, and not fixed in between.")
            introduced = text_of(fields["introduced"], where)
        fixed = text_of(fields.get("fixed"), where)
        last = text_of(fields.get("last_affected"), where)
        if introduced is not None and (fixed or last):
            begun = _begun(introduced)
            yield AffectedRange(introduced=begun, fixed=fixed, last_affected=last)
            introduced = None
    if introduced is not None:
        yield AffectedRange(introduced=_begun(introduced))


def _begun(introduced: str) -> str:
    return "" if introduced == _START else introduced


def _with_priority(advisories: list[Advisory], priority: Severity) -> tuple[Advisory, ...]:
    return tuple(
        replace(a, severity=priority) if a.severity is Severity.UNKNOWN else a for a in advisories
    )


def _priority(record: Mapping[str, Any], name: str) -> Severity:
    """Give how bad Ubuntu says that it is."""
    for each in list_of(record.get("severity"), f"{name}, severity"):
        fields = mapping_of(each, f"{name}, severity")
        if fields.get("type") == "Ubuntu":
            score = text_of(fields.get("score"), f"{name}, severity")
            return _UBUNTU_PRIORITIES.get(score.lower(), Severity.UNKNOWN)
    return Severity.UNKNOWN


def _scored(record: Mapping[str, Any], name: str) -> Severity:
    """Give how bad the CVSS vectors of a record say that it is, the newest kind of them first."""
    vectors = {}
    for each in list_of(record.get("severity"), f"{name}, severity"):
        fields = mapping_of(each, f"{name}, severity")
        vectors[text_of(fields.get("type"), name)] = text_of(fields.get("score"), name)
    for kind in ("CVSS_V4", "CVSS_V3", "CVSS_V2"):
        if kind in vectors:
            return severity_of_vector(kind, vectors[kind])
    return Severity.UNKNOWN


def severity_of_vector(kind: str, vector: str) -> Severity:
    """Give how bad a CVSS vector says that it is; unknown of what is none.

    Source: CVSS 3.1, section 5, Qualitative Severity Rating Scale.
    """
    from cvss import CVSS2, CVSS3, CVSS4, CVSSError  # noqa: PLC0415 - only an import needs it

    kinds = {"CVSS_V2": CVSS2, "CVSS_V3": CVSS3, "CVSS_V4": CVSS4}
    try:
        rated = kinds[kind](vector)
    except CVSSError:
        return Severity.UNKNOWN
    word = rated.severity if kind == "CVSS_V4" else rated.severities()[0]
    return Severity.INFO if word == "None" else Severity(str(word).lower())
