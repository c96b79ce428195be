"""Stock: what is carried of versions; each thing is fetched and verified once, for all."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import Self

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.domain.distribution import (
    DeliveryState,
    DeliveryStep,
    Distribution,
    Placement,
    PlacementState,
)
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import Target
from imagebuilder.ports.targets import Forerunner, FormatUnavailable, Shipment
from imagebuilder.services.distributing.desk import DistributionDesk

_PLACED = PlacementState.PLACED


class Stock:
    """What carriers take of one version; what was fetched is given back when the context ends."""

    def __init__(self, desk: DistributionDesk, version: ImageVersion) -> None:
        """Fetch nothing yet."""
        self._desk = desk
        self._version = version
        self._held = ExitStack()
        # Several carriers may ask for the same disk at once, and it takes long to have one.
        self._lock = threading.Lock()
        self._disks: dict[str, PurePath] = {}
        self._files: dict[Digest, PurePath] = {}
        self._bundle = desk.warehouse.bundle(version.id)
        self._earlier = _earlier(desk, version)
        self._history = desk.distributions([version.id])

    def __enter__(self) -> Self:
        """Keep what is fetched to the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._held.close()

    def shipment(self, target: Target, step: DeliveryStep, distribution: Distribution) -> Shipment:
        """Give the version made ready for a target; nothing of it is fetched before it is asked."""
        books, version = self._desk.books, self._version
        token = self.token(step, distribution)
        source = None
        if step.after is not None:
            before = next(each for each in distribution.steps if each.target == step.after)
            source = books.placements.find(before.target, before.external_id)
        return Shipment(
            version=version,
            words={
                "image": version.image,
                "version": str(version.version.version),
                "build": str(version.version.build),
                "region": target.where.get("region", ""),
                "account": target.where.get("account", ""),
            },
            disk=partial(self._disk, version, target.key),
            file=self._file,
            token=token,
            scratch=self._desk.warehouse.scratch.folder(token),
            bundle=self._bundle,
            source=source,
            forerunner=self._forerunner(target),
        )

    def token(self, step: DeliveryStep, distribution: Distribution) -> str:
        """Give what is the same however often a step is done, and another after a withdrawal."""
        withdrawn = sum(
            each.target == step.target and each.state is DeliveryState.WITHDRAWN
            for other in self._history
            if other.id != distribution.id
            for each in other.steps
        )
        names = [self._version.id, distribution.name, step.entry, step.target]
        return digest_of({"names": names, "withdrawn": withdrawn}).hex[:32]

    def _forerunner(self, target: Target) -> Forerunner | None:
        placement = self._earlier.get(target.key)
        if placement is None:
            return None
        earlier = self._desk.books.versions.get(placement.version_id)
        blobs = self._desk.warehouse.blobs
        if not any(blobs.has(each.digest) for each in _disk_artifacts(earlier)):
            return None
        return Forerunner(
            placement=placement,
            disk_digest=earlier.disk_digest,
            disk=partial(self._disk, earlier, target.key),
        )

    @contextmanager
    def _disk(self, version: ImageVersion, target: str) -> Iterator[PurePath]:
        """Give a version's raw disk, which stays until the stock is given back.

        Raises: FormatUnavailable: it has none; BlobMissing; DigestMismatch.
        """
        with self._lock:
            if version.id not in self._disks:
                warehouse = self._desk.warehouse
                files = {
                    each.format: warehouse.blobs.path(each.digest)
                    for each in _disk_artifacts(version)
                }
                if not files:
                    raise FormatUnavailable(target, version.reference, (ArtifactFormat.QCOW2,))
                recalled = warehouse.disks().recalled(version.image, version.disk_digest, files)
                self._disks[version.id] = self._held.enter_context(recalled)
            disk = self._disks[version.id]
        yield disk

    def _file(self, artifact: Artifact) -> PurePath:
        """Give a stored artifact's file, verified. Raises: BlobMissing; DigestMismatch."""
        with self._lock:
            if artifact.digest not in self._files:
                self._desk.warehouse.blobs.verify(artifact.digest)
                self._files[artifact.digest] = self._desk.warehouse.blobs.path(artifact.digest)
            return self._files[artifact.digest]


def _disk_artifacts(version: ImageVersion) -> list[Artifact]:
    return [each for each in version.artifacts if each.format is not ArtifactFormat.TAR]


def _earlier(desk: DistributionDesk, version: ImageVersion) -> Mapping[str, Placement]:
    """Give what stands of earlier versions of an image, the newest at each target."""
    newest_first = [summary.id for summary in desk.books.versions.summaries(version.image)]
    if version.id in newest_first:
        newest_first = newest_first[newest_first.index(version.id) + 1 :]
    rank = {each: place for place, each in enumerate(newest_first)}
    standing = (p for p in desk.books.placements.of(newest_first) if p.state is _PLACED)
    by_age = sorted(standing, key=lambda placement: -rank[placement.version_id])
    return {placement.target: placement for placement in by_age}
