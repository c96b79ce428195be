"""Checking documents: every fault of every file is shown, not only the first one's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.bootstrap import Application
from imagebuilder.cli.output import (
    EXIT_STATUS,
    Json,
    console,
    note,
    print_json,
    print_lines,
    printable,
    problem_json,
    told_errors,
)
from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.origin import Origin

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a document without faults says of itself; `summary` is a line for people."""

    name: str
    version: str
    summary: str
    warnings: tuple[Problem, ...] = ()


@dataclass(slots=True, kw_only=True)
class Finding:
    """What the check of one file came to; `faults` are empty exactly when `sound` is there."""

    file: str
    sound: Sound | None = None
    faults: list[Problem] = field(default_factory=list)


def check_documents(
    files: Sequence[Path], check: Callable[[Application, str], Sound], *, as_json: bool
) -> None:
    """Check files, show what was found, and exit with 2 when there is any fault."""
    with told_errors(as_json=as_json):
        application = Application()
        findings = [_finding(str(file), lambda path: check(application, path)) for file in files]
        if as_json:
            _print_findings_json(findings)
        else:
            _print_findings(findings)
    if any(finding.faults for finding in findings):
        raise SystemExit(EXIT_STATUS[InvalidInput])


def as_problems(error: InvalidInput, at: Origin) -> list[Problem]:
    """Give what an error says as problems; those that name no place stand where it was met."""
    if isinstance(error, InvalidDocument):
        return list(error.problems)
    said = " ".join(part for part in (error.message, error.context) if part)
    origin = error.origin or at
    return [Problem(message=said, origin=origin, hint=error.hint, line=_line_at(origin))]


def _line_at(origin: Origin) -> str:
    try:
        lines = Path(origin.document).read_text(errors="replace").splitlines()
    except OSError:
        # That it cannot be read is what the problem itself says.
        return ""
    return lines[origin.line - 1] if origin.line <= len(lines) else ""


def _finding(file: str, check: Callable[[str], Sound]) -> Finding:
    try:
        return Finding(file=file, sound=check(file))
    except InvalidInput as error:
        return Finding(file=file, faults=as_problems(error, Origin(document=file)))


def _print_findings_json(findings: Sequence[Finding]) -> None:
    files: list[Json] = [
        {
            "file": finding.file,
            "is_sound": finding.sound is not None,
            "name": finding.sound.name if finding.sound else None,
            "version": finding.sound.version if finding.sound else None,
        }
        for finding in findings
    ]
    problems: list[Json] = [problem_json(p, severity="error") for p in _faults(findings)]
    problems += [problem_json(p, severity="warning") for p in _warnings(findings)]
    print_json({"files": files, "problems": problems})


def _print_findings(findings: Sequence[Finding]) -> None:
    shown = console(is_error=True)
    for problem in _faults(findings):
        _print_problem(shown, "[bold red]error[/]: ", problem)
    for problem in _warnings(findings):
        _print_problem(shown, "[bold yellow]warning[/]: ", problem)
    for finding in findings:
        if finding.sound is not None:
            print_lines(f"{finding.file}: {finding.sound.summary}")
    count = len(_faults(findings))
    if count:
        faulty = sum(bool(finding.faults) for finding in findings)
        note(f"{_counted(count, 'fault')} in {_counted(faulty, 'file')}")


def _print_problem(shown: "Console", head: str, problem: Problem) -> None:
    shown.print(head, end="")
    shown.print(printable(str(problem)), markup=False)


def _faults(findings: Sequence[Finding]) -> list[Problem]:
    """Give every fault once: two recipes may use the same faulty component."""
    return list(dict.fromkeys(problem for finding in findings for problem in finding.faults))


def _warnings(findings: Sequence[Finding]) -> list[Problem]:
    return list(
        dict.fromkeys(p for finding in findings if finding.sound for p in finding.sound.warnings)
    )


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
