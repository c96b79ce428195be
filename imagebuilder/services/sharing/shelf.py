"""SharedStoreShelf: what no version needs is taken from the shared store.

Machines put things there at any time, before the version that needs them is recorded. So nothing
is taken that was put or used within a day, or since the oldest run that is under way began; builds
renew what they use. Records go before what they speak of, so that nobody finds half of a layer.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer_record import LayerRecord
from imagebuilder.domain.run import UNFINISHED, RunQuery
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.freeing import Leftover
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.sharing import (
    SharedKind,
    SharedObject,
    SharedObjectDamaged,
    SharedObjectMissing,
)
from imagebuilder.services.sharing.exchange import MUST_STAY, Exchange

_ALL = 1_000_000


class SharedStoreShelf:
    """The objects of the shared store, which all machines of one catalogue use."""

    def __init__(self, exchange: Exchange, runs: RunStore, clock: Clock) -> None:
        """Ask runs, which are those of all machines, what is under way."""
        self._exchange = exchange
        self._store = exchange.store
        self._runs = runs
        self._clock = clock

    def remove(
        self,
        layers: Collection[Digest],
        blobs: Collection[Digest],
        unused_since: datetime,
        *,
        only_look: bool,
    ) -> Leftover:
        """Take away, or look at, all but these and what they are made of.

        Raises: SharedStoreUnavailable.
        """
        unfinished = self._runs.find(RunQuery(states=UNFINISHED, limit=_ALL))
        began = [run.started_at for run in unfinished]
        before = min(unused_since, self._clock.now() - MUST_STAY, *began)
        needed = set(blobs)
        going = [
            *self._records(SharedKind.KEY, layers, needed, before),
            *self._records(SharedKind.LAYER, layers, needed, before),
        ]
        files = self._store.objects(SharedKind.FILE)
        going += [f for f in files if f.stored_at < before and f.name.digest not in needed]
        if not only_look:
            going = [found for found in going if self._removed(found, before)]
            self._store.sweep(before)
        size_bytes = sum(found.size_bytes for found in going)
        return Leftover(what="shared objects", size_bytes=size_bytes, count=len(going))

    def _records(
        self,
        kind: SharedKind,
        layers: Collection[Digest],
        needed: set[Digest],
        before: datetime,
    ) -> Iterator[SharedObject]:
        """Give the records that nobody needs, and note which files the others need."""
        for found in self._store.objects(kind):
            record = self._record(found)
            if record is not None and (record.layer.content in layers or found.stored_at >= before):
                needed |= record.files
            elif found.stored_at < before:
                yield found

    def _record(self, found: SharedObject) -> LayerRecord | None:
        try:
            return self._exchange.record(found.name)
        except (SharedObjectMissing, SharedObjectDamaged):
            return None

    def _removed(self, found: SharedObject, before: datetime) -> bool:
        """Take an object away, unless it was renewed since we looked."""
        now = self._store.find(found.name)
        if now is None or now.stored_at >= before:
            return False
        self._store.remove(found.name)
        return True
