"""How components run, against a small model of AWSTOE's rules for statuses.

Source: AWS Task Orchestrator and Executor, component documents: if, loop, onFailure, maxAttempts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.component import ComponentStep, OnFailure, PhaseName
from imagebuilder.domain.conditions import Branch, Comparison, Guard, Operator
from imagebuilder.domain.loops import CountingLoop
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.failing import ComponentFailed
from imagebuilder.services.provisioning.outcomes import Status, StepStatus
from tests.build import a_component
from tests.fakes.machine import Answer, FakeMachine
from tests.means import bash, runner

MOST_TURNS = 3
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Told:
    """A step of the model.

    Shape: `ends` are how its work ends each time it is done, in any attempt and turn. `turns` is
    None without a loop; `holds` is None without a condition.
    """

    ends: tuple[bool, ...]
    on_failure: OnFailure
    max_attempts: int
    turns: int | None
    holds: bool | None
    then: Branch
    otherwise: Branch


@dataclass(frozen=True)
class Verdict:
    """What the model expects. Shape: `work` is (step, turn) for each time work is done."""

    statuses: tuple[StepStatus, ...]
    attempts: tuple[int, ...]
    work: tuple[tuple[int, int], ...]

    @property
    def status(self) -> Status:
        if StepStatus.FAILED in self.statuses:
            return Status.FAILED
        ignored = StepStatus.IGNORED_FAILURE in self.statuses
        return Status.SUCCESS_WITH_IGNORED_FAILURE if ignored else Status.SUCCESS


def expected(steps: Sequence[Told]) -> Verdict:
    statuses: list[StepStatus] = []
    attempts: list[int] = []
    work: list[tuple[int, int]] = []
    for number, step in enumerate(steps):
        branch = Branch.EXECUTE
        if step.holds is not None:
            branch = step.then if step.holds else step.otherwise
        tried, is_good = 0, branch is Branch.SKIP
        ends = iter(step.ends)
        while branch is Branch.EXECUTE and not is_good and tried < step.max_attempts:
            tried += 1
            is_good = True
            for turn in range(1 if step.turns is None else step.turns):
                work.append((number, turn))
                if not next(ends):
                    is_good = False
                    break
        attempts.append(tried)
        if branch is Branch.SKIP:
            statuses.append(StepStatus.SKIPPED)
        elif is_good:
            statuses.append(StepStatus.SUCCESS)
        elif step.on_failure is OnFailure.IGNORE:
            statuses.append(StepStatus.IGNORED_FAILURE)
        else:
            statuses.append(StepStatus.FAILED)
            if step.on_failure is OnFailure.ABORT:
                break
    return Verdict(tuple(statuses), tuple(attempts), tuple(work))


TOLD = st.builds(
    Told,
    ends=st.tuples(*[st.booleans()] * (MOST_TURNS * MOST_ATTEMPTS)),
    on_failure=st.sampled_from(OnFailure),
    max_attempts=st.integers(1, MOST_ATTEMPTS),
    turns=st.none() | st.integers(1, MOST_TURNS),
    holds=st.none() | st.booleans(),
    then=st.sampled_from(Branch),
    otherwise=st.sampled_from(Branch),
)


def step_of(number: int, told: Told) -> ComponentStep:
    """Give the step of the model, whose command says which it is and in which turn."""
    asked = Comparison(operator=Operator.STRING_EQUALS, operand="{{ truth }}", value="True")
    untrue = Comparison(operator=Operator.STRING_EQUALS, operand="{{ truth }}", value="False")
    condition = asked if told.holds else untrue
    return bash(
        f"S{number}",
        f"{number} 0" if told.turns is None else f"{number} {{{{ loop.index }}}}",
        on_failure=told.on_failure,
        max_attempts=told.max_attempts,
        guard=None
        if told.holds is None
        else Guard(condition=condition, then=told.then, otherwise=told.otherwise),
        loop=None
        if told.turns is None
        else CountingLoop(start=10, end=9 + told.turns, update_by=1),
    )


@given(st.lists(TOLD, max_size=5))
def test_run_when_steps_end_in_any_way_then_goes_as_awstoe_says(told: list[Told]) -> None:
    ends = [iter(step.ends) for step in told]
    work: list[tuple[int, int]] = []

    def answer(script: Script) -> Answer:
        number, turn = map(int, script.text.split())
        work.append((number, turn))
        return Answer(exit_status=0 if next(ends[number]) else 1)

    steps = [step_of(number, each) for number, each in enumerate(told)]
    component = a_component(build=steps, constants={"truth": "True"})
    verdict = expected(told)
    given_all = runner(component, FakeMachine(answer))
    try:
        given_all.run(PhaseName.BUILD)
    except ComponentFailed:
        has_failed = True
    else:
        has_failed = False
    outcomes = given_all.outcomes[PhaseName.BUILD]
    assert tuple(outcome.status for outcome in outcomes) == verdict.statuses
    assert tuple(outcome.attempts for outcome in outcomes) == verdict.attempts
    assert tuple(work) == verdict.work
    assert given_all.status is verdict.status
    assert has_failed == (verdict.status is Status.FAILED)
