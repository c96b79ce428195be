"""A stage's own process: its word, its time, its end; the command is the real one."""

import os
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.adapters.system.stage_processes import SystemStageProcesses
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage
from imagebuilder.ports.stage_processes import FaultKind

RUN = RunId("run-that-nobody-made")


@pytest.fixture
def processes(tmp_path: Path) -> SystemStageProcesses:
    clock = SystemClock()
    checkout = str(Path(__file__).parents[3])
    environment = {**os.environ, "IMAGEBUILDER_HOME": str(tmp_path), "PYTHONPATH": checkout}
    folders = partial(working_folder, tmp_path / "work")
    return SystemStageProcesses(SystemCommandRunner(clock), clock, environment, folders)


def test_stage_when_it_cannot_be_done_then_its_process_says_why(
    processes: SystemStageProcesses, tmp_path: Path
) -> None:
    report = processes.run(RUN, RunStage.BUILD, None, lambda: True)

    assert report is not None
    assert report.fault is not None
    assert (report.fault.kind, report.fault.code) == (FaultKind.FINAL, "run-not-found")
    assert list((tmp_path / "work").glob("stage-*")) == []


def test_stage_when_its_time_is_up_then_that_is_its_fault(processes: SystemStageProcesses) -> None:
    report = processes.run(RUN, RunStage.BUILD, 0.01, lambda: True)

    assert report is not None
    assert report.fault is not None
    assert report.fault.code == "stage-timed-out"


def test_stage_when_its_process_leaves_no_word_then_it_may_be_done_again(tmp_path: Path) -> None:
    clock = SystemClock()
    folders = partial(working_folder, tmp_path / "work")
    nowhere = {"PYTHONPATH": "/nonexistent", "IMAGEBUILDER_NONSENSE": "1", "HOME": str(tmp_path)}
    processes = SystemStageProcesses(SystemCommandRunner(clock), clock, nowhere, folders)

    report = processes.run(RUN, RunStage.BUILD, None, lambda: True)

    assert report is not None
    assert report.fault is not None
    assert (report.fault.kind, report.fault.code) == (FaultKind.LATER, "stage-process-died")
