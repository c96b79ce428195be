"""Tracing: what a version stands on, what was built on it, and how all of them stand now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.ancestry import (
    Facts,
    Inputs,
    LineageGraph,
    Meaning,
    Movable,
    graph_of,
    inputs_of,
    movable,
    stale_part,
)
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import parse_reference
from imagebuilder.domain.lineage import Descent, Kin, Scope
from imagebuilder.domain.versions import Wildcard
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.standings import StandingStore

_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageAsked:
    """How much of a lineage is wanted: of `limit`, 0 means all; so does a depth of None.

    `stale_only` leaves what is stale and current, and the way to it; with `is_all`, all stale ones.
    """

    up: bool = True
    down: bool = True
    depth: int | None = None
    limit: int = 1000
    stale_only: bool = False
    is_all: bool = False
    with_inputs: bool = False


class Tracing:
    """Answers where versions come from and what became of them."""

    def __init__(
        self,
        versions: VersionStore,
        standings: StandingStore,
        channels: ChannelStore,
        clock: Clock,
        placements: PlacementStore,
    ) -> None:
        """Look into `versions`, and say how they stand at the time of `clock`."""
        self._versions = versions
        self._standings = standings
        self._channels = channels
        self._clock = clock
        self._placements = placements

    def lineage(self, reference: str, asked: LineageAsked) -> LineageGraph:
        """Give the lineage of a version.

        Raises: ReferenceMalformed; VersionNotFound; ReferenceAmbiguous.
        """
        focus = self._versions.find(parse_reference(reference), self._clock.now()).id
        scope = Scope(
            up=asked.up, down=asked.down, depth=asked.depth, limit=asked.limit or _NO_LIMIT
        )
        descent = self._versions.descent(focus, scope)
        # Whether a version is stale hangs on all that it descends from, however little is shown.
        all_above = Scope(up=True, down=False, limit=_NO_LIMIT)
        ancestors = self._versions.descent(focus, all_above).kin
        facts = self._facts(descent, ancestors, with_inputs=asked.with_inputs)
        graph = graph_of(descent, ancestors, facts, with_origins=asked.up)
        return stale_part(graph, is_all=asked.is_all) if asked.stale_only else graph

    def _facts(self, descent: Descent, ancestors: Iterable[Kin], *, with_inputs: bool) -> Facts:
        at = self._clock.now()
        ids = [kin.id for kin in descent.kin]
        line = {kin.id: kin for kin in (*descent.kin, *ancestors)}
        standings = self._standings.standings(ids, at)
        revokers = {s.revocation.version_id for s in standings.values() if s.revocation is not None}
        names = {kin.id: kin.reference for kin in line.values()}
        names |= self._versions.references(revokers - names.keys())
        return Facts(
            standings=standings,
            channels=self._channels.holding(ids, at),
            meanings=self._meanings(line.values(), at),
            names=names,
            inputs=self._inputs(ids) if with_inputs else {},
            placements=self._placements.of(ids),
        )

    def _meanings(self, kin: Iterable[Kin], at: datetime) -> Mapping[str, Meaning | None]:
        """Give what each thing that was asked for means now."""
        asked = {each.parent.asked for each in kin if each.parent.version_id is not None}
        found = ((text, movable(text)) for text in sorted(asked))
        return {text: self._meaning(meant, at) for text, meant in found if meant is not None}

    def _meaning(self, asked: Movable, at: datetime) -> Meaning | None:
        if asked.channel is not None:
            version_id = self._channels.channel(asked.image, asked.channel, at).version_id
        else:
            version_id = self._highest_usable(asked.image, Wildcard.parse(asked.asked), at)
        if version_id is None:
            return None
        return Meaning(id=version_id, reference=self._versions.references([version_id])[version_id])

    def _highest_usable(
        self, image: ImageName, wildcard: Wildcard, at: datetime
    ) -> VersionId | None:
        fitting = [
            (summary.version, summary.id)
            for summary in self._versions.summaries(image)
            if wildcard.matches(summary.version.version)
        ]
        standings = self._standings.standings([version_id for _, version_id in fitting], at)
        usable = [each for each in fitting if standings[each[1]].is_usable]
        return max(usable)[1] if usable else None

    def _inputs(self, ids: Iterable[VersionId]) -> Mapping[VersionId, Inputs]:
        return {each: inputs_of(self._versions.get(each)) for each in ids}
