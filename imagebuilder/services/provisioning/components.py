"""ComponentRunner: the phases of a component, step by step, on a machine.

Source: AWS Task Orchestrator and Executor: onFailure decides for the following steps and for the
document; a retried step is run anew with its whole time; exit status 194 restarts the same step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from imagebuilder.domain.component import ActionName, Component, ComponentStep, OnFailure, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import StepFailed, Unavailable
from imagebuilder.domain.plan import Upgrades
from imagebuilder.domain.references import NamedValue, Reference, Side, StepValue, substitute
from imagebuilder.domain.units import size_text
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.process import CommandResult, OnLine
from imagebuilder.services.provisioning.actions import (
    parse_upgrades,
    pending_upgrades_script,
    scripts_for,
)

_RESTART_STATUS = 194
_RESTARTS_LIMIT = 10


class ComponentFailed(StepFailed):
    """A step of a component failed, and its document says that this counts."""

    code = "component-failed"

    def __init__(
        self, component: Component, phase: str, step: ComponentStep, result: CommandResult
    ) -> None:
        """Say which step of which phase failed, how, and with which last words."""
        if result.has_timed_out:
            how = f"took longer than its limit of {step.timeout_seconds} s"
        else:
            how = f"ended with exit status {result.exit_status}"
        attempts = f" in the last of {step.max_attempts} attempts" if step.max_attempts > 1 else ""
        flood = (
            f"\n({size_text(result.dropped_bytes)} of its output were dropped.)"
            if result.dropped_bytes
            else ""
        )
        super().__init__(
            f"Step {step.name} ({step.action}) in phase {phase} of component {component.name} {how}"
            f" after {result.seconds:.1f} s{attempts}.",
            context=f"{result.last_lines}{flood}",
            hint="Correct the step and build again: the layers before it are kept. "
            "With --keep the root stays for a look inside.",
            origin=step.origin,
        )
        self.result = result


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """How a step ended. `outputs` are what later steps may refer to.

    `exit_status` is of the last program that the step ran, None when it ran none.
    """

    name: str
    is_success: bool
    attempts: int
    seconds: float
    exit_status: int | None = None
    inputs: Canonical = None
    outputs: Mapping[str, str] = field(default_factory=dict)


class StepWatcher(Protocol):
    """Is told of each step of a component; the lines between belong to the step that runs."""

    def step_started(self, phase: str, step: ComponentStep) -> None:
        """A step began."""
        ...

    def step_ended(self, step: ComponentStep, outcome: StepOutcome) -> None:
        """It came to its end, whatever its failure means for the document."""
        ...


@dataclass(slots=True, kw_only=True)
class ComponentRunner:
    """Runs one component with its parameters on one machine.

    Outputs of the build phase are seen by validate; a test phase starts afresh, as it runs
    elsewhere.
    """

    component: Component
    parameters: Mapping[str, str]
    machine: Machine
    upgrades: Upgrades | None = None
    on_line: OnLine | None = None
    watcher: StepWatcher | None = None
    _done: dict[tuple[str, str], StepOutcome] = field(default_factory=dict)

    def run(self, phase: str) -> tuple[StepOutcome, ...]:
        """Run a phase and give how each step ended.

        Raises: ComponentFailed: a step failed and was not to be ignored; with `Continue` only after
        the steps behind it ran.
        """
        failed: ComponentFailed | None = None
        outcomes = []
        for step in self.component.steps(phase):
            self._say(f"--- {phase}: {step.name} ({step.action})")
            if self.watcher is not None:
                self.watcher.step_started(phase, step)
            outcome, result = self._attempt(step)
            if self.watcher is not None:
                self.watcher.step_ended(step, outcome)
            self._done[phase, step.name] = outcome
            outcomes.append(outcome)
            if outcome.is_success or result is None or step.on_failure is OnFailure.IGNORE:
                continue
            failed = failed or ComponentFailed(self.component, phase, step, result)
            if step.on_failure is OnFailure.ABORT:
                raise failed
        if failed is not None:
            raise failed
        return tuple(outcomes)

    def pending_upgrades(self) -> Upgrades:
        """Ask what each UpdateOS step of the build phase would do now; the machine is spoilt by it.

        Raises: ComponentFailed: apt could not say.
        """
        answers = {}
        taken: set[tuple[str, str]] = set()
        for step in self.component.steps(PhaseName.BUILD):
            if step.action is not ActionName.UPDATE_OS:
                continue
            inputs = substitute(step.inputs, self._value)
            result = self.machine.run(pending_upgrades_script(inputs), self.on_line)
            if _has_failed(result):
                raise ComponentFailed(self.component, PhaseName.BUILD, step, result)
            found = parse_upgrades(result.stdout.decode(errors="replace"))
            answers[step.name] = tuple(u for u in found if (u.name, u.architecture) not in taken)
            taken.update((u.name, u.architecture) for u in found)
        return answers

    def _attempt(self, step: ComponentStep) -> tuple[StepOutcome, CommandResult | None]:
        """Run a step until it succeeds or its attempts are used up."""
        inputs = substitute(step.inputs, self._value)
        upgrades = (self.upgrades or {}).get(step.name)
        scripts = scripts_for(step.action, inputs, upgrades)
        results: Sequence[CommandResult] = ()
        attempt = 0
        for attempt in range(1, step.max_attempts + 1):
            try:
                results = list(self._results(scripts, step))
            except Unavailable as gone:
                if attempt == step.max_attempts:
                    raise
                self._say(f"attempt {attempt} of {step.max_attempts} failed: {gone.message}")
                continue
            if not any(map(_has_failed, results)):
                break
            if attempt < step.max_attempts:
                self._say(f"attempt {attempt} of {step.max_attempts} failed, trying again")
        stdout = b"".join(result.stdout for result in results).decode(errors="replace")
        is_success = not any(map(_has_failed, results))
        outcome = StepOutcome(
            name=step.name,
            is_success=is_success,
            attempts=attempt,
            seconds=sum(result.seconds for result in results),
            exit_status=results[-1].exit_status if results else None,
            inputs=inputs,
            outputs={"stdout": stdout.rstrip("\r\n")},
        )
        return outcome, results[-1] if results else None

    def _results(self, scripts: Sequence[Script], step: ComponentStep) -> Iterator[CommandResult]:
        """Run a step's scripts up to the first that fails; its time is for all of them."""
        left = None if step.timeout_seconds is None else float(step.timeout_seconds)
        for script in scripts:
            result = self._run_with_restarts(script, left)
            if left is not None:
                left = max(0.1, left - result.seconds)
            yield result
            if _has_failed(result):
                return

    def _run_with_restarts(self, script: Script, timeout_seconds: float | None) -> CommandResult:
        limited = Script(
            text=script.text,
            interpreter=script.interpreter,
            stdin=script.stdin,
            environment=script.environment,
            timeout_seconds=timeout_seconds,
        )
        result = self.machine.run(limited, self.on_line)
        for _ in range(_RESTARTS_LIMIT):
            if result.exit_status != _RESTART_STATUS or result.has_timed_out:
                break
            self._say("exit status 194: restarting the step, as after a reboot")
            result = self.machine.run(limited, self.on_line)
        return result

    def _value(self, reference: Reference) -> str | None:
        match reference:
            case NamedValue():
                constants = self.component.constants
                return self.parameters.get(reference.name, constants.get(reference.name))
            case StepValue():
                done = self._done.get((reference.phase, reference.step))
                return None if done is None else _step_value(done, reference)
            case _:
                return None

    def _say(self, text: str) -> None:
        if self.on_line is not None:
            self.on_line(text)


def _has_failed(result: CommandResult) -> bool:
    """Whether a script failed: one that ends well on being stopped has not done its work."""
    return result.exit_status != 0 or result.has_timed_out


def _step_value(done: StepOutcome, reference: StepValue) -> str | None:
    if reference.side is Side.OUTPUTS:
        return done.outputs.get(reference.key)
    inputs = done.inputs
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        index = reference.index or 0
        inputs = inputs[index] if index < len(inputs) else None
    value = inputs.get(reference.key) if isinstance(inputs, Mapping) else None
    return None if value is None else str(value)
