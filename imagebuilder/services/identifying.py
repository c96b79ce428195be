"""Identifying: what a text, a file or an id from outside is, and of which versions."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.domain.ids import ChannelName, ImageName, is_channel_name
from imagebuilder.domain.image import ReferenceMalformed, VersionNotFound, parse_reference
from imagebuilder.domain.trace import Identity, NotOneOfOurs, Trace, TracedVersion, TraceKind
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.runs import RunNotFound, RunStore
from imagebuilder.ports.searching import SearchStore
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.traces import FileDigests, TraceStore

_DIGEST_PATTERN = r"(sha256:)?(?P<hex>[0-9a-f]{8,64})"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDesk:
    """Where it is looked."""

    versions: VersionStore
    searches: SearchStore
    traces: TraceStore
    files: FileDigests
    runs: RunStore
    placements: PlacementStore
    standings: StandingStore
    channels: ChannelStore
    clock: Clock


class Identifying:
    """Says what things are."""

    def __init__(self, desk: IdentityDesk) -> None:
        """Look where the desk says."""
        self._desk = desk

    def whatis(self, text: str) -> Sequence[Identity]:
        """Give all that a text may mean: a version, a channel, a run, a placement, a digest.

        Raises: NotOneOfOurs: it means nothing; ReferenceAmbiguous, RunNotFound: several ids start
        so.
        """
        ways = (
            ("the id of a placement", self._placements),
            ("a run", self._runs),
            ("a digest, or its start of 8 digits or more", self._digests),
            ("a channel", self._channels),
            ("a version", self._versions),
        )
        found = [trace for _, way in ways for trace in way(text)]
        if not found:
            raise NotOneOfOurs(text, [told for told, _ in ways] + ["a file"])
        return [self._known(trace) for trace in found]

    def of_file(
        self, path: PurePath, on_bytes: Callable[[int], None] | None = None
    ) -> Sequence[Identity]:
        """Give what a file is: an artifact or disk, also when somebody compressed it.

        Raises: FileUnreadable; NotOneOfOurs.
        """
        looked_for = []
        for read in self._desk.files.digests(path, on_bytes):
            looked_for.append(f"{read.digest}{f' ({read.through})' if read.through else ''}")
            traces = self._desk.traces.traces(read.digest.hex)
            if traces:
                return [self._known(trace, read.through) for trace in traces]
        raise NotOneOfOurs(str(path), looked_for)

    def _placements(self, text: str) -> Iterator[Trace]:
        for placement in self._desk.placements.named(text):
            yield Trace(
                kind=TraceKind.PLACEMENT, name=placement.target, versions=(placement.version_id,)
            )

    def _runs(self, text: str) -> Iterator[Trace]:
        if not text.startswith("run-"):
            return
        try:
            run = self._desk.runs.get(text)
        except RunNotFound as error:
            if error.matching:
                raise
            return
        versions = tuple(self._desk.traces.of_run(run.id))
        yield Trace(kind=TraceKind.RUN, name=f"{run.id} ({run.state})", versions=versions)

    def _digests(self, text: str) -> Iterator[Trace]:
        digest = re.fullmatch(_DIGEST_PATTERN, text.lower())
        if digest is not None:
            yield from self._desk.traces.traces(digest["hex"])

    def _channels(self, text: str) -> Iterator[Trace]:
        image, _, name = text.partition("@")
        if is_channel_name(name):
            at = self._desk.clock.now()
            channel = self._desk.channels.channel(ImageName(image), ChannelName(name), at)
            if channel.version_id is not None:
                meant = (channel.version_id,)
                yield Trace(kind=TraceKind.CHANNEL, name=channel.reference, versions=meant)

    def _versions(self, text: str) -> Iterator[Trace]:
        if is_channel_name(text.partition("@")[2]):
            return
        try:
            version = self._desk.versions.find(parse_reference(text), self._desk.clock.now())
        except (ReferenceMalformed, VersionNotFound):
            return
        yield Trace(kind=TraceKind.VERSION, name=version.reference, versions=(version.id,))

    def _known(self, trace: Trace, through: str = "") -> Identity:
        desk, ids, at = self._desk, trace.versions, self._desk.clock.now()
        summaries = desk.searches.summaries_of(ids)
        standings = desk.standings.standings(ids, at)
        channels = desk.channels.holding(ids, at)
        placements = desk.placements.of(ids)
        versions = tuple(
            TracedVersion(
                id=each,
                reference=summaries[each].reference,
                state=standings[each].state,
                channels=tuple(channels.get(each, ())),
                placements=tuple(p for p in placements if p.version_id == each),
            )
            for each in ids
        )
        return Identity(trace=trace, versions=versions, through=through)
