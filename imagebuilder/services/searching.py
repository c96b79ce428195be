"""Searching: versions by what they hold and by what was said of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.labels import Notes
from imagebuilder.domain.search import (
    CveQuery,
    CveUnknown,
    FoundVersion,
    Hits,
    Match,
    Page,
    VersionQuery,
)
from imagebuilder.domain.standing import State
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.labels import LabelStore
from imagebuilder.ports.searching import SearchStore
from imagebuilder.ports.standings import StandingStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDesk:
    """Where it is searched; `knows_cve` tells whether advisories speak of a CVE."""

    versions: VersionStore
    searches: SearchStore
    standings: StandingStore
    channels: ChannelStore
    labels: LabelStore
    clock: Clock
    knows_cve: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAsked:
    """What is asked for beside the query: what is computed for the moment, and which page.

    A limit of 0 means all; pages count from 1.
    """

    query: VersionQuery = VersionQuery()  # noqa: RUF009 - frozen, so one instance may be shared
    cves: tuple[str, ...] = ()
    channels: tuple[ChannelName, ...] = ()
    states: frozenset[State] = frozenset()
    limit: int = 0
    page: int = 1


class Searching:
    """Finds versions and tells how they stand."""

    def __init__(self, desk: SearchDesk) -> None:
        """Search at a desk."""
        self._desk = desk

    def find(self, asked: SearchAsked) -> Page:
        """Give a page of the versions that fit everything.

        Raises: CveUnknown: nobody said anything of one of the CVEs.
        """
        at = self._desk.clock.now()
        query = replace(asked.query, cves=tuple(self._cve(cve) for cve in asked.cves))
        if asked.channels:
            query = replace(query, only=self._on(asked.channels, at))
        offset = (asked.page - 1) * asked.limit
        hits = self._hits(query, asked, offset, at)
        found = self._found(hits.ids, query, at)
        return Page(found=found, count=hits.count, offset=offset)

    def list(self, image: str | None, asked: SearchAsked) -> Page:
        """Give a page of all versions, or of one image's.

        Raises: VersionNotFound: an image is named that has none.
        """
        if image is None:
            return self.find(asked)
        if self._desk.versions.newest(ImageName(image)) is None:
            raise VersionNotFound.of_image(image, self._desk.versions.names())
        # A name holds no sign of a pattern.
        return self.find(replace(asked, query=replace(asked.query, image=image)))

    def known(self, version_id: VersionId) -> FoundVersion:
        """Give how a recorded version stands, and what is noted on it."""
        (found,) = self._found([version_id], VersionQuery(), self._desk.clock.now())
        return found

    def _hits(self, query: VersionQuery, asked: SearchAsked, offset: int, at: datetime) -> Hits:
        limit = asked.limit or None
        if not asked.states:
            return self._desk.searches.search(query, limit, offset)
        # How a version stands is computed, so the store cannot count those that stand so.
        ids = self._desk.searches.search(query).ids
        standings = self._desk.standings.standings(ids, at)
        fit = tuple(each for each in ids if standings[each].state in asked.states)
        return Hits(ids=fit[offset:][:limit], count=len(fit))

    def _cve(self, asked: str) -> CveQuery:
        cve = asked.upper()
        fixes = tuple(self._desk.searches.fixes(cve))
        if not fixes and not self._desk.knows_cve(cve):
            raise CveUnknown(asked)
        return CveQuery(cve=cve, fixes=fixes)

    def _matched(
        self, ids: Sequence[VersionId], query: VersionQuery
    ) -> Mapping[VersionId, tuple[Match, ...]]:
        """Give by what versions were found: packages, and sources that advisories speak of."""
        searches = self._desk.searches
        packages = (*query.packages, *(package for cve in query.cves for package in cve.fixes))
        held = searches.matches(ids, packages) if packages else {}
        cves = [each.cve for each in query.cves]
        advised = searches.vulnerable(ids, cves) if cves else {}
        return {each: (*held.get(each, ()), *advised.get(each, ())) for each in ids}

    def _on(self, names: Sequence[ChannelName], at: datetime) -> frozenset[VersionId]:
        meant = [
            {c.version_id for c in self._desk.channels.channels(None, at) if c.name == name}
            for name in names
        ]
        return frozenset(each for each in set.intersection(*meant) if each is not None)

    def _found(
        self, ids: Sequence[VersionId], query: VersionQuery, at: datetime
    ) -> tuple[FoundVersion, ...]:
        desk = self._desk
        summaries = desk.searches.summaries_of(ids)
        standings = desk.standings.standings(ids, at)
        channels = desk.channels.holding(ids, at)
        notes = desk.labels.of_versions(ids)
        of_images = desk.labels.of_images({summary.image for summary in summaries.values()})
        matched = self._matched(ids, query)
        return tuple(
            FoundVersion(
                summary=summaries[each],
                state=standings[each].state,
                channels=tuple(channels.get(each, ())),
                notes=notes.get(each, Notes()),
                labels={
                    **of_images.get(summaries[each].image, Notes()).labels,
                    **notes.get(each, Notes()).labels,
                },
                matched=matched[each],
            )
            for each in ids
        )
