"""Advisory: a published statement that some versions of a source package are vulnerable.

A distribution mends its packages without the upstream's version numbers, so only what is said of a
source package in a release counts here, never an upstream's ranges. Where the statements are kept
is not this module's business.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.versions import PackageOrder

_ORDER = PackageOrder.DEBIAN
_SIGNED_KERNEL = re.compile(
    r"linux-signed(-[a-z0-9.-]+?)??(?:-(?:amd64|arm64|armhf|i386|ppc64el|riscv64|s390x))?"
)
"""Its group is what the kernel's own source is called besides: a version, a flavour, or nothing."""
_NOWHERE = "0"
"""As a fixed version: no version of the release ever was affected. Source: Debian's tracker."""


class Feed(StrEnum):
    """Where statements come from; of two that speak of the same, the earlier one here counts."""

    DEBIAN_TRACKER = "debian-tracker"
    OSV_DEBIAN = "osv-debian"
    OSV_UBUNTU = "osv-ubuntu"
    KNOWN_EXPLOITED = "kev"
    EPSS = "epss"

    @property
    def rank(self) -> int:
        """Lower counts first."""
        return _RANKS[self]


_RANKS = {feed: rank for rank, feed in enumerate(Feed)}


class FixState(StrEnum):
    """What is known of a fix."""

    FIXED = "fixed"
    OPEN = "open"
    UNDETERMINED = "undetermined"
    NOT_AFFECTED = "not-affected"


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedRange:
    """Versions in a row, in Debian's order: from `introduced`, before `fixed`, to `last_affected`.

    What is empty is open; a range that is all empty holds every version.
    """

    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""

    def holds(self, version: str) -> bool:
        """Whether a version is in it; what is no version counts as the oldest."""
        if self.fixed and _ORDER.compare(version, self.fixed) >= 0:
            return False
        if self.last_affected and _ORDER.compare(version, self.last_affected) > 0:
            return False
        begun = self.introduced not in {"", _NOWHERE}
        # Of what cannot be compared, nobody can say that it is older than the fault.
        return not (
            begun and _ORDER.knows(version) and _ORDER.compare(version, self.introduced) < 0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What a feed says of a CVE in a source package of a release.

    `id` is the notice's own name (DSA-5000-1), empty where the CVE's is all there is. `reason` is
    why there is no fix, as the distribution says it.
    """

    cve: str
    release: str
    package: str
    feed: Feed
    state: FixState
    affected: AffectedRange = AffectedRange()
    severity: Severity = Severity.UNKNOWN
    id: str = ""
    reason: str = ""

    def affects(self, version: str) -> bool:
        """Whether a version of the package is vulnerable, by this alone."""
        return self.state is not FixState.NOT_AFFECTED and self.affected.holds(version)


@dataclass(frozen=True, slots=True, kw_only=True)
class CveNotes:
    """What is known of a CVE wherever it is: how bad, exploited since when, how likely.

    `epss` is the chance of its being exploited within 30 days, from 0 to 1.
    """

    severity: Severity = Severity.UNKNOWN
    title: str = ""
    exploited_on: str = ""
    is_ransomware: bool = False
    epss: float | None = None
    epss_percentile: float | None = None

    @property
    def is_known_exploited(self) -> bool:
        """Whether somebody exploits it, as far as is known."""
        return bool(self.exploited_on)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourcePackage:
    """The source that installed packages were made of: advisories speak of sources."""

    name: str
    version: str


def sources_of(packages: Iterable[InstalledPackage]) -> tuple[SourcePackage, ...]:
    """Give the sources that advisories speak of for installed packages, each once, sorted."""
    return tuple(sorted({_source_of(package) for package in packages}))


def _source_of(package: InstalledPackage) -> SourcePackage:
    """Give a package's source; of what was only signed anew, what it was signed from.

    A signed kernel's source has a name and versions of its own, which no advisory speaks of; its
    packages keep the version of the kernel. Source: Debian's linux-signed-amd64 and, of a second
    kernel in a release, linux-signed-6.1-amd64; Ubuntu's linux-signed and linux-signed-aws.
    """
    signed = _SIGNED_KERNEL.fullmatch(package.source)
    if signed is None:
        return SourcePackage(name=package.source, version=package.source_version)
    return SourcePackage(name=f"linux{signed[1] or ''}", version=package.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """A CVE that holds for a source package as it is installed.

    `advisories` are the notices that say so; `first_seen_at` is when it was first matched, None
    before it is kept.
    """

    cve: str
    package: str
    installed_version: str
    state: FixState
    fixed_version: str = ""
    severity: Severity = Severity.UNKNOWN
    is_known_exploited: bool = False
    epss: float | None = None
    reason: str = ""
    advisories: tuple[str, ...] = ()
    first_seen_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is told from others by: the CVE, the source package and its version."""
        return by_key(self)

    @property
    def finding(self) -> Finding:
        """The same as a fact that speaks against a version."""
        return Finding(
            kind=FindingKind.VULNERABILITY,
            id=self.cve,
            scope=self.package,
            severity=self.severity,
            aliases=self.advisories,
            installed_version=self.installed_version,
            fixed_version=self.fixed_version,
            is_known_exploited=self.is_known_exploited,
            epss=self.epss,
            detail=self.reason,
        )


by_key: Callable[[Vulnerability], tuple[str, str, str]] = attrgetter(
    "cve", "package", "installed_version"
)
"""The order of vulnerabilities: they are sorted by hundreds of thousands."""


def match(
    source: SourcePackage, advisories: Sequence[Advisory], notes: Mapping[str, CveNotes]
) -> tuple[Vulnerability, ...]:
    """Give what is known against a source package, of all that is said of it in one release.

    Of several feeds that speak of a CVE, the first one counts; of its statements, any.
    """
    by_cve: dict[str, list[Advisory]] = {}
    for advisory in advisories:
        by_cve.setdefault(advisory.cve, []).append(advisory)
    # Of a kernel thousands of CVEs end with a few versions: each range is compared once.
    holding = {each: each.holds(source.version) for each in {a.affected for a in advisories}}
    found = []
    for cve, said in by_cve.items():
        first = min(advisory.feed.rank for advisory in said)
        valid = [a for a in said if a.feed.rank == first]
        against = [a for a in valid if a.state is not FixState.NOT_AFFECTED and holding[a.affected]]
        if against:
            found.append(_vulnerability(source, cve, against, notes.get(cve, CveNotes())))
    return tuple(sorted(found, key=by_key))


def _vulnerability(
    source: SourcePackage, cve: str, against: Sequence[Advisory], notes: CveNotes
) -> Vulnerability:
    last = against[0]
    for advisory in against[1:]:
        last = _later(last, advisory)
    severities = [a.severity for a in against if a.severity is not Severity.UNKNOWN]
    return Vulnerability(
        cve=cve,
        package=source.name,
        installed_version=source.version,
        state=last.state,
        fixed_version=last.affected.fixed if last.state is FixState.FIXED else "",
        severity=max(severities, key=lambda s: s.rank, default=notes.severity),
        is_known_exploited=notes.is_known_exploited,
        epss=notes.epss,
        reason=last.reason,
        advisories=tuple(sorted({a.id for a in against if a.id})),
    )


def _later(one: Advisory, other: Advisory) -> Advisory:
    """Give the one of two whose fix comes later; none at all comes last."""
    if one.state is not FixState.FIXED or other.state is not FixState.FIXED:
        return other if one.state is FixState.FIXED else one
    return other if _ORDER.compare(one.affected.fixed, other.affected.fixed) < 0 else one


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Of when data is: what is said of a release, and what is known to be exploited.

    None where nothing is said; then nothing is known, which is not that nothing is wrong.
    """

    said_at: datetime | None = None
    exploited_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedBy:
    """With which advisories packages were matched: those of a digest, and of when these are."""

    database: Digest
    dates: Dates


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What was found of a set of packages in a release, when, and by which advisories."""

    at: datetime
    by: MatchedBy
    vulnerabilities: tuple[Vulnerability, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorySource:
    """A file, or folder of files, that advisories were imported from.

    `is_dated_by_itself` when the data says of when it is, else that is of when the file was made.
    Shape: `left_out` maps why something could not be used to how many were left out.
    """

    feed: Feed
    name: str
    digest: Digest
    dated_at: datetime
    is_dated_by_itself: bool
    imported_at: datetime
    count: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisoryState:
    """All that was imported. `digest` is the same wherever the same files are imported.

    Shape: `releases` maps each release that is spoken of to how many statements there are.
    """

    digest: Digest
    sources: tuple[AdvisorySource, ...]
    releases: Mapping[str, int]
    speaking: Mapping[str, frozenset[Feed]]

    def dates(self, release: str) -> Dates:
        """Give of when the data is that counts for a release: that of the feed that decides.

        Where feeds disagree, only one is heard: the others may be of today, it is as old as it is.
        """
        speaking = self.speaking.get(release, frozenset())
        deciding = min(speaking, key=lambda feed: feed.rank, default=None)
        said = [s.dated_at for s in self.sources if s.feed is deciding]
        exploited = [s.dated_at for s in self.sources if s.feed is Feed.KNOWN_EXPLOITED]
        return Dates(said_at=max(said, default=None), exploited_at=max(exploited, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchChange:
    """What another look at advisories changed: what came, and what does not hold any more."""

    new: tuple[Vulnerability, ...] = ()
    gone: tuple[Vulnerability, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.new or self.gone)


def change_of(before: Collection[Vulnerability], after: Collection[Vulnerability]) -> MatchChange:
    """Give what came and went between two matches of the same packages."""
    old, new = (set(map(by_key, found)) for found in (before, after))
    return MatchChange(
        new=tuple(each for each in after if by_key(each) not in old),
        gone=tuple(each for each in before if by_key(each) not in new),
    )
