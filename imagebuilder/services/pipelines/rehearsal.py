"""Rehearsal: what is seen of a component while it is tried, told and kept."""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.domain.component import Component, ComponentStep, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError, InvalidInput, StepFailed
from imagebuilder.domain.run import StepState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.progress import Progress
from imagebuilder.services.provisioning.outcomes import StepOutcome, StepStatus

_TAIL_LINES = 20
_STATES = {
    StepStatus.SUCCESS: StepState.SUCCEEDED,
    StepStatus.SKIPPED: StepState.SKIPPED,
    StepStatus.IGNORED_FAILURE: StepState.FAILED,
    StepStatus.FAILED: StepState.FAILED,
}
USUAL_PHASES: tuple[str, ...] = tuple(PhaseName)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedStep:
    """How a step went. Shape: `phase` is empty of what was done beside the component's steps.

    `is_ignored` of a failure that its document does not count; `exit_status` is None when no
    program ran; `tail` are the last lines of output.
    """

    name: str
    phase: str = ""
    action: str = ""
    state: StepState
    is_ignored: bool = False
    seconds: float
    attempts: int = 1
    exit_status: int | None = None
    detail: str = ""
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a component did. `failure` is what ended it, None when all went well.

    `details` is the document of all that was done, without any secret. `kept` is where its root
    lies now, and `enter` how to look at it.
    """

    component: Component
    on: str
    steps: tuple[TriedStep, ...]
    seconds: float
    failure: ImageBuilderError | None = None
    details: Canonical = None
    kept: PurePath | None = None
    enter: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether steps of the component ran, and nothing failed that counts."""
        has_run = any(step.phase and step.state is not StepState.SKIPPED for step in self.steps)
        return has_run and self.failure is None


@dataclass(slots=True)
class Ending:
    """What is said of a step beside a component's own when it ends well."""

    state: StepState = StepState.SUCCEEDED
    detail: str = ""

    def skip(self, why: str) -> None:
        """Say that it was not done."""
        self.state, self.detail = StepState.SKIPPED, why


class Rehearsal:
    """Watches a component's steps: tells them to a progress and keeps how they went.

    `advice` is what else the hint of a failure says.
    """

    def __init__(self, component: Component, progress: Progress, clock: Clock) -> None:
        """Watch a component and tell progress."""
        self.advice = ""
        self._component = component
        self._progress = progress
        self._clock = clock
        self._steps: list[TriedStep] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._open: TriedStep | None = None
        self._began = self._started = clock.monotonic()
        self._failure: ImageBuilderError | None = None
        self._details: Canonical = None

    def line(self, text: str) -> None:
        """The running step printed a line."""
        self._tail.append(text)
        self._progress.line(text)

    def step_started(self, phase: str, step: ComponentStep) -> None:
        """A step of the component began."""
        self._begin(step.name, phase=phase, action=step.action)

    def step_ended(self, step: ComponentStep, outcome: StepOutcome) -> None:  # noqa: ARG002 - a watcher's
        """It came to its end."""
        is_ignored = outcome.status is StepStatus.IGNORED_FAILURE
        said = _ending_of(outcome)
        said += [f"{outcome.attempts} attempts"] if outcome.attempts > 1 else []
        said += ["ignored"] if is_ignored else []
        if outcome.status is StepStatus.SKIPPED:
            said = [outcome.reason]
        self._end(
            _STATES[outcome.status],
            detail=", ".join(said) or outcome.failure,
            attempts=outcome.attempts,
            exit_status=outcome.exit_status,
            is_ignored=is_ignored,
        )

    def detailed(self, name: str, document: Canonical) -> None:
        """The component did something; the document says all of it so far."""
        self._details = document
        self._progress.detailed(name, document)

    @contextmanager
    def step(self, name: str) -> Iterator[Ending]:
        """Watch a step that is none of the component's; an error ends it as failed."""
        self._begin(name)
        ending = Ending()
        with self._ending_open_step():
            yield ending
        self._end(ending.state, detail=ending.detail)

    @contextmanager
    def caught(self, again: str) -> Iterator[None]:
        """Keep the failure that ends this context; `again` is the command to try it anew."""
        try:
            with self._ending_open_step():
                yield
        except ImageBuilderError as failure:
            if isinstance(failure, StepFailed):
                advice = f"\n{self.advice}" if self.advice else ""
                failure.hint = f"Correct it and try again with: {again}{advice}"
            self._failure = failure

    @property
    def failure(self) -> ImageBuilderError | None:
        """What ended it, None as long as all goes well."""
        return self._failure

    def trial(self, on: str) -> Trial:
        """Give all that was seen until now."""
        return Trial(
            component=self._component,
            on=on,
            steps=tuple(self._steps),
            seconds=self._clock.monotonic() - self._began,
            failure=self._failure,
            details=self._details,
        )

    def _begin(self, name: str, *, phase: str = "", action: str = "") -> None:
        self._tail.clear()
        self._started = self._clock.monotonic()
        self._open = TriedStep(
            name=name, phase=phase, action=action, state=StepState.RUNNING, seconds=0.0
        )
        self._progress.step_started(f"{phase}: {name} ({action})" if phase else name)

    def _end(
        self,
        state: StepState,
        *,
        detail: str,
        attempts: int = 1,
        exit_status: int | None = None,
        is_ignored: bool = False,
    ) -> None:
        if self._open is None:
            raise ValueError("a step that ends has begun")
        ended = replace(
            self._open,
            state=state,
            is_ignored=is_ignored,
            seconds=self._clock.monotonic() - self._started,
            attempts=attempts,
            exit_status=exit_status,
            detail=detail,
            tail=tuple(self._tail),
        )
        self._open = None
        self._steps.append(ended)
        self._progress.step_ended(state, detail)

    @contextmanager
    def _ending_open_step(self) -> Iterator[None]:
        """See that a step that something came out of has failed, and says for what."""
        try:
            yield
        except BaseException as reason:
            if self._open is not None:
                is_ours = isinstance(reason, ImageBuilderError)
                self._end(StepState.FAILED, detail=str(reason) if is_ours else "interrupted")
            raise


class PhaseUnknown(InvalidInput):
    """A phase was asked for that a component does not have."""

    code = "phase-unknown"

    def __init__(self, component: Component, asked: str) -> None:
        """Quote it and name the phases there are."""
        there = ", ".join(phase.name for phase in component.phases)
        super().__init__(
            f"Component {component.name} has no phase {asked!r}.",
            context=f"It has {there}.",
            hint="Write --phases with some of these, with commas between.",
        )


def ordered_phases(component: Component, asked: Sequence[str]) -> tuple[str, ...]:
    """Give the phases of a component that are asked for: the usual ones, then others as written.

    Raises: PhaseUnknown: it has none of that name, or none of the usual ones.
    """
    there = [phase.name for phase in component.phases]
    for name in asked:
        if name not in there and tuple(asked) != USUAL_PHASES:
            raise PhaseUnknown(component, name)
    known = (*USUAL_PHASES, *there)
    chosen = tuple(name for name in dict.fromkeys(known) if name in asked and name in there)
    if not chosen:
        raise PhaseUnknown(component, ",".join(asked))
    return chosen


def command_text(words: Sequence[str], phases: Sequence[str], parameters: Mapping[str, str]) -> str:
    """Give a command with its phases, unless they are the usual ones, and parameters."""
    asked = [] if tuple(phases) == USUAL_PHASES else ["--phases", ",".join(phases)]
    given = [word for name, value in parameters.items() for word in ("--set", f"{name}={value}")]
    return shlex.join([*words, *asked, *given])


def _ending_of(outcome: StepOutcome) -> list[str]:
    """Say how the last program of a step ended; nothing when it ran none."""
    if outcome.last.result.has_timed_out:
        return [f"timed out after {outcome.step.timeout_seconds or outcome.seconds:g} s"]
    return [] if outcome.exit_status is None else [f"exit status {outcome.exit_status}"]
