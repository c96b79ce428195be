"""The real Packer, in folders of a test's own."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.local.workplace import short_folder, working_folder
from imagebuilder.adapters.packer.builder import PackerBuilder, PackerMeans
from imagebuilder.adapters.packer.template import LocalHardware
from imagebuilder.adapters.packer.traces import Patience, Traces
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LiveMachine, LiveOrder, SourcePlaces
from imagebuilder.ports.process import CommandRunner
from imagebuilder.settings import secret_of
from tests.fakes.live_builds import FakeSourcePlaces

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def a_source(type_: str = "file", name: str = "good", **settings: Canonical) -> PackerSource:
    return PackerSource(type=type_, name=name, settings=settings)


def a_file(name: str = "good", content: str = "hello") -> PackerSource:
    """Give a source that makes a file of a text, and needs no machine."""
    return a_source("file", name, content=content, target=f"{name}.txt")


def an_order(*sources: PackerSource, run_id: str = "run-1", only: Sequence[str] = ()) -> LiveOrder:
    return LiveOrder(
        image=ImageName("debian-web"),
        run_id=RunId(run_id),
        sources=sources or (a_file(),),
        only=tuple(only),
    )


def no_work(machine: LiveMachine) -> None:
    """Do nothing on a machine."""


@dataclass(slots=True)
class Bench:
    """Where builds are tried. Shape: `recorded` maps a run that is over to its images."""

    work: Path
    runner: CommandRunner = field(default_factory=lambda: SystemCommandRunner(SystemClock()))
    places: SourcePlaces = field(default_factory=FakeSourcePlaces)
    said: list[str] = field(default_factory=list)
    recorded: dict[str, Collection[str]] = field(default_factory=dict)
    largest_log_bytes: int = 1 << 28

    @property
    def cleared(self) -> list[str]:
        """The sources that were cleared up elsewhere."""
        return self.places.cleared if isinstance(self.places, FakeSourcePlaces) else []

    @property
    def traces(self) -> Traces:
        patience = Patience(looks=100)
        return Traces(self.work / "traces", self.places, self.recorded.get, patience)

    def builder(
        self, hardware: Callable[[LiveOrder, Path], LocalHardware] | None = None
    ) -> PackerBuilder:
        return PackerBuilder(
            PackerMeans(
                commands=self.runner,
                clock=SystemClock(),
                folders=partial(working_folder, self.work / "folders"),
                sockets=partial(short_folder, self.work / "folders"),
                secret_of=secret_of,
                hardware=hardware or (lambda _order, _folder: LocalHardware(accelerator="tcg")),
                traces=self.traces,
                places=self.places,
                environment={
                    "PATH": SYSTEM_PATH,
                    "HOME": str(self.work),
                    # By itself Packer looks again only after some seconds.
                    "AWS_POLL_DELAY_SECONDS": "1",
                },
                grace_seconds=60.0,
                largest_log_bytes=self.largest_log_bytes,
            )
        )

    @property
    def left(self) -> list[str]:
        """What is left of builds."""
        return [
            str(path)
            for name in ("folders", "traces")
            if (self.work / name).is_dir()
            for path in (self.work / name).iterdir()
        ]


@contextmanager
def packer_bench() -> Iterator[Bench]:
    """Give a bench, if there is a Packer on this machine."""
    if shutil.which("packer") is None:
        pytest.skip("packer is not on this machine")
    with tempfile.TemporaryDirectory(prefix="packer-") as folder:
        yield Bench(Path(folder))


def limited(order: LiveOrder, seconds: float) -> LiveOrder:
    return replace(order, timeout_seconds=seconds)
