"""What is watched is also what is kept."""

from pathlib import Path

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import StepRun, StepState
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step
from tests.build import a_run
from tests.fakes.clock import FakeClock
from tests.fakes.progress import FakeProgress
from tests.fakes.runs import FakeRunFiles, FakeRunStore

RUN = RunId("run-1")


class Watched:
    """A recorded progress with all it speaks to."""

    def __init__(self) -> None:
        self.runs, self.files, self.clock = FakeRunStore(), FakeRunFiles(), FakeClock()
        self.watcher = FakeProgress()
        self.runs.save(a_run(RUN))
        self.progress = RecordedProgress(RUN, self.watcher, self.runs, self.files, self.clock)

    @property
    def steps(self) -> list[StepRun]:
        return list(self.runs.steps(RUN))


def test_step_when_it_runs_then_is_kept_as_running() -> None:
    watched = Watched()
    watched.progress.step_started("nginx")
    assert [(s.number, s.name, s.state) for s in watched.steps] == [(1, "nginx", "running")]
    assert watched.watcher.steps == [("nginx", "running", "")]


def test_step_when_it_ended_then_is_kept_with_its_time_and_said_on() -> None:
    watched = Watched()
    for name in ("one", "two"):
        watched.progress.step_started(name)
        watched.clock.advance(1.5)
        watched.progress.step_ended(StepState.CACHED, "2 KiB")
    assert [(s.number, s.state, s.seconds, s.detail) for s in watched.steps] == [
        (1, "cached", 1.5, "2 KiB"),
        (2, "cached", 1.5, "2 KiB"),
    ]
    assert watched.watcher.states == {"one": "cached", "two": "cached"}


def test_line_when_a_step_runs_then_is_kept_in_its_log_and_said_on() -> None:
    watched = Watched()
    watched.progress.line("before any step")
    watched.progress.step_started("one")
    watched.progress.line("hello")
    assert watched.watcher.lines == ["before any step", "hello"]
    assert watched.files.log(RUN, 1) == "hello\n"


def test_step_when_none_runs_then_its_end_is_no_event() -> None:
    watched = Watched()
    watched.progress.step_ended(StepState.SUCCEEDED)
    assert watched.steps == []
    assert watched.watcher.steps == []


def test_fail_open_step_when_one_runs_then_it_failed_and_only_once() -> None:
    watched = Watched()
    watched.progress.step_started("one")
    watched.progress.fail_open_step("It broke.")
    watched.progress.fail_open_step("Again.")
    assert [(s.state, s.detail) for s in watched.steps] == [("failed", "It broke.")]


def test_step_when_another_process_kept_some_then_counts_on_and_ends_what_that_left_open() -> None:
    watched = Watched()
    watched.progress.step_started("one")
    watched.progress.step_ended(StepState.CACHED)
    watched.progress.step_started("two")

    later = RecordedProgress(RUN, watched.watcher, watched.runs, watched.files, watched.clock)
    later.step_started("three")
    later.step_ended(StepState.SUCCEEDED)
    later.step_started("four")

    assert [(s.number, s.name, s.state, s.detail) for s in watched.steps] == [
        (1, "one", "cached", ""),
        (2, "two", "failed", "its process ended"),
        (3, "three", "succeeded", ""),
        (4, "four", "running", ""),
    ]


def test_failing_step_when_interrupted_then_its_step_failed() -> None:
    watched = Watched()
    watched.progress.step_started("one")

    with pytest.raises(KeyboardInterrupt), failing_step(watched.progress):
        raise KeyboardInterrupt

    assert [(s.state, s.detail) for s in watched.steps] == [("failed", "interrupted")]


def test_details_when_a_step_runs_then_are_kept_beside_its_log_and_said_on() -> None:
    watched = Watched()
    watched.progress.detailed("early", {})
    watched.progress.step_started("nginx")
    watched.progress.detailed("nginx", {"status": "Success"})
    (kept,) = watched.files.details(RUN, 1)
    assert Path(kept).read_bytes() == b'{"status":"Success"}'
    assert watched.watcher.details == {"early": {}, "nginx": {"status": "Success"}}
