"""Two machines, each behind a network of its own: what a killed one made, the other need not."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.run import RunStage, RunState, StepState
from tests.plants import Plant
from tests.postgres import Server, ServerMissing, running_server
from tests.roots import Workbench, left_behind, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.crash, pytest.mark.timeout(300)]

MACHINES = {"one": "198.18.77.0", "other": "198.18.77.4"}
"""The network of each machine, of four addresses: first the server's, then its own."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def address(network: str, number: int) -> str:
    first, _, last = network.rpartition(".")
    return f"{first}.{int(last) + number}"


@contextmanager
def connected(name: str, network: str) -> Iterator[str]:
    """Give a network namespace that is connected to this machine alone, and goes with the block."""
    namespace, ours = f"ib-{name}-{os.getpid()}", f"ib{name[:4]}{os.getpid()}"[:15]
    ip("netns", "add", namespace)
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("address", "add", f"{address(network, 1)}/30", "dev", ours)
        ip("link", "set", ours, "up")
        inside = ("-n", namespace)
        ip(*inside, "address", "add", f"{address(network, 2)}/30", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "link", "set", "lo", "up")
        yield namespace
    finally:
        ip("netns", "delete", namespace)  # and with it both ends of the wire


class Estate:
    """A control process here and two workers elsewhere, with a catalogue and a store in common."""

    def __init__(self, folder: Path, server: Server, namespaces: dict[str, str]) -> None:
        self.namespaces = namespaces
        self.server = server
        self.database = server.new_database()
        self.plant = Plant(Workbench(folder), server.url_of(self.database))
        self.store = folder / "store"
        self.store.mkdir()
        self.plant.more["IMAGEBUILDER_SHARED_STORE"] = self.store.as_uri()

    def home(self, name: str) -> Path:
        return self.plant.bench.folder / name

    def work(self, name: str) -> None:
        """Let a worker be at work on its machine."""
        host = address(MACHINES[name], 1)
        url = self.server.url.set(database=self.database, host=host, query={})
        self.plant.begin(
            name,
            "worker",
            prefix=("ip", "netns", "exec", self.namespaces[name]),
            more={
                "IMAGEBUILDER_HOME": str(self.home(name)),
                "IMAGEBUILDER_CATALOGUE_URL": url.render_as_string(),
            },
        )


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with ExitStack() as made:
        namespaces = {
            name: made.enter_context(connected(name, network)) for name, network in MACHINES.items()
        }
        networks = [f"{network}/30" for network in MACHINES.values()]
        heard = {"listen_addresses": ",".join(address(n, 1) for n in MACHINES.values())}
        try:
            server = made.enter_context(running_server(heard, networks))
        except ServerMissing as missing:
            pytest.skip(f"{missing}; scripts/test installs it")
        estate = Estate(tmp_path, server, namespaces)
        made.callback(estate.plant.end)
        yield estate


def steps(plant: Plant, run: RunId, name: str) -> list[StepState]:
    """Give how a step of a run went, each time that it was begun."""
    return [step.state for step in plant.application.runs.steps(run) if step.name == name]


def test_machine_when_killed_then_the_other_goes_on_with_the_layers_that_it_made(
    estate: Estate,
) -> None:
    plant = estate.plant
    flavours = Matrix(axes={"own.flavour": ("plum", "pear")})
    plant.apply(matrix=flavours)
    plant.serve()
    wait_until(plant.is_leading, "the first process")
    for name in MACHINES:
        estate.work(name)
    runs = plant.start_all()
    assert len(runs) == 2
    for run in runs:
        plant.wait_for_work(run, RunStage.BUILD)
    at = {plant.worker_of(run, RunStage.BUILD): run for run in runs}
    assert set(at) == set(MACHINES)
    # The root, the first layer, and the own layers of both.
    plant.wait(lambda: len(given(estate)) >= 4, "what was made to be given", runs[0])

    plant.kill("one")
    for run in runs:
        plant.wait_for(run, RunState.SUCCEEDED)

    lost = at["one"]
    assert plant.worker_of(lost, RunStage.BUILD) == "other"
    assert steps(plant, lost, "own") == [StepState.SUCCEEDED, StepState.CACHED]
    assert steps(plant, at["other"], "own") == [StepState.SUCCEEDED]
    assert plant.stages(lost)[RunStage.BUILD].attempt == 1
    assert len(plant.application.versions.summaries()) == 2
    plant.leave()
    wait_until(lambda: traces(str(plant.bench.folder)) == [], "a clean machine", seconds=30)
    assert left_behind(estate.home("other")) == []


def given(estate: Estate) -> list[Path]:
    """Give the layers of the shared store that builds can find."""
    return [path for path in (estate.store / "keys").rglob("*") if path.is_file()]
