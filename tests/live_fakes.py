"""What makes images of machines that run, over fakes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from imagebuilder.ports.machine import Machine
from imagebuilder.services.building.stocktaking import Stocktaking
from imagebuilder.services.pipelines.packing import LiveShop
from imagebuilder.services.placing import Books, Placing
from imagebuilder.services.provisioning.components import Means
from tests.fakes.audit import FakeAuditLog
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock
from tests.fakes.disks import FakeDiskImporter
from tests.fakes.live import FakeLiveMachines
from tests.fakes.live_builds import FakeLiveBuilder, FakeSourcePlaces
from tests.fakes.placements import FakePlacementStore
from tests.fakes.transactions import FakeTransactions


@dataclass(slots=True)
class LiveFakes:
    """One machine for all sources; what Packer makes is in `builder`."""

    folder: Path
    versions: FakeVersionStore
    audit: FakeAuditLog
    clock: FakeClock
    builder: FakeLiveBuilder = field(init=False)
    places: FakeSourcePlaces = field(default_factory=FakeSourcePlaces)
    machines: FakeLiveMachines = field(default_factory=FakeLiveMachines)
    importer: FakeDiskImporter = field(init=False)
    placements: FakePlacementStore = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no placement, and a disk for each source."""
        disk = self.folder / "disk"
        disk.write_bytes(b"what the machine left")
        self.builder = FakeLiveBuilder(disk)
        self.importer = FakeDiskImporter(self.folder)
        self.placements = FakePlacementStore(self.versions)

    def shop(self, means: Means, stocktaking: Stocktaking) -> LiveShop:
        """Give the shop."""

        @contextmanager
        def carried(_machine: Machine) -> Iterator[PurePath]:
            yield self.folder

        books = Books(
            versions=self.versions,
            placements=self.placements,
            audit=self.audit,
            transactions=FakeTransactions(),
            clock=self.clock,
        )
        return LiveShop(
            builder=self.builder,
            places=self.places,
            machines=self.machines,
            importer=self.importer,
            carried=carried,
            means=means,
            stocktaking=stocktaking,
            placing=Placing(books, "ann"),
            placements=self.placements,
        )
