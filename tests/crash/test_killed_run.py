"""Whatever is killed at whatever stage of a run: it ends as if nothing had happened."""

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage, RunState
from tests.plants import ON_FILE, ON_SERVER, Plant

pytestmark = [pytest.mark.root, pytest.mark.crash, pytest.mark.timeout(300)]

VICTIMS = {"worker": ["worker"], "control": ["control"], "both": ["control", "worker"]}
WHOLE = list(RunStage)[:-1]


def begin(plant: Plant) -> None:
    plant.serve()
    if plant.is_server:
        plant.work()


def killed_at(plant: Plant, stage: RunStage, victims: list[str]) -> RunId:
    """Let a run come to a stage and kill processes in the middle of it, then start them again."""
    begin(plant)
    if stage in (RunStage.BUILD, RunStage.VALIDATE):
        run = plant.start()
        plant.wait_for_work(run, stage)
        done = plant.succeeded(run)
        plant.kill(*victims)
    else:
        with plant.held(stage) as is_there:
            run = plant.start()
            plant.wait(lambda: plant.is_begun(run, stage) and is_there(), f"{stage} held", run)
            done = plant.succeeded(run)
            plant.kill(*victims)
    assert list(done) == WHOLE[: WHOLE.index(stage)]
    for name in victims:
        plant.serve() if name == "control" else plant.work()
    plant.wait_for(run, RunState.SUCCEEDED)
    for name, row in done.items():
        assert plant.stages(run)[name] == row, f"{name} was done twice"
    return run


@ON_SERVER
@pytest.mark.parametrize("stage", WHOLE, ids=str)
@pytest.mark.parametrize("who", VICTIMS)
def test_kill_on_a_server_then_the_run_ends_as_if_nothing_happened(
    plant: Plant, who: str, stage: RunStage
) -> None:
    run = killed_at(plant, stage, VICTIMS[who])

    plant.is_as_if_nothing_happened(run)


@ON_FILE
@pytest.mark.parametrize("stage", WHOLE, ids=str)
def test_kill_in_one_process_then_the_run_ends_as_if_nothing_happened(
    plant: Plant, stage: RunStage
) -> None:
    run = killed_at(plant, stage, ["control"])

    plant.is_as_if_nothing_happened(run)


@ON_FILE
def test_kill_when_there_is_no_channel_then_the_run_ends_as_if_nothing_happened(
    plant: Plant,
) -> None:
    plant.apply(channel=None)

    run = killed_at(plant, RunStage.BUILD, ["control"])

    plant.is_as_if_nothing_happened(run)
