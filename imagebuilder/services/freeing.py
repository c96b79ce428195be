"""Freeing: what no version needs is taken from this machine, when nobody works with the store."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.retirement import StoreInUse, Users
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.claims import ClaimStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.freeing import (
    BlobShelf,
    DiskShelf,
    LayerShelf,
    Leftover,
    LeftoverShelf,
    SharedShelf,
)
from imagebuilder.ports.locks import STORE_LOCK, InProgress, Locks
from imagebuilder.ports.retention import RetentionStore
from imagebuilder.ports.runs import RunNotFound, RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """All that is kept on this machine, and what it shares with others that use its catalogue."""

    layers: LayerShelf
    blobs: BlobShelf
    disks: DiskShelf
    claims: ClaimStore
    leftovers: LeftoverShelf
    shared: SharedShelf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What tells who needs it."""

    versions: VersionStore
    retention: RetentionStore
    runs: RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What was taken away, or would be."""

    layers: int = 0
    layer_bytes: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    leftovers: tuple[Leftover, ...] = field(default=())

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return self.layer_bytes + self.blob_bytes + sum(each.size_bytes for each in self.leftovers)


class Freeing:
    """Takes away what no version needs that is not deleted, and no run that is to record one."""

    def __init__(self, shelves: Shelves, ledger: Ledger, locks: Locks, clock: Clock) -> None:
        """Ask the catalogue what is needed, and take the rest from shelves."""
        self._shelves = shelves
        self._versions = ledger.versions
        self._retention = ledger.retention
        self._runs = ledger.runs
        self._locks = locks
        self._clock = clock

    @contextmanager
    def alone(self, who: str) -> Iterator[None]:
        """Keep builds, exports and machines from the store in the block.

        Raises: StoreInUse: some are at work.
        """
        with ExitStack() as held:
            try:
                held.enter_context(self._locks.hold(STORE_LOCK, who))
            except InProgress as busy:
                raise StoreInUse(busy.who) from busy
            yield

    def estimate(self, ids: Collection[VersionId]) -> tuple[dict[VersionId, int], int]:
        """Give what deleting versions would free: each alone, and all of them together.

        What they share with others that stay counts for nobody, what they share among themselves
        only for all.
        """
        users = self._users()
        alone: dict[VersionId, int] = {}
        sizes: dict[tuple[str, Digest], int] = {}
        counts: dict[tuple[str, Digest], int] = {}
        for version_id in ids:
            needs = _needs(self._versions.get(version_id))
            alone[version_id] = sum(s for n, s in needs.items() if _user_count(users, n) == 1)
            sizes |= needs
            for need in needs:
                counts[need] = counts.get(need, 0) + 1
        together = sum(s for n, s in sizes.items() if counts[n] >= _user_count(users, n))
        return alone, together

    def free_deleted(self, on_version: Callable[[str], None]) -> Freed:
        """Take away the files of deleted versions that no other needs; `alone` has to be held.

        Durable: a version is said to be freed after its files are gone; done twice, it is as once.
        """
        users = self._users()
        freed = Freed()
        for version_id in self._retention.unfreed():
            version = self._versions.get(version_id)
            on_version(version.reference)
            gone = self._remove(version, users)
            self._retention.set_freed(version_id, self._clock.now())
            freed = _added(freed, gone)
        return freed

    def collect(self, unused_seconds: int, *, only_look: bool) -> Freed:
        """Take away, or look at, what no version needs and nobody used for so long.

        Raises: StoreInUse; SharedStoreUnavailable: what this machine keeps was freed before.
        """
        with self.alone("imagebuilder gc"):
            deleted = Freed() if only_look else self.free_deleted(lambda _: None)
            since = self._clock.now() - timedelta(seconds=unused_seconds)
            users = self._users()
            stored = self._shelves.layers.stored()
            layers = [s for s in stored if s.content not in users.layers and s.used_at < since]
            going = {layer.content for layer in layers}
            needed = {blob for s in stored if s.content not in going for blob in s.blobs}
            recorded = users.blobs.keys() | self._retention.evidence()
            needed |= recorded
            blobs = [
                s
                for s in self._shelves.blobs.stored()
                if s.digest not in needed and s.stored_at < since
            ]
            if not only_look:
                self._release_ended()
                self._shelves.layers.remove(going)
                for blob in blobs:
                    self._shelves.blobs.remove(blob.digest)
            leftovers = [*self._shelves.leftovers.remove(since, only_look=only_look)]
            if self._shelves.shared is not None:
                there = self._shelves.shared.remove(
                    users.layers.keys(), recorded, since, only_look=only_look
                )
                leftovers.append(there)
            found = Freed(
                layers=len(layers),
                layer_bytes=sum(layer.size_bytes for layer in layers),
                blobs=len(blobs),
                blob_bytes=sum(blob.size_bytes for blob in blobs),
                leftovers=tuple(leftovers),
            )
            return _added(deleted, found)

    def _users(self) -> Users:
        """Give who needs what; runs that have ended need nothing more."""
        users = self._retention.users()
        for run_id, needs in self._shelves.claims.claims().items():
            if self._is_under_way(run_id):
                users = users.with_need(needs)
        return users

    def _release_ended(self) -> None:
        for run_id in self._shelves.claims.claims():
            if not self._is_under_way(run_id):
                self._shelves.claims.release(run_id)

    def _is_under_way(self, run_id: RunId) -> bool:
        try:
            return self._runs.get(run_id).ended_at is None
        except RunNotFound:
            return False

    def _remove(self, version: ImageVersion, users: Users) -> Freed:
        layers = {r.content for r in version.layers if r.content not in users.layers}
        blobs = {a.digest for a in version.artifacts if a.digest not in users.blobs}
        self._shelves.disks.remove(version.image, users.disks)
        sizes = [self._shelves.blobs.remove(digest) for digest in sorted(blobs)]
        layer_bytes = self._shelves.layers.remove(layers)
        return Freed(
            layers=len(layers) if layer_bytes else 0,
            layer_bytes=layer_bytes,
            blobs=sum(map(bool, sizes)),
            blob_bytes=sum(sizes),
        )


def _needs(version: ImageVersion) -> dict[tuple[str, Digest], int]:
    """Give what a version is made of. Shape: kind and digest -> bytes."""
    needs = {("layer", layer.content): layer.size_bytes for layer in version.layers}
    return needs | {("blob", a.digest): a.size_bytes for a in version.artifacts}


def _user_count(users: Users, need: tuple[str, Digest]) -> int:
    kind, digest = need
    return (users.layers if kind == "layer" else users.blobs).get(digest, 0)


def _added(one: Freed, other: Freed) -> Freed:
    return Freed(
        layers=one.layers + other.layers,
        layer_bytes=one.layer_bytes + other.layer_bytes,
        blobs=one.blobs + other.blobs,
        blob_bytes=one.blob_bytes + other.blob_bytes,
        leftovers=(*one.leftovers, *other.leftovers),
    )
