"""A bench for versions that are made again: stores and a workshop that are gone afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.local.borrowing import BorrowingLayers
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.adapters.local.pinning import Pins
from imagebuilder.adapters.local.roots import LocalWorkshop, Places
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.blobs import FileBlobStore
from imagebuilder.domain.rebuild import PinnedPackages
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.process import CommandRunner
from imagebuilder.services.building.stacking import Stacking
from imagebuilder.services.pipelines.rebuilding import Bench
from imagebuilder.services.provisioning.components import Means


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchMaker:
    """What benches are made of."""

    commands: CommandRunner
    clock: Clock
    home: Path
    boot_id: str
    layers: FileLayerStore
    means: Means
    credentials: Mapping[str, str]

    @contextmanager
    def opened(self, pinned: PinnedPackages) -> Iterator[Bench]:
        """Give a bench that is gone when the context ends."""
        with working_folder(self.home / "work", "rebuild-") as folder:
            layers = BorrowingLayers(folder / "layers", self.boot_id, self.layers)
            blobs = FileBlobStore(folder / "blobs")
            places = Places(work=self.home / "work", cache=self.home / "cache")
            pins = Pins(self.commands, pinned, self.home / "cache/packages")
            workshop = LocalWorkshop(self.commands, self.clock, layers, places, self.credentials)
            yield Bench(
                stacking=Stacking(layers, blobs, self.clock, self.means),
                workshop=workshop.held_to(pins),
                layers=layers,
                blobs=blobs,
            )
