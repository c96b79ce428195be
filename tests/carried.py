"""A house where versions are distributed, all of it in memory but for the files of a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import DeliveryState, DeliveryStep, Distribution, Placement
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import TargetKind
from imagebuilder.services.distributing.desk import (
    DistributionBooks,
    DistributionDesk,
    Patience,
    Warehouse,
)
from imagebuilder.services.distributing.distributing import Choice, Distributed, Distributing
from imagebuilder.services.distributing.reading import DistributionReading
from imagebuilder.services.gating import GateDesk, Gating, KnownVulnerabilities
from tests.build import SOME_DAY, a_version, an_artifact
from tests.fakes.audit import FakeAuditLog
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.channels import FakeChannelStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.disks import FakeDisks
from tests.fakes.distributions import FakeDistributionStore
from tests.fakes.documents import FakeDocumentSource
from tests.fakes.locks import FakeLocks
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.placements import FakePlacementStore
from tests.fakes.progress import FakeDeliveryProgress
from tests.fakes.scratch import FakeScratch
from tests.fakes.standings import FakeStandingStore
from tests.fakes.targets import FakeCarrier
from tests.fakes.transactions import FakeTransactions
from tests.fakes.waivers import FakeWaiverStore

EVERYWHERE = """kind: Distribution
name: everywhere
targets:
  - name: fakes
    folder: {path: /srv/images}
"""
PATH = "/docs/everywhere.yaml"


@dataclass
class Port:
    """Where versions leave from; its only carrier is a fake one."""

    folder: Path
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    clock: FakeClock = field(default_factory=lambda: FakeClock(SOME_DAY))
    versions: FakeVersionStore = field(default_factory=FakeVersionStore)
    audit: FakeAuditLog = field(default_factory=FakeAuditLog)
    blobs: FakeBlobStore = field(default_factory=FakeBlobStore)
    locks: FakeLocks = field(default_factory=FakeLocks)
    scratch: FakeScratch = field(default_factory=FakeScratch)
    progress: FakeDeliveryProgress = field(default_factory=FakeDeliveryProgress)
    ids: FakeIds = field(default_factory=FakeIds)
    bundle: bytes = b""
    attempts: int = 2

    def __post_init__(self) -> None:
        self.documents = FakeDocumentSource({PATH: EVERYWHERE})
        self.standings = FakeStandingStore(self.versions)
        self.placements = FakePlacementStore(self.versions)
        self.distributions = FakeDistributionStore(self.versions)
        self.disks = FakeDisks(self.folder)
        self.channels = FakeChannelStore(self.versions, self.standings)

    @property
    def desk(self) -> DistributionDesk:
        books = DistributionBooks(
            versions=self.versions,
            standings=self.standings,
            placements=self.placements,
            distributions=self.distributions,
            audit=self.audit,
            transactions=FakeTransactions(),
            clock=self.clock,
            ids=self.ids,
        )
        gates = GateDesk(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            clock=self.clock,
            pipelines=FakePipelineStore(),
            waivers=FakeWaiverStore(),
            vulnerabilities=lambda _: KnownVulnerabilities(),
        )
        warehouse = Warehouse(
            disks=lambda: self.disks,
            blobs=self.blobs,
            bundle=lambda _: self.bundle,
            scratch=self.scratch,
        )
        return DistributionDesk(
            books=books,
            gating=Gating(gates),
            locks=self.locks,
            reading=DistributionReading(self.documents),
            carriers={TargetKind.FOLDER: self.carrier},
            warehouse=warehouse,
            actor="ann",
            patience=Patience(attempts=self.attempts, wait_seconds=0.0),
        )

    def record(self, reference: str = "web@1.0.0/1", **more: Any) -> ImageVersion:
        """Record a version whose disk is kept."""
        disk = reference.encode()
        kept = self.blobs.put(disk + ArtifactFormat.QCOW2.encode())
        artifact = replace(an_artifact(), digest=kept)
        version = a_version(
            reference, disk_digest=Digest.of_bytes(disk), artifacts=(artifact,), **more
        )
        self.versions.add(version)
        return version

    def distribute(self, reference: str = "web", **choice: tuple[str, ...]) -> Distributed:
        return Distributing(self.desk).distribute(
            reference, PATH, Choice(**choice), self.progress, why="released"
        )

    def retry(self, reference: str = "web", **choice: tuple[str, ...]) -> list[Distributed]:
        return list(Distributing(self.desk).retry(reference, Choice(**choice), self.progress))

    def states(self) -> Mapping[str, DeliveryState]:
        """Give how the steps of the last distribution stand. Shape: key -> state."""
        return {step.target: step.state for step in self.last.steps}

    @property
    def last(self) -> Distribution:
        return list(self.distributions.kept.values())[-1]

    def step(self, target: str) -> DeliveryStep:
        return next(step for step in self.last.steps if step.target == target)

    def standing(self, version: ImageVersion) -> list[Placement]:
        """Give the placements of a version that were not withdrawn."""
        ids = [VersionId(version.id)]
        return [each for each in self.placements.of(ids) if each.withdrawn is None]
