"""Outcomes: how steps, phases and documents ended.

Source: AWS Task Orchestrator and Executor: a failed step fails its phase and document, unless its
failure is to be ignored; a skipped step is a successful one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.component import ComponentStep
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.loops import Iteration
from imagebuilder.ports.process import CommandResult
from imagebuilder.services.provisioning.scripts import NOTHING_DONE, has_failed


class StepStatus(StrEnum):
    """How a step ended; values are the names logs use."""

    SUCCESS = "Success"
    SKIPPED = "Skipped"
    IGNORED_FAILURE = "IgnoredFailure"
    FAILED = "Failed"


class Status(StrEnum):
    """How a phase or a document ended; values are the names logs use."""

    SUCCESS = "Success"
    SUCCESS_WITH_IGNORED_FAILURE = "SuccessWithIgnoredFailure"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The work of a step once: all of it, or one iteration of its loop.

    `inputs` have no references left; `detail` is what is to be logged beside its output.
    """

    inputs: Canonical
    result: CommandResult
    outputs: Sequence[Mapping[str, str]]
    iteration: Iteration | None = None
    detail: Canonical = None

    @property
    def has_failed(self) -> bool:
        """Whether it went wrong."""
        return has_failed(self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a whole step. `problem` says why it did not come to its end, when it did not."""

    turns: tuple[Turn, ...] = ()
    problem: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the step would have to be tried again."""
        return bool(self.problem) or any(turn.has_failed for turn in self.turns)

    @property
    def result(self) -> CommandResult:
        """How the last of its work ended."""
        return self.turns[-1].result if self.turns else NOTHING_DONE

    @property
    def seconds(self) -> float:
        """How long its work took."""
        return sum(turn.result.seconds for turn in self.turns)

    @property
    def outputs(self) -> Sequence[Mapping[str, str]]:
        """What later steps may refer to; of a loop, all iterations that went well, line by line."""
        if all(turn.iteration is None for turn in self.turns):
            return self.turns[-1].outputs if self.turns else ()
        good = [turn.outputs for turn in self.turns if not turn.has_failed]
        return [
            _by_lines(outputs[index] for outputs in good if index < len(outputs))
            for index in range(max(map(len, good), default=0))
        ]


def _by_lines(outputs: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    joined: dict[str, list[str]] = {}
    for output in outputs:
        for key, text in output.items():
            joined.setdefault(key, []).append(text)
    return {key: "\n".join(texts) for key, texts in joined.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """How a step ended, and with which attempts.

    `failure` goes on after the step's name; `reason` is what its condition came to.
    """

    step: ComponentStep
    status: StepStatus
    started_at: datetime
    ended_at: datetime
    tries: tuple[Attempt, ...] = ()
    failure: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name

    @property
    def attempts(self) -> int:
        """How often it was tried; a skipped step was not."""
        return len(self.tries)

    @property
    def last(self) -> Attempt:
        """Its last attempt, an empty one when there was none."""
        return self.tries[-1] if self.tries else Attempt()

    @property
    def is_success(self) -> bool:
        """Whether it did its work, or had none to do."""
        return self.status in {StepStatus.SUCCESS, StepStatus.SKIPPED}

    @property
    def seconds(self) -> float:
        """How long all its attempts took."""
        return sum(attempt.seconds for attempt in self.tries)

    @property
    def exit_status(self) -> int | None:
        """How the last program that it ran ended, None when it ran none."""
        return self.last.result.exit_status if self.last.result.argv else None

    @property
    def inputs(self) -> Canonical:
        """What it was given last."""
        return self.last.turns[-1].inputs if self.last.turns else None

    @property
    def outputs(self) -> Sequence[Mapping[str, str]]:
        """What later steps may refer to."""
        return self.last.outputs


def status_of(outcomes: Iterable[StepOutcome]) -> Status:
    """Give the status of a phase or a document whose steps ended so."""
    statuses = {outcome.status for outcome in outcomes}
    if StepStatus.FAILED in statuses:
        return Status.FAILED
    if StepStatus.IGNORED_FAILURE in statuses:
        return Status.SUCCESS_WITH_IGNORED_FAILURE
    return Status.SUCCESS
