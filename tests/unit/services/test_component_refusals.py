"""Steps that lack what they need to begin, and what is told of those that fail."""

from dataclasses import replace
from typing import Any

import pytest

from imagebuilder.domain.component import ActionName, ComponentStep, OnFailure, PhaseName
from imagebuilder.domain.conditions import Comparison, Guard, Operator
from imagebuilder.domain.loops import CountingLoop
from imagebuilder.ports.values import OutsideValue
from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.failing import ComponentFailed
from imagebuilder.services.provisioning.outcomes import StepOutcome, StepStatus
from imagebuilder.services.provisioning.outside import OutsideValueChanged
from imagebuilder.services.provisioning.refusals import ActionRefusedError, SayingNo
from tests.build import a_component, a_component_step
from tests.fakes.machine import Answer, FakeMachine
from tests.fakes.values import FakeValues
from tests.means import bash, runner, saying, some_means

PATTERN = {"patternMatches": "{{ bad }}", "value": "x"}
MATCHES = Comparison(operator=Operator.PATTERN_MATCHES, operand="{{ bad }}", value="x")
UNFILLED = [
    (bash("Bad", "echo {{ env:NONE }}"), "There is no value for {{ env:NONE }}."),
    (bash("Bad", guard=Guard(condition=MATCHES)), "'(' is no regular expression."),
    (bash("Bad", loop=CountingLoop(start="{{ bad }}", end=2, update_by=1)), "The loop counts with"),
    (a_component_step("Bad", ActionName.ASSERT, inputs=PATTERN), "'(' is no regular expression."),
]


def ran(
    *steps: ComponentStep, machine: FakeMachine | None = None, **more: Any
) -> list[StepOutcome]:
    """Run steps and give how each ended."""
    component = a_component(build=steps, constants={"bad": "("})
    given_all = runner(component, machine or FakeMachine(), **more)
    return list(given_all.run(PhaseName.BUILD))


@pytest.mark.parametrize(("step", "why"), UNFILLED)
def test_run_when_a_step_lacks_a_value_then_it_failed_as_any(step: ComponentStep, why: str) -> None:
    details: list[Any] = []
    with pytest.raises(ComponentFailed, match=r"^Step Bad .* in phase build of") as failure:
        ran(step, on_detail=lambda _name, document: details.append(document))
    assert why in failure.value.context
    (phase,) = details[-1]["documents"][0]["phases"]
    (told,) = phase["steps"]
    assert told["status"] == "Failed"
    assert why in told["attempts"][0]["turns"][0]["stderr"]


@pytest.mark.parametrize(("step", "why"), UNFILLED)
def test_run_when_such_a_failure_is_ignored_then_it_is_told_and_the_next_step_runs(
    step: ComponentStep, why: str
) -> None:
    lines: list[str] = []
    ignored = replace(step, on_failure=OnFailure.IGNORE, max_attempts=2)
    first, second = ran(ignored, bash("Next"), on_line=lines.append)
    assert (first.status, first.attempts) == (StepStatus.IGNORED_FAILURE, 2)
    assert first.exit_status == 1
    assert second.is_success
    assert sum(line.startswith(why) for line in lines) == 2


class Refusing:
    """An action that refuses everything, and says so only at its end."""

    def run(self, call: Any) -> Any:
        raise ActionRefusedError(f"no {call.step}")


def test_run_when_an_action_says_no_then_it_is_told_once() -> None:
    lines: list[str] = []
    means = some_means(actions=own_actions({ActionName.RUN_ANSIBLE: SayingNo(Refusing())}))
    step = a_component_step("Play", ActionName.RUN_ANSIBLE, on_failure=OnFailure.IGNORE)
    ran(step, on_line=lines.append, means=means)
    assert lines == ["--- build: Play (RunAnsible)", "no Play"]


def test_run_when_a_reason_was_not_told_as_it_came_then_it_is_told_at_the_end() -> None:
    lines: list[str] = []
    machine = saying(Answer(exit_status=1, stdout=b"play\nboth\n", stderr=b"both\nno host\n"))
    ran(bash("Play", on_failure=OnFailure.IGNORE), machine=machine, on_line=lines.append)
    assert lines[1:] == ["play", "both", "no host"]


def test_run_when_a_step_hides_its_output_then_its_reason_is_not_told() -> None:
    lines: list[str] = []
    machine = saying(Answer(exit_status=1, stderr=b"hidden"))
    step = bash("Play", on_failure=OnFailure.IGNORE, hides_output=True)
    ran(step, machine=machine, on_line=lines.append)
    assert lines == ["--- build: Play (ExecuteBash)"]


def test_run_when_a_step_restarts_too_often_then_that_is_its_last_word() -> None:
    lines: list[str] = []
    with pytest.raises(ComponentFailed) as failure:
        ran(bash("Again"), machine=saying(Answer(exit_status=194)), on_line=lines.append)
    assert lines[-1] == (
        "It asked for a restart more than 10 times: it must stop exiting with 194 when its work is"
        " done."
    )
    assert lines[-1] in failure.value.context


def test_run_when_a_value_is_not_the_planned_one_then_no_step_may_ignore_it() -> None:
    step = bash("Use", "echo {{ aws:ssm:/a }}", on_failure=OnFailure.IGNORE, max_attempts=2)
    values = FakeValues(parameters={"/a": OutsideValue(text="new")})
    component = replace(a_component(build=[step]), outside={"aws:ssm:/a": "old"})
    with pytest.raises(OutsideValueChanged):
        runner(component, FakeMachine(), means=some_means(source=values)).run(PhaseName.BUILD)
