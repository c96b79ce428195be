"""Loops, conditions and restarts of steps.

Source: AWS Task Orchestrator and Executor, "Looping constructs" and "Conditional constructs".
"""

from dataclasses import replace
from typing import Any

import pytest

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import ComponentStep, OnFailure, PhaseName
from imagebuilder.domain.conditions import Branch, Comparison, Condition, Guard, Not, Operator
from imagebuilder.domain.loops import CountingLoop, ListLoop, SplitLoop
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult, OnLine
from imagebuilder.services.provisioning.failing import ComponentFailed
from imagebuilder.services.provisioning.outcomes import StepStatus
from tests.build import a_component, a_component_step
from tests.fakes.machine import Answer, FakeMachine
from tests.means import bash, echoing, runner, saying, texts


def ran(machine: FakeMachine, *steps: ComponentStep, **component: Any) -> list[str]:
    """Run steps and give the commands that were run."""
    runner(a_component(build=steps, **component), machine).run(PhaseName.BUILD)
    return texts(machine)


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (CountingLoop(start=1, end=3, update_by=1), ["0 1", "1 2", "2 3"]),
        (CountingLoop(start=5, end=1, update_by=-2), ["0 5", "1 3", "2 1"]),
        (ListLoop(items=("a", "{{ letter }}")), ["0 a", "1 z"]),
        (SplitLoop(text="x y", delimiter=" "), ["0 x", "1 y"]),
        (SplitLoop(text=""), []),
    ],
)
def test_loop_then_the_step_runs_for_each_value_with_its_index(
    loop: Any, expected: list[str]
) -> None:
    step = bash("Each", "{{ loop.index }} {{ loop.value }}", loop=loop)
    assert ran(FakeMachine(), step, constants={"letter": "z"}) == expected


def test_loop_when_it_has_a_name_then_both_names_are_filled() -> None:
    step = bash("Each", "{{ Opt.value }}{{ loop.value }}", loop=ListLoop(items=("a",), name="Opt"))
    assert ran(FakeMachine(), step) == ["aa"]


@pytest.mark.parametrize("written", ["{{ loop.value }}", "{{ Other.index }}"])
def test_loop_values_when_there_is_no_such_loop_then_stay_as_written(written: str) -> None:
    assert ran(FakeMachine(), bash("None", written)) == [written]


def test_loop_values_when_they_look_like_references_then_are_not_looked_at_again() -> None:
    step = bash("Each", "{{ loop.value }}", loop=SplitLoop(text="{{ given }}"))
    machine = FakeMachine()
    component = a_component(build=[step], constants={"secret": "x"})
    runner(component, machine, {"given": "{{ secret }},b"}).run(PhaseName.BUILD)
    assert texts(machine) == ["{{ secret }}", "b"]


def test_loop_then_later_steps_have_its_outputs_line_by_line() -> None:
    steps = (
        bash("Each", "echo {{ loop.value }}", loop=ListLoop(items=("a", "b"))),
        bash("Use", "echo {{ build.Each.outputs.stdout }}"),
    )
    assert ran(echoing(), *steps)[-1] == "echo a\nb"


def test_loop_when_an_iteration_fails_then_its_output_is_not_among_those_of_the_step() -> None:
    machine = saying(Answer(stdout=b"good"), Answer(exit_status=1, stdout=b"bad"), Answer())
    steps = (
        bash("Each", loop=ListLoop(items=("a", "b", "c")), on_failure=OnFailure.IGNORE),
        bash("Use", "echo {{ build.Each.outputs.stdout }}"),
    )
    assert ran(machine, *steps)[-1] == "echo good"


def test_loop_when_an_iteration_fails_then_the_rest_is_left_and_its_index_is_told() -> None:
    step = bash("Each", "exit {{ loop.index }}", loop=ListLoop(items=("a", "b", "c")))
    machine = echoing()
    with pytest.raises(ComponentFailed, match="in iteration 1 of its loop"):
        ran(machine, step)
    assert texts(machine) == ["exit 0", "exit 1"]


def test_loop_when_it_is_tried_again_then_it_starts_at_its_first_value() -> None:
    machine = saying(Answer(), Answer(exit_status=1), Answer())
    step = bash("Each", "{{ loop.value }}", loop=ListLoop(items=("a", "b")), max_attempts=2)
    assert ran(machine, step) == ["a", "b", "a", "b"]


class SlowMachine(FakeMachine):
    """A machine on which every script takes four seconds."""

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        return replace(FakeMachine.run(self, script, on_line), seconds=4.0)


def test_loop_then_the_time_limit_is_for_all_its_iterations_and_anew_in_each_attempt() -> None:
    answers = [Answer(), Answer(exit_status=1), Answer(), Answer()]
    machine = SlowMachine(lambda _script: answers.pop(0))
    loop = ListLoop(items=("a", "b"))
    ran(machine, bash("Each", loop=loop, timeout_seconds=10, max_attempts=2))
    assert [script.timeout_seconds for script in machine.scripts] == [10.0, 6.0, 10.0, 6.0]


def test_restart_then_the_step_has_what_is_left_of_its_time() -> None:
    answers = [Answer(exit_status=194), Answer()]
    machine = SlowMachine(lambda _script: answers.pop(0))
    ran(machine, bash("Again", timeout_seconds=10))
    assert [script.timeout_seconds for script in machine.scripts] == [10.0, 6.0]
    assert machine.restarts == [0.0]


def guarded(condition: Condition, **branches: Branch) -> ComponentStep:
    return bash("Work", guard=Guard(condition=condition, **branches))


ASKED = Comparison(operator=Operator.FILE_EXISTS, operand="{{ file }}")
IS_THERE = "[ -e /f ] && [ ! -d /f ]"


def test_condition_when_it_holds_then_the_step_runs() -> None:
    commands = ran(FakeMachine(), guarded(ASKED), constants={"file": "/f"})
    assert commands == [IS_THERE, "true"]


def test_condition_when_it_does_not_hold_then_the_step_is_skipped_and_counts_as_good() -> None:
    machine = saying(Answer(exit_status=1), Answer())
    component = a_component(build=[guarded(ASKED), bash("Next")], constants={"file": "/f"})
    first, second = runner(component, machine).run(PhaseName.BUILD)
    assert (first.status, first.is_success, first.attempts) == (StepStatus.SKIPPED, True, 0)
    assert second.status is StepStatus.SUCCESS


def test_condition_when_it_says_abort_then_the_step_failed_without_running() -> None:
    machine = FakeMachine()
    with pytest.raises(ComponentFailed, match="was aborted by its condition"):
        ran(machine, guarded(ASKED, then=Branch.ABORT), constants={"file": "/f"})
    assert texts(machine) == [IS_THERE]


def test_condition_when_the_step_is_tried_again_or_resumed_then_is_not_asked_again() -> None:
    answers = [Answer(), Answer(exit_status=194), Answer(exit_status=1), Answer()]
    machine = FakeMachine(lambda _script: answers.pop(0))
    step = replace(guarded(ASKED), max_attempts=2)
    assert ran(machine, step, constants={"file": "/f"}) == [IS_THERE, "true", "true", "true"]


def test_condition_when_paths_are_odd_then_they_are_one_word() -> None:
    odd = Not(condition=Comparison(operator=Operator.FOLDER_EXISTS, operand="/a b; reboot"))
    machine = saying(Answer(exit_status=1), Answer())
    assert ran(machine, guarded(odd))[0] == "[ -d '/a b; reboot' ]"


def test_condition_on_a_digest_then_compares_what_the_machine_says() -> None:
    machine = saying(Answer(stdout=b"ABC  -\n"), Answer())
    condition = Comparison(operator=Operator.FILE_MD5_EQUALS, operand="abc", value="/f")
    assert ran(machine, guarded(condition)) == ["[ -f /f ] && md5sum < /f", "true"]


@pytest.mark.parametrize(
    ("inputs", "statuses", "is_good"),
    [
        ({"fileExists": "/etc/hostname"}, [0], True),
        ({"fileExists": "/etc/hostname"}, [1], False),
        ({"stringEquals": "a", "value": "a"}, [], True),
        ({"and": [{"folderExists": "/a"}, {"binaryExists": "b"}]}, [0, 1], False),
        ({"or": [{"folderExists": "/a"}, {"binaryExists": "b"}]}, [1, 0], True),
        ({"not": {"stringIsEmpty": "x"}}, [], True),
    ],
)
def test_assert_then_fails_when_its_condition_does_not_hold(
    inputs: Any, statuses: list[int], *, is_good: bool
) -> None:
    left = list(statuses)
    machine = FakeMachine(lambda _script: Answer(exit_status=left.pop(0)))
    step = a_component_step("Check", ActionName.ASSERT, inputs=inputs, on_failure=OnFailure.IGNORE)
    (outcome,) = runner(a_component(build=[step]), machine).run(PhaseName.BUILD)
    assert outcome.is_success is is_good


def test_reboot_then_the_machine_restarts_after_its_delay_and_the_next_step_runs() -> None:
    machine = FakeMachine()
    reboot = a_component_step("Again", ActionName.REBOOT, inputs={"delaySeconds": 3})
    assert ran(machine, reboot, bash("Next", "next")) == ["next"]
    assert machine.restarts == [3.0]


def test_exit_194_when_the_step_executes_nothing_then_is_a_failure_as_any() -> None:
    machine = saying(Answer(exit_status=194))
    step = a_component_step("File", ActionName.CREATE_FILE, inputs=[{"path": "/f"}])
    with pytest.raises(ComponentFailed, match="exit status 194"):
        ran(machine, step)
    assert machine.restarts == []
