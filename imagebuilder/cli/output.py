"""What a command prints: data on stdout, everything else on stderr, errors with what, why and hint."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

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
    from rich.console import Console

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

Json: TypeAlias = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def print_json(value: Json) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def console(*, is_error: bool = False) -> "Console":
    """Give a terminal that colours only when it is one."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of the start-up time

    return Console(stderr=is_error, highlight=False, soft_wrap=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows under headings, in columns on a terminal and separated by tabs in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table  # noqa: PLC0415 - a tenth of the start-up time

    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console().print(table, soft_wrap=False)


def exit_status_of(error: ImageBuilderError) -> int:
    """Give the exit status of an error's family."""
    return next(status for family, status in EXIT_STATUS.items() if isinstance(error, family))


@contextmanager
def told_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn errors into a message on stderr and the exit status of their family."""
    try:
        yield
    except ImageBuilderError as error:
        tell(error, as_json=as_json)
        raise SystemExit(exit_status_of(error)) from error
    except (KeyboardInterrupt, RunInterrupted) as interrupted:
        sys.stderr.write("cancelled\n")
        raise SystemExit(_INTERRUPTED_STATUS) from interrupted
    except BrokenPipeError as closed:
        _stop_writing()
        raise SystemExit(0) from closed


def tell(error: ImageBuilderError, *, as_json: bool) -> None:
    """Write an error for a person, or as JSON, to stderr."""
    if as_json:
        fields = {
            "code": error.code,
            "message": error.message,
            "context": error.context,
            "hint": error.hint,
            "origin": str(error.origin) if error.origin else None,
        }
        sys.stderr.write(json.dumps({"error": fields}, ensure_ascii=False) + "\n")
        return
    shown = console(is_error=True)
    place = f"{error.origin}: " if error.origin else ""
    shown.print(f"[bold red]error[/] [dim]({error.code})[/]: ", end="")
    shown.print(f"{place}{error.message}", markup=False)
    for line in error.context.splitlines():
        shown.print(f"  {line}", markup=False)
    if error.hint:
        shown.print("[bold]hint[/]: ", end="")
        shown.print(error.hint, markup=False)


def _stop_writing() -> None:
    """Let the flush at the end go nowhere: the reader of our output left.

    Source: Python's documentation of SIGPIPE.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
