"""A run's version goes where its pipeline's documents say, each a step of the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.domain.distribution import DistributionIncomplete
from imagebuilder.domain.image import ImageVersion
from imagebuilder.ports.targets import PlacingFailed
from imagebuilder.services.pipelines.shipping import Shipping
from tests.build import a_run, an_order
from tests.carried import EVERYWHERE, PATH, Port
from tests.fakes.progress import FakeProgress
from tests.fakes.runs import FakeRunFiles, FakeRunStore

OTHER = "/docs/other.yaml"


@pytest.fixture
def port(tmp_path: Path) -> Port:
    port = Port(tmp_path)
    port.documents.documents[OTHER] = EVERYWHERE.replace("everywhere", "other")
    return port


def ship(port: Port, version: ImageVersion, progress: FakeProgress) -> object:
    runs = FakeRunStore()
    run = a_run()
    runs.add(run)

    def desk(actor: str) -> object:
        return replace(port.desk, actor=actor)

    shipping = Shipping(desk, port.versions, runs, FakeRunFiles())  # type: ignore[arg-type]  # only what is used
    return shipping.ship(run, an_order(distributions=(PATH, OTHER)), version.id, progress)


def test_ship_then_each_document_is_a_step_and_says_how_many_targets(port: Port) -> None:
    version, progress = port.record(), FakeProgress()

    said = ship(port, version, progress)

    assert said == {
        "distributions": {
            "everywhere": {"id": "distribution-000001", "targets": 1},
            "other": {"id": "distribution-000002", "targets": 1},
        }
    }
    assert progress.states == {
        "distribute to everywhere.yaml": "succeeded",
        "distribute to other.yaml": "succeeded",
    }
    assert progress.lines[0].startswith("done fake:one fake-")


def test_ship_when_one_document_fails_then_the_next_is_done_and_the_error_is_raised(
    port: Port,
) -> None:
    version, progress = port.record(), FakeProgress()
    port.carrier.troubles = {"fake:one": [PlacingFailed("fake:one", "CopyImage", "It is full.")]}

    with pytest.raises(DistributionIncomplete):
        ship(port, version, progress)

    assert progress.states == {
        "distribute to everywhere.yaml": "failed",
        "distribute to other.yaml": "succeeded",
    }
