"""How advisories, and what was found with them, are told."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import nsmallest

from imagebuilder.cli.output import Json
from imagebuilder.domain.advisory import (
    Advisory,
    AdvisoryState,
    CveNotes,
    FixState,
    Vulnerability,
)
from imagebuilder.domain.units import span_text
from imagebuilder.ports.advisories import SaidOfCve
from imagebuilder.services.matching import Rescan, SetChange

_NAMED = 3
"""So many versions of a set are named in a line; how many more there are is only said."""
_SHOWN = 8
"""So many CVEs are named in a line."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""The headings of a table, and its rows."""


def state_rows(state: AdvisoryState, now: datetime) -> Table:
    """Give the sources as a table."""
    return (
        ("FEED", "STATEMENTS", "DATED", "AGE", "SOURCE"),
        [
            (
                source.feed,
                f"{source.count:,}",
                f"{source.dated_at:%Y-%m-%d}" + ("" if source.is_dated_by_itself else " (file)"),
                age_text(source.dated_at, now),
                source.name,
            )
            for source in state.sources
        ],
    )


def release_rows(state: AdvisoryState, now: datetime) -> Table:
    """Give the releases that are spoken of as a table."""
    return (
        ("RELEASE", "STATEMENTS", "FEEDS", "AGE"),
        [
            (
                release,
                f"{count:,}",
                ", ".join(sorted(feed.value for feed in state.speaking[release])),
                age_text(state.dates(release).said_at or now, now),
            )
            for release, count in state.releases.items()
        ],
    )


def age_text(moment: datetime, now: datetime) -> str:
    """Say how long ago a moment was, in days or hours."""
    seconds = max(0, int((now - moment).total_seconds()))
    days = seconds // 86400
    return span_text(days * 86400 or seconds // 3600 * 3600)


def state_json(state: AdvisoryState, now: datetime) -> dict[str, Json]:
    """Give what was imported in the lasting shape that docs/cli.md tells."""
    return {
        "digest": str(state.digest),
        "sources": [
            {
                "feed": source.feed.value,
                "name": source.name,
                "digest": str(source.digest),
                "dated_at": source.dated_at.isoformat(),
                "is_dated_by_itself": source.is_dated_by_itself,
                "age_seconds": int((now - source.dated_at).total_seconds()),
                "imported_at": source.imported_at.isoformat(),
                "count": source.count,
                "left_out": dict(source.left_out),
            }
            for source in state.sources
        ],
        "releases": [
            {
                "release": release,
                "count": count,
                "feeds": sorted(feed.value for feed in state.speaking[release]),
                "dated_at": (state.dates(release).said_at or now).isoformat(),
            }
            for release, count in state.releases.items()
        ],
    }


def cve_lines(cve: str, said: SaidOfCve) -> Iterator[str]:
    """Give what is known of a CVE wherever it is."""
    notes = said.notes or CveNotes()
    yield f"{cve}  {notes.title}".rstrip()
    if notes.severity.value != "unknown":
        yield f"severity   {notes.severity} by its CVSS"
    if notes.is_known_exploited:
        ransom = ", by ransomware too" if notes.is_ransomware else ""
        yield f"exploited  known since {notes.exploited_on}{ransom}"
    if notes.epss is not None:
        less = f", more than {notes.epss_percentile:.1%} of all" if notes.epss_percentile else ""
        yield f"epss       {notes.epss:.2%} within 30 days{less}"


def cve_rows(said: SaidOfCve) -> Table:
    """Give what is said of a CVE as a table."""
    headings = ("RELEASE", "PACKAGE", "STATE", "SEVERITY", "SAID")
    return headings, [
        (
            each.release,
            each.package,
            _state_text(each),
            each.severity,
            "; ".join(filter(None, (each.id or each.feed, each.reason))),
        )
        for each in said.advisories
    ]


def _state_text(advisory: Advisory) -> str:
    affected = advisory.affected
    if advisory.state is not FixState.FIXED:
        return advisory.state
    begun = f"from {affected.introduced}, " if affected.introduced else ""
    return f"{begun}fixed in {affected.fixed}"


def cve_json(cve: str, said: SaidOfCve) -> dict[str, Json]:
    """Give what is said of a CVE in the lasting shape that docs/cli.md tells."""
    notes = said.notes or CveNotes()
    return {
        "cve": cve,
        "title": notes.title,
        "severity": notes.severity.value,
        "is_known_exploited": notes.is_known_exploited,
        "exploited_on": notes.exploited_on or None,
        "epss": notes.epss,
        "epss_percentile": notes.epss_percentile,
        "advisories": [_advisory_json(each) for each in said.advisories],
    }


def _advisory_json(advisory: Advisory) -> Json:
    return {
        "release": advisory.release,
        "package": advisory.package,
        "state": advisory.state.value,
        "introduced": advisory.affected.introduced or None,
        "fixed_version": advisory.affected.fixed or None,
        "last_affected": advisory.affected.last_affected or None,
        "severity": advisory.severity.value,
        "feed": advisory.feed.value,
        "id": advisory.id or None,
        "reason": advisory.reason,
    }


def rescan_lines(found: Rescan) -> Iterator[str]:
    """Give what a look at all versions gave."""
    if not found.changes:
        yield "nothing new, and nothing gone"
    for change in found.changes:
        yield f"{_versions(change.versions)}{' (first look)' if change.is_first else ''}"
        for sign, those in (("+", change.change.new), ("-", change.change.gone)):
            if those:
                yield f"  {sign} {_cves(those)}"
    looked = f"looked at {counted(found.matched, 'set')} of packages"
    yield f"{looked}, {found.skipped:,} were looked at with these advisories before"
    for release, count in found.unspoken.items():
        versions = counted(count, "version")
        yield f"unknown: {versions} of {release}, of which these advisories say nothing"
    if found.unbilled:
        versions = counted(len(found.unbilled), "version")
        yield f"unknown: {versions} without a bill: {_versions(found.unbilled)}"


def rescan_json(found: Rescan) -> dict[str, Json]:
    """Give what a look at all versions gave in the lasting shape that docs/cli.md tells."""
    return {
        "digest": str(found.state.digest),
        "at": found.at.isoformat(),
        "matched_sets": found.matched,
        "skipped_sets": found.skipped,
        "changes": [_change_json(change) for change in found.changes],
        "unknown": {
            "releases": dict(found.unspoken),
            "without_bill": list(found.unbilled),
        },
    }


def _change_json(change: SetChange) -> Json:
    return {
        "release": change.key.release,
        "versions": list(change.versions),
        "is_first": change.is_first,
        "new": [vulnerability_json(each) for each in change.change.new],
        "gone": [vulnerability_json(each) for each in change.change.gone],
    }


def vulnerability_json(each: Vulnerability) -> dict[str, Json]:
    """Give a vulnerability in the lasting shape that docs/cli.md tells."""
    return {
        "cve": each.cve,
        "package": each.package,
        "installed_version": each.installed_version,
        "fixed_version": each.fixed_version or None,
        "state": each.state.value,
        "severity": each.severity.value,
        "is_known_exploited": each.is_known_exploited,
        "epss": each.epss,
        "reason": each.reason,
        "advisories": list(each.advisories),
    }


def counted(count: int, noun: str) -> str:
    """Say how many of something there are."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _versions(references: Sequence[str]) -> str:
    shown = ", ".join(references[:_NAMED])
    more = len(references) - _NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _cves(those: Sequence[Vulnerability]) -> str:
    """Name vulnerabilities, the worst first, with the fix; how many more there are is said."""
    worst = nsmallest(
        _SHOWN, those, key=lambda v: (not v.is_known_exploited, -v.severity.rank, v.key)
    )
    shown = ", ".join(map(_told, worst))
    return shown + (f" and {len(those) - _SHOWN:,} more" if len(those) > _SHOWN else "")


def _told(each: Vulnerability) -> str:
    exploited = ", exploited" if each.is_known_exploited else ""
    fix = f", fixed in {each.fixed_version}" if each.state is FixState.FIXED else ""
    return f"{each.cve} in {each.package} ({each.severity}{exploited}{fix})"
