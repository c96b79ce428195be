"""Debian's security tracker as JSON: what Debian says of each CVE, by source package and release.

Source: https://security-tracker.debian.org/tracker/data/json, as its own pages read it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from imagebuilder.domain.advisory import Advisory, AffectedRange, Feed, FixState
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.versions import PackageOrder
from imagebuilder.formats.advisory_fields import (
    MalformedEntry,
    id_of,
    mapping_of,
    package_of,
    release_of,
    short,
    shown_text,
    text_of,
)

_NOWHERE = "0"
_URGENCIES: Mapping[str, Severity] = {
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "unimportant": Severity.INFO,
    "not yet assigned": Severity.UNKNOWN,
    "end-of-life": Severity.UNKNOWN,
    "": Severity.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedCve:
    """What the tracker says of a CVE in a source package. `title` is its description, shortened."""

    cve: str
    title: str
    advisories: tuple[Advisory, ...]


def tracked(package: str, entry: object) -> Iterator[TrackedCve]:
    """Give what an entry of the tracker says of a source package. Raises: MalformedEntry."""
    name = package_of(package, "the name of a source package")
    for cve, said in mapping_of(entry, name).items():
        where = f"{name}, {short(cve)}"
        known = mapping_of(said, where)
        yield TrackedCve(
            cve=id_of(cve, where),
            title=shown_text(known.get("description"), f"{where}, description"),
            advisories=tuple(_releases(name, cve, known.get("releases"), where)),
        )


def severity_of_urgency(urgency: str) -> Severity | None:
    """Give how bad Debian's urgency means, None for a word that it does not have.

    Stars say that a person decided it, and make it no worse.
    """
    return _URGENCIES.get(urgency.rstrip("*").strip())


def _releases(package: str, cve: str, releases: object, where: str) -> Iterator[Advisory]:
    # Of what no release has any more, the tracker says an empty list.
    if releases == []:
        return
    for codename, said in mapping_of(releases, f"{where}, releases").items():
        place = f"{where}, {short(codename)}"
        state = _said(mapping_of(said, place), place)
        release = f"debian:{release_of(codename, place)}"
        yield replace(state, package=package, cve=cve, release=release)


def _said(said: Mapping[str, Any], where: str) -> Advisory:
    """Give what is said of a release, without the names of what it is said of."""
    urgency = text_of(said.get("urgency"), f"{where}, urgency")
    severity = severity_of_urgency(urgency)
    if severity is None:
        raise MalformedEntry(f"{where}, urgency", f"{short(urgency)} is none of Debian's.")
    state, affected, reason = _fix(said, where)
    return Advisory(
        cve="",
        release="",
        package="",
        feed=Feed.DEBIAN_TRACKER,
        state=state,
        affected=affected,
        severity=severity,
        reason=reason or _reason(said, urgency, where),
    )


def _fix(said: Mapping[str, Any], where: str) -> tuple[FixState, AffectedRange, str]:
    status = text_of(said.get("status"), f"{where}, status")
    if status in ("open", "undetermined"):
        return FixState(status), AffectedRange(), ""
    if status != "resolved":
        raise MalformedEntry(f"{where}, status", f"{short(status)} is none of Debian's.")
    fixed = text_of(said.get("fixed_version"), f"{where}, fixed_version")
    if not fixed:
        raise MalformedEntry(where, "It is resolved, and no fixed_version says in which version.")
    if fixed == _NOWHERE:
        return FixState.NOT_AFFECTED, AffectedRange(), ""
    if not PackageOrder.DEBIAN.knows(fixed):
        # Nothing is older or newer than it: so nobody knows, which is no good word for anybody.
        told = f"its fix is said to be in {short(fixed)}, which is no version"
        return FixState.UNDETERMINED, AffectedRange(), told
    return FixState.FIXED, AffectedRange(fixed=fixed), ""


def _reason(said: Mapping[str, Any], urgency: str, where: str) -> str:
    """Give why there is no fix yet, as Debian says it: no security advisory is planned, and why."""
    why = shown_text(said.get("nodsa"), f"{where}, nodsa")
    kind = shown_text(said.get("nodsa_reason"), f"{where}, nodsa_reason")
    if why:
        return f"no DSA: {why}" + (f" ({kind})" if kind else "")
    return urgency if urgency == "end-of-life" else ""
