"""What else befalls runs: stopped processes, a server that is away, people who want them to end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from tests.plants import LEASE_SECONDS, ON_BOTH, ON_FILE, ON_SERVER, Plant, Worksite
from tests.postgres import ServerMissing, running_server
from tests.roots import Workbench, wait_until

pytestmark = [pytest.mark.root, pytest.mark.crash, pytest.mark.timeout(300)]

TAKEOVER_SECONDS = LEASE_SECONDS + 10
AWAY_SECONDS = 15.0
CANCEL_SECONDS = 2.0
PROMPTLY_SECONDS = 10.0


def begun(plant: Plant) -> None:
    """Let there be whoever does runs."""
    plant.serve()
    if plant.is_server:
        plant.work()


def at_work(plant: Plant, stage: RunStage = RunStage.BUILD) -> RunId:
    """Let a run come to a stage."""
    run = plant.start()
    plant.wait_for_work(run, stage)
    return run


def seconds_until(plant: Plant, run: RunId, is_so: Callable[[], bool]) -> float:
    """Give how long it took until something of a run was so."""
    began = time.monotonic()
    plant.wait(is_so, "what is waited for", run)
    return time.monotonic() - began


def stop_for(seconds: float) -> None:
    threading.Event().wait(seconds)


def states(plant: Plant, run: RunId) -> dict[RunStage, StepState]:
    return {stage: row.state for stage, row in plant.stages(run).items()}


@ON_SERVER
def test_worker_when_killed_then_another_takes_over_within_its_lease_and_ten_seconds(
    plant: Plant,
) -> None:
    plant.serve()
    plant.work("one")
    plant.work("other")
    run = at_work(plant)
    killed = plant.worker_of(run, RunStage.BUILD)
    left = plant.stages(run)

    plant.kill(killed)
    took = seconds_until(
        plant, run, lambda: plant.stages(run)[RunStage.BUILD].worker != left[RunStage.BUILD].worker
    )

    assert took <= TAKEOVER_SECONDS
    plant.wait_for(run, RunState.SUCCEEDED)
    assert plant.stages(run)[RunStage.RESOLVE] == left[RunStage.RESOLVE]
    plant.is_as_if_nothing_happened(run)


@ON_SERVER
def test_worker_when_stopped_for_longer_than_its_lease_then_it_writes_nothing_and_ends(
    plant: Plant,
) -> None:
    plant.serve()
    plant.work("zombie")
    run = at_work(plant)
    zombie = plant.stages(run)[RunStage.BUILD].worker

    plant.processes["zombie"].send_signal(signal.SIGSTOP)
    plant.work("other")
    plant.wait_for(run, RunState.SUCCEEDED)
    before = (plant.run(run), plant.stages(run))
    plant.processes["zombie"].send_signal(signal.SIGCONT)

    assert plant.ended("zombie") == 3
    assert "lease-lost" in plant.said("zombie")
    assert (plant.run(run), plant.stages(run)) == before
    assert before[1][RunStage.BUILD].worker != zombie
    plant.is_as_if_nothing_happened(run)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Worksite]:
    """Give a plant on a server that nobody else needs."""
    try:
        with running_server() as server:
            plant = Plant(Workbench(tmp_path), server.url_of(server.new_database()))
            try:
                plant.apply()
                yield Worksite(plant, server)
            finally:
                plant.end()
    except ServerMissing as missing:
        pytest.skip(f"{missing}; scripts/test installs it")


def test_server_when_away_in_mid_build_then_nobody_takes_over_and_nothing_is_done_twice(
    own_server: Worksite,
) -> None:
    plant = own_server.plant
    plant.serve()
    wait_until(plant.is_leading, "the first process")
    plant.work("one")
    plant.work("other")
    run = at_work(plant)
    left = plant.stages(run)

    with own_server.server.away():
        stop_for(AWAY_SECONDS)
    plant.wait_for(run, RunState.SUCCEEDED)

    stages = plant.stages(run)
    assert stages[RunStage.RESOLVE] == left[RunStage.RESOLVE]
    assert stages[RunStage.BUILD].worker == left[RunStage.BUILD].worker
    assert plant.bench.logs().count("made slow") == 1
    plant.is_as_if_nothing_happened(run)


@ON_BOTH
def test_process_when_told_to_leave_then_its_stage_ends_and_the_next_process_goes_on(
    plant: Plant,
) -> None:
    begun(plant)
    run = at_work(plant)
    leaving = "worker" if plant.is_server else "control"

    plant.processes[leaving].terminate()
    assert plant.ended(leaving) == 0
    left = plant.stages(run)
    begun(plant) if leaving == "control" else plant.work()
    plant.wait_for(run, RunState.SUCCEEDED)

    assert {stage: row.state for stage, row in left.items()} == dict.fromkeys(
        (RunStage.RESOLVE, RunStage.BUILD), StepState.SUCCEEDED
    )
    assert left == {stage: plant.stages(run)[stage] for stage in left}
    plant.is_as_if_nothing_happened(run)


@ON_FILE
def test_process_when_told_to_leave_twice_then_it_ends_at_once_and_the_stage_is_done_again(
    plant: Plant,
) -> None:
    begun(plant)
    run = at_work(plant)

    plant.processes["control"].terminate()
    stop_for(0.3)
    plant.processes["control"].terminate()
    assert plant.ended("control", seconds=PROMPTLY_SECONDS) == 0
    wait_until(plant.is_at_rest, "a clean machine", seconds=30)
    assert states(plant, run)[RunStage.BUILD] is StepState.RUNNING
    begun(plant)
    plant.wait_for(run, RunState.SUCCEEDED)

    plant.is_as_if_nothing_happened(run)


@ON_BOTH
def test_run_when_cancelled_in_mid_build_then_its_process_is_gone_and_nothing_is_left(
    plant: Plant,
) -> None:
    plant.apply(work_seconds=60)
    begun(plant)
    run = at_work(plant)
    assert plant.children() != []

    assert plant.bench.run("run", "cancel", run).returncode == 0
    took = seconds_until(plant, run, lambda: plant.children() == [] and plant.workings() == [])

    assert took <= CANCEL_SECONDS
    ended = plant.wait_for(run, RunState.CANCELLED, seconds=PROMPTLY_SECONDS)
    assert ended.error == "Cancelled by ada."
    plant.leave()
    wait_until(plant.is_at_rest, "a clean machine", seconds=30)


@ON_BOTH
def test_run_when_cancelled_while_it_waits_for_a_slot_then_it_ends_and_the_next_one_can_begin(
    plant: Plant,
) -> None:
    plant.apply(name=PipelineName("other"))
    begun(plant)
    run = at_work(plant)
    waiting = plant.start("other")
    plant.wait(lambda: RunStage.RESOLVE in plant.succeeded(waiting), "its turn", waiting)

    assert plant.bench.run("run", "cancel", waiting).returncode == 0
    plant.wait_for(waiting, RunState.CANCELLED, seconds=PROMPTLY_SECONDS)
    last = plant.start("other")

    plant.wait_for(run, RunState.SUCCEEDED)
    plant.wait_for(last, RunState.UNCHANGED)
    assert list(states(plant, waiting)) == [RunStage.RESOLVE]
    plant.is_as_if_nothing_happened(run)


@ON_FILE
def test_run_when_cancelled_in_a_pool_without_workers_then_it_ends_and_keeps_nobody_waiting(
    plant: Plant,
) -> None:
    plant.apply(pool="build.none")
    begun(plant)
    waiting = plant.start()
    plant.wait(lambda: RunStage.RESOLVE in plant.succeeded(waiting), "its turn", waiting)

    assert plant.bench.run("run", "cancel", waiting).returncode == 0
    plant.wait_for(waiting, RunState.CANCELLED, seconds=PROMPTLY_SECONDS)
    plant.apply()
    run = plant.start()

    plant.wait_for(run, RunState.SUCCEEDED)
    plant.is_as_if_nothing_happened(run)


@ON_FILE
def test_run_when_it_failed_and_is_retried_then_it_goes_on_at_the_stage_that_failed(
    plant: Plant,
) -> None:
    plant.apply(attempts=1)
    begun(plant)
    run = at_work(plant, RunStage.VALIDATE)
    for child in plant.children():
        os.kill(child, signal.SIGKILL)
    failed = plant.wait_for(run, RunState.FAILED)
    done = plant.succeeded(run)

    assert failed.error_code == "stage-process-died"
    assert plant.bench.run("run", "retry", run).returncode == 0
    plant.wait_for(run, RunState.SUCCEEDED)

    assert list(done) == [RunStage.RESOLVE, RunStage.BUILD]
    assert done == {stage: plant.stages(run)[stage] for stage in done}
    plant.is_as_if_nothing_happened(run, validate=2)


@ON_FILE
def test_stage_when_only_its_process_is_killed_then_it_is_tried_again(plant: Plant) -> None:
    begun(plant)
    run = at_work(plant)

    for child in plant.children():
        os.kill(child, signal.SIGKILL)
    plant.wait_for(run, RunState.SUCCEEDED)

    plant.is_as_if_nothing_happened(run, build=2)


def lose_books(plant: Plant) -> None:
    """Take away all that the engine knew."""
    if plant.is_server:
        plant.forget_engine()
        return
    files = list(plant.home.glob("engine.db*"))
    assert files != []
    for file in files:
        file.unlink()


@ON_BOTH
def test_engine_when_its_books_are_lost_then_queued_and_running_runs_are_done_all_the_same(
    plant: Plant,
) -> None:
    begun(plant)
    run = at_work(plant)
    queued = plant.start()
    done = plant.succeeded(run)

    plant.kill(*plant.processes)
    assert (plant.run(run).state, plant.run(queued).state) == (RunState.RUNNING, RunState.QUEUED)
    lose_books(plant)
    plant.serve()
    if plant.is_server:
        # A worker needs the books that only this process makes.
        wait_until(plant.is_leading, "the next process", seconds=30)
        plant.work()
    plant.wait_for(run, RunState.SUCCEEDED)
    plant.wait_for(queued, RunState.UNCHANGED)

    assert done == {stage: plant.stages(run)[stage] for stage in done}
    plant.is_as_if_nothing_happened(run)


@ON_BOTH
def test_run_when_approved_while_nobody_is_there_then_it_goes_on_with_whoever_comes(
    plant: Plant,
) -> None:
    plant.apply(needs_approval=True)
    begun(plant)
    run = plant.start()
    plant.wait_for(run, RunState.AWAITING_APPROVAL)
    done: dict[RunStage, StageRun] = plant.succeeded(run)

    plant.kill("control")
    assert plant.bench.run("run", "approve", run).returncode == 0
    plant.serve()
    plant.wait_for(run, RunState.SUCCEEDED)

    assert list(done) == list(RunStage)[:-2]
    assert done == {stage: plant.stages(run)[stage] for stage in done}
    plant.is_as_if_nothing_happened(run)
