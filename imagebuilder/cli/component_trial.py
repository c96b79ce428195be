"""Components tried out: what is asked for, and how it is shown and kept."""

from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.cli.output import Json, OutputRefused, print_json, print_lines
from imagebuilder.domain.component import PhaseName
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import duration_text

if TYPE_CHECKING:
    from imagebuilder.domain.evidence import TestResult
    from imagebuilder.services.pipelines.rehearsal import Trial, TriedStep


class PhaseUnknown(InvalidInput):
    """There is no such phase."""

    code = "phase-unknown"

    def __init__(self, asked: str) -> None:
        """Quote it and name the phases there are."""
        super().__init__(
            f"There is no phase {asked!r}.",
            hint=f"Write --phases with some of {', '.join(PhaseName)}, with commas between.",
        )


class ParameterMalformed(InvalidInput):
    """A --set that sets no parameter."""

    code = "parameter-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(f"--set {text!r} sets nothing.", hint="Write --set parameter=value.")


def phases_of(text: str) -> tuple[PhaseName, ...]:
    """Give the phases that a list with commas names. Raises: PhaseUnknown."""
    found = []
    for word in text.split(","):
        try:
            found.append(PhaseName(word.strip()))
        except ValueError:
            raise PhaseUnknown(word.strip()) from None
    return tuple(dict.fromkeys(found))


def parameters_of(settings: list[str] | None) -> dict[str, str]:
    """Give the values that --set options hold. Raises: ParameterMalformed."""
    pairs = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ParameterMalformed(text)
        pairs[name] = value
    return pairs


def write_junit(file: Path, trial: "Trial") -> None:
    """Write a trial as JUnit XML. Raises: OutputRefused."""
    from imagebuilder.formats.junit import junit  # noqa: PLC0415 - only this option needs XML

    try:
        file.write_bytes(junit(trial.component.name, [_result(step) for step in trial.steps]))
    except OSError as error:
        raise OutputRefused(str(error)) from error


def show(trial: "Trial", *, as_json: bool) -> None:
    """Print how a trial ended. Raises: the failure that ended it."""
    if as_json:
        print_json(_trial_json(trial))
    else:
        _print(trial)
    if trial.failure is not None:
        raise trial.failure


def _print(trial: "Trial") -> None:
    own = [step for step in trial.steps if step.phase]
    failed = sum(step.state is StepState.FAILED and not step.is_ignored for step in own)
    ignored = sum(step.is_ignored for step in own)
    counts = [f"{len(own) - failed - ignored} passed"]
    counts += [f"{failed} failed"] if failed else []
    counts += [f"{ignored} failed and ignored"] if ignored else []
    component = trial.component
    verdict = "passed" if trial.failure is None else "failed"
    print_lines(
        f"{component.name} {component.version} {verdict} on {trial.on}: "
        f"{', '.join(counts)} in {duration_text(trial.seconds)}"
    )
    if trial.kept is not None:
        print_lines(f"Its root is {trial.kept}", trial.enter)


def _result(step: "TriedStep") -> "TestResult":
    from imagebuilder.domain.evidence import Outcome, TestResult  # noqa: PLC0415 - only JUnit

    outcome = Outcome.PASSED
    if step.is_ignored or step.state is StepState.SKIPPED:
        outcome = Outcome.SKIPPED
    elif step.state is StepState.FAILED:
        outcome = Outcome.FAILED
    return TestResult(
        name=f"{step.phase or 'preparation'}: {step.name}",
        outcome=outcome,
        seconds=step.seconds,
        detail="\n".join(filter(None, (step.detail, *step.tail))),
    )


def _trial_json(trial: "Trial") -> Json:
    return {
        "component": trial.component.name,
        "version": str(trial.component.version),
        "on": trial.on,
        "has_passed": trial.failure is None,
        "seconds": round(trial.seconds, 3),
        "steps": [
            {
                "phase": step.phase or None,
                "name": step.name,
                "action": step.action or None,
                "state": step.state,
                "is_ignored": step.is_ignored,
                "seconds": round(step.seconds, 3),
                "attempts": step.attempts,
                "exit_status": step.exit_status,
                "detail": step.detail,
                "tail": list(step.tail),
            }
            for step in trial.steps
        ],
        "kept": None if trial.kept is None else str(trial.kept),
        "enter": trial.enter or None,
        "warnings": list(trial.warnings),
    }
