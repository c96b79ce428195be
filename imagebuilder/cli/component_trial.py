"""Components tried out: what is asked for, and how it is shown and kept."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.cli.output import Json, note, print_json, print_lines, tell
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.errors import InvalidInput, Unavailable
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagebuilder.domain.evidence import TestResult
    from imagebuilder.ports.live import Login
    from imagebuilder.ports.progress import Progress
    from imagebuilder.services.pipelines.rehearsal import Trial, TriedStep

_HOST = re.compile(
    r"((?P<user>[A-Za-z_][\w.-]*)@)?"
    r"(?P<address>[A-Za-z0-9][\w.-]*|\[?[0-9A-Fa-f:.]+(%[\w.-]+)?\]?)"
)


class HostMalformed(InvalidInput):
    """A --host that names no machine."""

    code = "host-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(f"--host {text!r} names no machine.", hint="Write --host root@ADDRESS.")


class KeyMissing(InvalidInput):
    """The file of a private key is not there."""

    code = "key-missing"

    def __init__(self, file: Path) -> None:
        """Name it."""
        super().__init__(
            f"There is no key file {file}.",
            hint="Give the private key's file, or leave --key out for those that SSH tries itself.",
        )


class ParameterMalformed(InvalidInput):
    """A --set that sets no parameter."""

    code = "parameter-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(f"--set {text!r} sets nothing.", hint="Write --set parameter=value.")


class ResultUnwritable(Unavailable):
    """A file that is to tell of a trial cannot be written."""

    code = "result-unwritable"

    def __init__(self, file: Path, reason: str) -> None:
        """Name it and say why."""
        super().__init__(
            f"{file} cannot be written.",
            context=reason,
            hint="Name a file in a folder that exists and has room, and that you may write to.",
        )


def phases_of(text: str) -> tuple[str, ...]:
    """Give the phases that a list with commas names."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def parameters_of(settings: list[str] | None) -> dict[str, str]:
    """Give the values that --set options hold. Raises: ParameterMalformed."""
    pairs = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ParameterMalformed(text)
        pairs[name] = value
    return pairs


def login_of(
    host: str, *, port: int, key: Path | None, known_hosts: Path | None, accepts_new: bool
) -> "Login":
    """Give the login that options describe. Raises: HostMalformed; KeyMissing."""
    from imagebuilder.ports.live import Login  # noqa: PLC0415 - start-up

    found = _HOST.fullmatch(host)
    if found is None:
        raise HostMalformed(host)
    if key is not None and not key.is_file():
        raise KeyMissing(key)
    return Login(
        address=found["address"].strip("[]"),
        user=found["user"] or "root",
        port=port,
        key=key and key.absolute(),
        known_hosts=known_hosts and known_hosts.absolute(),
        accepts_new=accepts_new,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How people want to be told of a trial."""

    junit: Path | None
    details: Path | None
    is_quiet: bool
    as_json: bool


def follow(work: "Callable[[Progress], Trial]", wishes: Wishes) -> None:
    """Show a trial while it runs, and how it ended. Raises: the failure that ended it."""
    from imagebuilder.cli.progress import display  # noqa: PLC0415 - start-up
    from imagebuilder.cli.stopping import stoppable  # noqa: PLC0415 - start-up

    for file in filter(None, (wishes.junit, wishes.details)):
        _require_writable(file)
    shown = display(as_json=wishes.as_json, is_quiet=wishes.is_quiet, keeps_tails=True)
    with stoppable(), shown:
        trial = work(shown)
    unwritten = list(_unwritten(wishes, trial))
    if wishes.as_json:
        print_json(_trial_json(trial))
    else:
        _print(trial, is_quiet=wishes.is_quiet)
    for fault in unwritten if trial.failure else unwritten[1:]:
        tell(fault, as_json=wishes.as_json)
    if trial.failure is not None:
        raise trial.failure
    if unwritten:
        raise unwritten[0]


def _require_writable(file: Path) -> None:
    """Do nothing when a file can be written, and leave it as it was. Raises: ResultUnwritable."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        return  # to open a pipe and close it would tell its reader that this was all
    is_new = not file.exists()
    try:
        file.open("ab").close()
        if is_new:
            file.unlink()
    except OSError as error:
        raise ResultUnwritable(file, error.strerror or str(error)) from error


def _unwritten(wishes: Wishes, trial: "Trial") -> "Iterator[ResultUnwritable]":
    """Write the files that are wished for, and give why some could not be."""
    contents = []
    if wishes.junit is not None:
        contents.append((wishes.junit, _junit(trial)))
    if wishes.details is not None:
        contents.append((wishes.details, canonical_json(trial.details)))
    for file, content in contents:
        try:
            file.write_bytes(content)
        except OSError as error:
            yield ResultUnwritable(file, error.strerror or str(error))


def _junit(trial: "Trial") -> bytes:
    from imagebuilder.formats.junit import junit  # noqa: PLC0415 - only this option needs XML

    return junit(trial.component.name, [_result(step) for step in trial.steps])


def _print(trial: "Trial", *, is_quiet: bool) -> None:
    for warning in () if is_quiet else trial.warnings:
        note(f"warning: {warning}")
    own = [step for step in trial.steps if step.phase]
    failed = sum(step.state is StepState.FAILED and not step.is_ignored for step in own)
    ignored = sum(step.is_ignored for step in own)
    skipped = sum(step.state is StepState.SKIPPED for step in own)
    counts = [f"{len(own) - failed - ignored - skipped} passed"]
    counts += [f"{failed} failed"] if failed else []
    counts += [f"{ignored} failed and ignored"] if ignored else []
    counts += [f"{skipped} skipped"] if skipped else []
    component = trial.component
    verdict = "failed" if trial.failure else "passed" if trial.has_passed else "ran no step"
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
        "has_passed": trial.has_passed,
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
