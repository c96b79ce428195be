"""The last stage of a pipeline's run brings its version where the pipeline says."""

import json
from pathlib import Path

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from tests.build import SOME_DAY, a_run, an_order
from tests.functional.conftest import Catalogue, Cli

RUN = RunId("run-1")
MIRROR = """kind: Distribution
name: mirror
targets:
  - {{name: near, folder: {{path: {near}}}}}
"""
PIPELINE = """kind: Pipeline
name: nightly
recipe: ./web.yaml
distribution: [{}]
"""
RECIPE = """kind: Recipe
name: web
version: 1.0.x
parent: debian:bookworm
"""


@pytest.fixture
def near(tmp_path: Path) -> Path:
    folder = tmp_path / "near"
    folder.mkdir()
    return folder


def keep(cli: Cli, catalogue: Catalogue, *documents: Path) -> None:
    """Keep a run that has recorded its version."""
    runs = cli.application().runs
    order = an_order(distributions=tuple(map(str, documents)))
    runs.add(a_run(RUN, state=RunState.RUNNING, order=order, version_id=catalogue.new.id))
    result = {"version_id": catalogue.new.id, "reference": catalogue.new.reference}
    runs.save_stage(
        RUN,
        StageRun(
            stage=RunStage.RECORD,
            state=StepState.SUCCEEDED,
            started_at=SOME_DAY,
            ended_at=SOME_DAY,
            worker="w1",
            result=result,
        ),
    )


def test_distribute_stage_then_the_version_is_there_in_the_name_of_the_pipeline(
    cli: Cli, catalogue: Catalogue, near: Path
) -> None:
    mirror = cli.write("mirror.yaml", MIRROR.format(near=near))
    keep(cli, catalogue, mirror)

    result = cli("run-step", RUN, "distribute", "--report", cli.folder / "report")

    assert result.exit_code == 0, result.stderr
    said = json.loads((cli.folder / "report").read_text())["result"]
    assert said["distributions"]["mirror"]["targets"] == 1
    assert len(list(near.glob("*/*.qcow2"))) == 1
    (placement,) = cli.application().placements.of([catalogue.new.id])
    assert placement.placed.actor == "pipeline nightly-web"
    assert placement.placed.why == "run run-1"
    shown = cli.json("run", "show", RUN)
    assert [(each["target"], each["state"]) for each in shown["targets"]] == [
        (f"folder:{near}", "done")
    ]
    assert f"folder:{near} done" in cli("run", "show", RUN).stdout
    assert f"done folder:{near}" in cli("run", "logs", RUN).stdout


def test_distribute_stage_when_a_place_is_hindered_then_the_other_document_is_done(
    cli: Cli, catalogue: Catalogue, near: Path
) -> None:
    gone = cli.write("gone.yaml", MIRROR.format(near=near / "gone").replace("mirror", "gone"))
    mirror = cli.write("mirror.yaml", MIRROR.format(near=near))
    keep(cli, catalogue, gone, mirror)

    result = cli("run-step", RUN, "distribute", "--report", cli.folder / "report")

    assert result.exit_code == 4
    fault = json.loads((cli.folder / "report").read_text())["fault"]
    assert fault["code"] == "delivery-hindered"
    assert len(list(near.glob("*/*.qcow2"))) == 1


def test_pipeline_apply_when_it_distributes_then_where_to_is_shown(
    cli: Cli, tmp_path: Path, near: Path
) -> None:
    cli.write("web.yaml", RECIPE)
    mirror = cli.write("places/mirror.yaml", MIRROR.format(near=near))
    pipeline = cli.write("nightly.yaml", PIPELINE.format("places/mirror.yaml"))

    assert cli("pipeline", "apply", pipeline).exit_code == 0

    assert f"goes to      {mirror}" in cli("pipeline", "show", "nightly").stdout


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("gone.yaml", "nightly.yaml:4:15:"),
        ("faulty.yaml", "faulty.yaml:4:18: The key 'folde' is not known here."),
    ],
)
def test_pipeline_check_when_a_distribution_is_missing_or_faulty_then_shows_where(
    cli: Cli, near: Path, named: str, told: str
) -> None:
    cli.write("web.yaml", RECIPE)
    cli.write("faulty.yaml", MIRROR.format(near=near).replace("folder:", "folde:"))
    pipeline = cli.write("nightly.yaml", PIPELINE.format(named))

    result = cli("pipeline", "check", pipeline)

    assert result.exit_code == 2
    assert told in result.stderr
