"""An AdvisoryLibrary in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath

from imagebuilder.domain.advisory import Advisory, AdvisorySource, AdvisoryState, CveNotes, Feed
from imagebuilder.domain.digest import digest_of
from imagebuilder.ports.advisories import AdvisoryFileUnreadable, OnCount, SaidOfCve


class FakeAdvisoryLibrary:
    """Says what is put into it. Shape: `files` maps a name to what is imported from it."""

    def __init__(self) -> None:
        """Begin without advisories."""
        self.files: dict[str, tuple[Advisory, ...]] = {}
        self.of: dict[str, CveNotes] = {}
        self.dated_at: datetime | None = None
        self._said: dict[Feed, tuple[str, tuple[Advisory, ...], datetime]] = {}

    def state(self) -> AdvisoryState | None:
        """Give what was imported, None before anything was."""
        if not self._said:
            return None
        sources = [
            AdvisorySource(
                feed=feed,
                name=name,
                digest=digest_of(sorted(map(str, said))),
                dated_at=dated_at,
                is_dated_by_itself=False,
                imported_at=dated_at,
                count=len(said),
                left_out={},
            )
            for feed, (name, said, dated_at) in self._said.items()
        ]
        releases: dict[str, int] = {}
        speaking: dict[str, frozenset[Feed]] = {}
        for advisory in self._all():
            releases[advisory.release] = releases.get(advisory.release, 0) + 1
            known = speaking.get(advisory.release, frozenset())
            speaking[advisory.release] = known | {advisory.feed}
        return AdvisoryState(
            digest=digest_of([[source.feed, source.digest.hex] for source in sources]),
            sources=tuple(sources),
            releases=releases,
            speaking=speaking,
        )

    def said_of(self, release: str, packages: Collection[str]) -> Mapping[str, Sequence[Advisory]]:
        """Give what is said of source packages in a release."""
        found: dict[str, list[Advisory]] = {}
        for advisory in self._all():
            if advisory.release == release and advisory.package in packages:
                found.setdefault(advisory.package, []).append(advisory)
        return found

    def notes(self, cves: Collection[str]) -> Mapping[str, CveNotes]:
        """Give what is known of CVEs wherever they are."""
        return {cve: self.of.get(cve, CveNotes()) for cve in cves}

    def of_cve(self, cve: str) -> SaidOfCve:
        """Give all that is said of a CVE."""
        said = tuple(advisory for advisory in self._all() if advisory.cve == cve)
        return SaidOfCve(advisories=said, notes=self.of.get(cve))

    def update(
        self, files: Sequence[PurePath], at: datetime, on_count: OnCount, *, keeps_others: bool
    ) -> AdvisoryState:
        """Import files in place of what their feeds said before."""
        said: dict[Feed, tuple[str, tuple[Advisory, ...], datetime]] = {}
        for file in files:
            if str(file) not in self.files:
                raise AdvisoryFileUnreadable(file, "There is no such file or folder.")
            advisories = self.files[str(file)]
            on_count(str(file), len(advisories))
            for feed in {advisory.feed for advisory in advisories}:
                of_feed = tuple(a for a in advisories if a.feed is feed)
                said[feed] = (str(file), of_feed, min(self.dated_at or at, at))
        self._said = {**(self._said if keeps_others else {}), **said}
        state = self.state()
        if state is None:
            raise AdvisoryFileUnreadable(files, "They are empty.")
        return state

    def _all(self) -> tuple[Advisory, ...]:
        return tuple(advisory for _, said, _ in self._said.values() for advisory in said)
