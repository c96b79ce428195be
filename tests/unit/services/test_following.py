"""What a run prints is given as it comes, each line once, to the run's end."""

from collections.abc import Callable, Iterator

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunState
from imagebuilder.services.following import Following, Printed
from tests.build import SOME_DAY, a_run, a_step
from tests.fakes.runs import FakeRunFiles, FakeRunStore

RUN = RunId("run-1")


class Stage:
    """A run that goes on while somebody waits: one scene at each pause."""

    def __init__(self) -> None:
        self.runs = FakeRunStore()
        self.files = FakeRunFiles()
        self.scenes: list[Callable[[], None]] = []
        self.tidied = 0
        self.runs.save(a_run())

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.scenes.pop(0)()

    def tidy(self) -> None:
        self.tidied += 1

    def follow(self, number: int | None = None) -> Iterator[Printed]:
        following = Following(self.runs, self.files, pause=self.pause, tidy=self.tidy)
        return following.follow(RUN, number)

    def begins(self, number: int) -> None:
        self.runs.save_step(RUN, a_step(number))

    def prints(self, number: int, text: str) -> None:
        self.files.append(RUN, number, "nginx", text)

    def ends(self, state: RunState = RunState.SUCCEEDED) -> None:
        self.runs.save(a_run(state=state, ended_at=SOME_DAY if state.is_final else None))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_follow_then_gives_each_line_once_and_each_step_as_it_begins(stage: Stage) -> None:
    stage.begins(1)
    stage.prints(1, "one")

    def goes_on() -> None:
        stage.prints(1, "two")
        stage.begins(2)

    def comes_to_its_end() -> None:
        stage.prints(2, "three")
        stage.ends()

    stage.scenes = [goes_on, lambda: None, comes_to_its_end]

    told = [(printed.step.number, printed.text) for printed in stage.follow()]

    assert told == [(1, ""), (1, "one\n"), (1, "two\n"), (2, ""), (2, "three\n")]
    assert stage.scenes == []


def test_follow_when_a_step_is_named_then_gives_its_lines_alone(stage: Stage) -> None:
    for number in (1, 2):
        stage.begins(number)
        stage.prints(number, f"of {number}")
    stage.ends()

    assert [printed.text for printed in stage.follow(2)] == ["", "of 2\n"]


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.AWAITING_APPROVAL])
def test_follow_when_nothing_more_comes_then_ends(stage: Stage, state: RunState) -> None:
    stage.scenes = [lambda: stage.ends(state)]

    assert list(stage.follow()) == []


def test_follow_when_it_looks_then_asks_first_whether_its_process_lives(stage: Stage) -> None:
    stage.scenes = [lambda: None, stage.ends]

    list(stage.follow())

    assert stage.tidied == 3
