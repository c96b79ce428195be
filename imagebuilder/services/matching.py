"""Matching: what advisories say of the packages of versions, kept for those who ask.

What is found belongs to a set of packages in a release. It is looked for when a version is
recorded, and again when there are other advisories; no image is touched for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import PurePath
from typing import TypeAlias

from imagebuilder.domain.advisory import (
    Advisory,
    AdvisoryState,
    CveNotes,
    Dates,
    MatchChange,
    Matched,
    MatchedBy,
    SourcePackage,
    Vulnerability,
    by_key,
    change_of,
    match,
    sources_of,
)
from imagebuilder.domain.bill import UNKNOWN_RELEASE
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.objection import AdvisoryStanding
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.ports.advisories import (
    AdvisoriesDamaged,
    AdvisoriesMissing,
    AdvisoryFileUnreadable,
    AdvisoryLibrary,
    OnCount,
    SaidOfCve,
)
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.vulnerabilities import MatchKey, VulnerabilityStore
from imagebuilder.services.gating import KnownVulnerabilities

OnMatched: TypeAlias = Callable[[int, int], None]
"""Is told how many sets of packages were looked at, and of how many."""

_NO_PACKAGES = "no package of it is known, and in nothing nothing is found."
_AT_ONCE = 100
"""So many sets are kept together: what breaks off between them goes on there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """What another look changed for the versions that have the same packages.

    `is_first` when nobody had looked before: then all is new.
    """

    key: MatchKey
    versions: tuple[str, ...]
    change: MatchChange
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescan:
    """What a look at all versions gave.

    `matched` and `skipped` count sets of packages; those were matched with the same advisories
    before. Shape: `unspoken` maps a release that advisories say nothing of to its versions;
    `unbilled` are versions whose release no bill tells.
    """

    state: AdvisoryState
    at: datetime
    matched: int = 0
    skipped: int = 0
    changes: tuple[SetChange, ...] = ()
    unspoken: Mapping[str, int] = field(default_factory=dict)
    unbilled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchDesk:
    """Where versions, what is said and what was found lie."""

    library: AdvisoryLibrary
    vulnerabilities: VulnerabilityStore
    versions: VersionStore
    clock: Clock


class Matching:
    """Looks for what advisories say of versions."""

    def __init__(self, desk: MatchDesk) -> None:
        """Look on a desk."""
        self._desk = desk

    def state(self) -> AdvisoryState:
        """Give what was imported. Raises: AdvisoriesMissing; AdvisoriesDamaged."""
        state = self._desk.library.state()
        if state is None:
            raise AdvisoriesMissing
        return state

    def update(
        self, named: Sequence[str], on_count: OnCount, *, keeps_others: bool = True
    ) -> AdvisoryState:
        """Import files and folders in place of what their feeds said before.

        Raises: as AdvisoryLibrary.update; AdvisoryFileUnreadable: an address is no file.
        """
        for each in named:
            if "://" in each:
                raise AdvisoryFileUnreadable(each, "It is an address, and nothing is fetched here.")
        files = [PurePath(each) for each in named]
        now = self._desk.clock.now()
        return self._desk.library.update(files, now, on_count, keeps_others=keeps_others)

    def said_of(self, cve: str) -> SaidOfCve:
        """Give all that is said of a CVE. Raises: AdvisoriesMissing; AdvisoriesDamaged."""
        self.state()
        return self._desk.library.of_cve(cve)

    def match_version(self, version_id: VersionId) -> None:
        """Look at what a version holds; without advisories, or a bill, nothing becomes known.

        Durable: what is kept is the same when it runs twice.
        Raises: AdvisoriesDamaged.
        """
        state = self._desk.library.state()
        key = self._desk.vulnerabilities.key(version_id)
        if state is None or key is None:
            return
        matched = self._desk.vulnerabilities.matched([key]).get(key)
        if _is_behind(matched.by if matched else None, _by(state, key)):
            matcher = _Matcher(self._desk.library, state, self._desk.clock.now())
            self._desk.vulnerabilities.keep(self._look(matcher, [key]))

    def rescan(
        self,
        on_matched: OnMatched,
        image: str | None = None,
        *,
        only_look: bool = False,
    ) -> Rescan:
        """Look at all that versions hold which was not matched with these advisories yet.

        Durable: what was looked at is kept a hundred sets at a time; what breaks off goes on there.
        Raises: AdvisoriesMissing; AdvisoriesDamaged; VersionNotFound: the image has none.
        """
        desk, state, now = self._desk, self.state(), self._desk.clock.now()
        name = None if image is None else self._image(image)
        there = desk.vulnerabilities.keys(name)
        waiting = [key for key, by in there.items() if _is_behind(by, _by(state, key))]
        if not only_look:
            self._redate(there, state)
        matcher, changes, done = _Matcher(desk.library, state, now), list[SetChange](), 0
        for keys in _batches(waiting):
            found = self._look(matcher, keys)
            changes += self._changes(found, name)
            if not only_look:
                desk.vulnerabilities.keep(found)
            done += len(keys)
            on_matched(done, len(waiting))
        unspoken = [key for key in there if key.release not in state.releases]
        held = desk.vulnerabilities.holders(unspoken, name)
        counts = Counter({key.release: 0 for key in unspoken})
        for key, references in held.items():
            counts[key.release] += len(references)
        return Rescan(
            state=state,
            at=now,
            matched=len(waiting),
            skipped=len(there) - len(waiting),
            changes=tuple(changes),
            unspoken=dict(sorted(counts.items())),
            unbilled=tuple(desk.vulnerabilities.unbilled(name)),
        )

    def known(self, version_id: VersionId) -> KnownVulnerabilities:
        """Give what is known of a version, and how far that can be relied on.

        While advisories cannot be read, nothing is known.
        """
        key = self._desk.vulnerabilities.key(version_id)
        try:
            state = self._desk.library.state()
        except AdvisoriesDamaged as error:
            return KnownVulnerabilities(standing=AdvisoryStanding(problem=error.message))
        matched = {} if key is None else self._desk.vulnerabilities.matched([key])
        if key is None or key not in matched:
            return KnownVulnerabilities(standing=_unmatched(state, has_bill=key is not None))
        if (
            not matched[key].vulnerabilities
            and not self._desk.vulnerabilities.packages({key.package_set})[key.package_set]
        ):
            return KnownVulnerabilities(standing=AdvisoryStanding(problem=_NO_PACKAGES))
        return _known(matched[key], key.release, state)

    def found_in(self, version_id: VersionId) -> tuple[Vulnerability, ...]:
        """Give the vulnerabilities that were found in a version."""
        key = self._desk.vulnerabilities.key(version_id)
        matched = {} if key is None else self._desk.vulnerabilities.matched([key])
        return next((each.vulnerabilities for each in matched.values()), ())

    def knows(self, cve: str) -> bool:
        """Whether a CVE is spoken of, or was found. Raises: AdvisoriesDamaged."""
        return bool(self._desk.library.of_cve(cve)) or self._desk.vulnerabilities.knows(cve)

    def unchecked(self) -> int:
        """Give of how many versions nothing is known: that nothing was found is no answer."""
        return self._desk.vulnerabilities.unchecked()

    def _image(self, image: str) -> ImageName:
        name = ImageName(image)
        if self._desk.versions.newest(name) is None:
            raise VersionNotFound.of_image(image, self._desk.versions.names())
        return name

    def _look(self, matcher: "_Matcher", keys: Sequence[MatchKey]) -> Mapping[MatchKey, Matched]:
        packages = self._desk.vulnerabilities.packages({key.package_set for key in keys})
        return matcher.found(keys, packages)

    def _redate(self, there: Mapping[MatchKey, MatchedBy | None], state: AdvisoryState) -> None:
        """Keep that the same advisories were published again since."""
        behind: dict[Dates, list[MatchKey]] = {}
        for key, by in there.items():
            now = _by(state, key)
            if by is not None and by != now and not _is_behind(by, now):
                behind.setdefault(now.dates, []).append(key)
        for dates, keys in behind.items():
            self._desk.vulnerabilities.redate(keys, dates)

    def _changes(
        self, found: Mapping[MatchKey, Matched], image: ImageName | None
    ) -> Iterator[SetChange]:
        before = self._desk.vulnerabilities.matched(found)
        changes = {
            key: change_of(
                before[key].vulnerabilities if key in before else (), new.vulnerabilities
            )
            for key, new in found.items()
        }
        told = [key for key, change in changes.items() if change]
        held = self._desk.vulnerabilities.holders(told, image)
        for key in told:
            yield SetChange(
                key=key,
                versions=tuple(held.get(key, ())),
                change=changes[key],
                is_first=key not in before,
            )


class _Matcher:
    """Matches sets of packages: each source of a release once, however many sets have it."""

    def __init__(self, library: AdvisoryLibrary, state: AdvisoryState, at: datetime) -> None:
        self._library = library
        self._state = state
        self._at = at
        self._said: dict[tuple[str, str], Sequence[Advisory]] = {}
        self._found: dict[tuple[str, SourcePackage], tuple[Vulnerability, ...]] = {}
        self._notes: dict[str, CveNotes] = {}

    def found(
        self, keys: Sequence[MatchKey], packages: Mapping[int, Sequence[InstalledPackage]]
    ) -> Mapping[MatchKey, Matched]:
        """Give what is found of sets. Shape: `packages` maps each set to what is in it."""
        sources = {key: sources_of(packages[key.package_set]) for key in keys}
        self._ask({(key.release, each.name) for key in keys for each in sources[key]})
        return {
            key: Matched(
                at=self._at,
                by=_by(self._state, key),
                vulnerabilities=tuple(
                    sorted(
                        (v for each in sources[key] for v in self._of(key.release, each)),
                        key=by_key,
                    )
                ),
            )
            for key in keys
        }

    def _of(self, release: str, source: SourcePackage) -> tuple[Vulnerability, ...]:
        known = self._found.get((release, source))
        if known is None:
            known = match(source, self._said[release, source.name], self._notes)
            self._found[release, source] = known
        return known

    def _ask(self, wanted: set[tuple[str, str]]) -> None:
        """Read what is said of sources that nothing was read of yet."""
        new = sorted(wanted - self._said.keys())
        for release in dict.fromkeys(release for release, _ in new):
            names = [name for of, name in new if of == release]
            said = self._library.said_of(release, names)
            self._said.update({(release, name): said.get(name, ()) for name in names})
        cves = {advisory.cve for pair in new for advisory in self._said[pair]}
        self._notes.update(self._library.notes(cves - self._notes.keys()))


def _batches(keys: Iterable[MatchKey]) -> Iterator[list[MatchKey]]:
    waiting = iter(keys)
    while batch := list(islice(waiting, _AT_ONCE)):
        yield batch


def _by(state: AdvisoryState, key: MatchKey) -> MatchedBy:
    return MatchedBy(database=state.digest, dates=state.dates(key.release))


def _is_behind(by: MatchedBy | None, now: MatchedBy) -> bool:
    """Whether packages were not matched with the advisories that there are now."""
    return by is None or by.database != now.database


def _known(matched: Matched, release: str, state: AdvisoryState | None) -> KnownVulnerabilities:
    dates = matched.by.dates
    return KnownVulnerabilities(
        findings=tuple(each.finding for each in matched.vulnerabilities),
        standing=AdvisoryStanding(
            data_at=dates.said_at,
            exploited_at=dates.exploited_at,
            is_outmoded=state is not None and state.digest != matched.by.database,
            problem="" if dates.said_at else _silence(release),
        ),
    )


def _unmatched(state: AdvisoryState | None, *, has_bill: bool) -> AdvisoryStanding:
    """Give how much is known of a version that nobody looked at: nothing, and why."""
    if state is None:
        return AdvisoryStanding()
    problem = "" if has_bill else "it has no bill, which would tell its release."
    data_at = max(source.dated_at for source in state.sources)
    return AdvisoryStanding(data_at=data_at, is_outmoded=True, problem=problem)


def _silence(release: str) -> str:
    if release == UNKNOWN_RELEASE:
        return "it does not say which distribution and release it is."
    return f"the imported advisories say nothing of {release}."
