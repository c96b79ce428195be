"""What a command prints: data on stdout, the rest on stderr, errors with what, why and hint."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeAlias

from imagebuilder.domain.errors import (
    Broken,
    ImageBuilderError,
    InvalidInput,
    Refused,
    StepFailed,
    Unavailable,
    WrongState,
)
from imagebuilder.domain.run import RunInterrupted

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from imagebuilder.documents.problems import Problem

# ruff: noqa: PLC0415 - rich and what only errors need are not imported, for the start-up time

EXIT_STATUS: Mapping[type[ImageBuilderError], int] = {
    InvalidInput: 2,
    WrongState: 3,
    Refused: 4,
    StepFailed: 5,
    Unavailable: 6,
    Broken: 70,
}
"""Source: design, section 6; 70 is sysexits.h's EX_SOFTWARE."""

_INTERRUPTED_STATUS = 130
"""Source: POSIX shells: 128 and the number of SIGINT."""

Json: TypeAlias = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"] | None


def print_json(value: Json) -> None:
    """Write one JSON document to stdout."""
    write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_lines(*lines: str) -> None:
    """Write lines to stdout; nothing in them can steer a terminal."""
    write("".join(f"{printable(line)}\n" for line in lines))


def write(text: str) -> None:
    """Write text to stdout as it is. Raises: OutputRefused."""
    with _translated_output():
        sys.stdout.write(text)


class OutputRefused(Unavailable):
    """Standard output takes no more."""

    code = "output-refused"

    def __init__(self, reason: str) -> None:
        """Say what the system said."""
        super().__init__(
            "The output could not be written.",
            context=reason,
            hint="Check the free space of where it is redirected to.",
        )


@contextmanager
def _translated_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputRefused(str(error)) from error


def note(text: str) -> None:
    """Write what is not data, such as a warning, to stderr."""
    _say(f"{printable(text)}\n")


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
    except BrokenPipeError:
        _stop_writing(sys.stderr)


def printable(text: str) -> str:
    """Give foreign text with a question mark for every control character but tab and line end."""
    return "".join(c if c.isprintable() or c in "\t\n " else "?" for c in text)


def name_text(text: str) -> str:
    """Give a foreign name so that it stays in its line: not even a line end of it is one."""
    return "".join(c if c.isprintable() else "?" for c in text)


def moment_text(moment: "datetime | None") -> str:
    """Write a moment for people, in UTC; nothing when there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%SZ}"


def console(*, is_error: bool = False) -> "Console":
    """Give a terminal that colours only when it is one."""
    from rich.console import Console

    class Unread(Console):
        def on_broken_pipe(self) -> None:
            # Rich would end the command with 1; how it ends is not for its reader to say.
            self.quiet = True
            _stop_writing(self.file)

    return Unread(stderr=is_error, highlight=False, soft_wrap=True)


def print_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, beneath: Sequence[str] = ()
) -> None:
    """Write rows under headings: columns as wide as the terminal allows, or tabs in a pipe.

    What stands `beneath` each row is too long for a column and is never folded; in a pipe it is the
    row's last cell.
    """
    if not sys.stdout.isatty():
        for number, row in enumerate(rows):
            cells = (" ".join(printable(cell).split()) for cell in (*row, *beneath[number:][:1]))
            write("\t".join(cells) + "\n")
        return
    from rich.table import Table
    from rich.text import Text

    shown = console()
    widths = _widths([headings, *rows], shown.width) if beneath else [None] * len(headings)

    def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, header_style="bold", pad_edge=False, show_header=bool(headings))
        for heading, width in zip(headings or [""] * len(widths), widths, strict=True):
            table.add_column(heading, overflow="fold", width=width)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        shown.print(table, soft_wrap=False)

    if not beneath:
        print_rows(headings, rows)
        return
    print_rows(headings, ())
    for row, text in zip(rows, beneath, strict=True):
        print_rows((), [row])
        shown.print(Text(f"  {printable(text)}", style="dim"))


def _widths(rows: Sequence[Sequence[str]], room: int) -> "list[int | None]":
    """Give columns as wide as what is in them; where there is no room, the widest give way."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return list(widths)


def exit_status_of(error: ImageBuilderError) -> int:
    """Give the exit status of an error's family."""
    return next(status for family, status in EXIT_STATUS.items() if isinstance(error, family))


@contextmanager
def told_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn errors into a message on stderr and the exit status of their family."""
    try:
        with _flushed_output():
            yield
    except ImageBuilderError as error:
        if isinstance(error, OutputRefused):
            _stop_writing(sys.stdout)
        tell(error, as_json=as_json)
        raise SystemExit(exit_status_of(error)) from error
    except (KeyboardInterrupt, RunInterrupted) as interrupted:
        sys.stderr.write("cancelled\n")
        raise SystemExit(_INTERRUPTED_STATUS) from interrupted
    except BrokenPipeError as closed:
        _stop_writing(sys.stdout)
        raise SystemExit(0) from closed
    except Exception as error:
        _tell_our_fault(error, as_json=as_json)
        raise SystemExit(EXIT_STATUS[Broken]) from error


@contextmanager
def _flushed_output() -> Iterator[None]:
    """Write out what was printed, here and not when the interpreter ends and nobody could tell."""
    try:
        yield
    except SystemExit:
        with _translated_output():
            sys.stdout.flush()
        raise
    with _translated_output():
        sys.stdout.flush()


def tell(error: ImageBuilderError, *, as_json: bool) -> None:
    """Write an error for a person, or as JSON, to stderr."""
    if as_json:
        _write_json_error(error)
        return
    shown = console(is_error=True)
    place = f"{error.origin}: " if error.origin else ""
    shown.print(f"[bold red]error[/] [dim]({error.code})[/]: ", end="")
    shown.print(printable(f"{place}{error.message}"), markup=False)
    for line in error.context.splitlines():
        shown.print(printable(f"  {line}"), markup=False)
    if error.hint:
        shown.print("[bold]hint[/]: ", end="")
        shown.print(printable(error.hint), markup=False)


def problem_json(problem: "Problem", *, severity: str) -> dict[str, Json]:
    """Give a problem of a document as JSON."""
    return {
        "severity": severity,
        "file": problem.origin.document,
        "line": problem.origin.line,
        "column": problem.origin.column,
        "message": problem.message,
        "hint": problem.hint,
    }


def _write_json_error(error: ImageBuilderError) -> None:
    from imagebuilder.documents.problems import InvalidDocument

    fields: dict[str, Json] = {
        "code": error.code,
        "message": error.message,
        "context": error.context,
        "hint": error.hint,
        "origin": str(error.origin) if error.origin else None,
    }
    if isinstance(error, InvalidDocument):
        fields["problems"] = [problem_json(p, severity="error") for p in error.problems]
    _say(json.dumps({"error": fields}, ensure_ascii=False) + "\n")


class Unexpected(Broken):
    """Something went wrong that nobody thought of."""

    code = "unexpected"

    def __init__(self, error: Exception) -> None:
        """Say what Python said, and how to report it."""
        super().__init__(
            "imagebuilder itself failed; this is not your fault.",
            context=f"{type(error).__name__}: {error}",
            hint="Please report it, with what IMAGEBUILDER_TRACEBACK=1 and the same command print.",
        )


def _tell_our_fault(error: Exception, *, as_json: bool) -> None:
    from imagebuilder.settings import wants_traceback

    if wants_traceback():
        from traceback import format_exception

        sys.stderr.writelines(format_exception(error))
    tell(Unexpected(error), as_json=as_json)


def _stop_writing(stream: IO[str]) -> None:
    """Let the flush at the end go nowhere: nobody takes our output.

    Source: Python's documentation of SIGPIPE.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
