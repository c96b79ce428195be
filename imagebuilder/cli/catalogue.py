"""`imagebuilder catalogue`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import (
    EXIT_STATUS,
    Json,
    moment_text,
    note,
    print_json,
    print_lines,
    told_errors,
)
from imagebuilder.domain.errors import Broken
from imagebuilder.domain.units import size_text

if TYPE_CHECKING:
    from imagebuilder.ports.catalogue_care import BackupState, CatalogueState
    from imagebuilder.services.caring import Caring

app = typer.Typer(
    help="The catalogue as a whole: its state, backups, checks.", no_args_is_help=True
)

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time

_TOLD_EVERY = 100_000
BackupArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The backup.", show_default=False)
]


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say where the catalogue is, its schema, how many rows it has and how large it is."""
    with told_errors(as_json=as_json):
        state = _caring().state()
        if as_json:
            print_json(_state_json(state))
            return
        print_lines(*_state_lines(state))


@app.command()
def backup(
    file: BackupArgument,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all of it to a file, as it is now, though others write meanwhile."""
    with told_errors(as_json=as_json):
        with _counted("written") as on_rows:
            made = _caring().back_up(file, on_rows, replaces=force)
        if as_json:
            print_json(_backup_json(made))
            return
        print_lines(str(file), f"{sum(made.rows.values())} rows", str(made.digest))


@app.command()
def restore(
    file: BackupArgument,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there; it is first kept aside.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all of FILE and show what would come.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place of the catalogue, whole or not at all."""
    with told_errors(as_json=as_json):
        if dry_run:
            held, aside = _caring().inspect(file), None
        else:
            with _counted("read or written") as on_rows:
                held, aside = _caring().restore(file, on_rows, replaces=force)
        if as_json:
            restored: dict[str, Json] = {"backup": _backup_json(held), "is_restored": not dry_run}
            print_json(restored | {"kept_aside": aside.path if aside else None})
            return
        print_lines(*_backup_lines(held))
        if aside:
            print_lines(f"what was there is kept in {aside.path}")


@app.command()
def check(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every stored file and layer too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read everything and say what is wrong, where, and what to do about it."""
    with told_errors(as_json=as_json):
        with _counted("read") as on_rows:
            faults = list(_caring().faults(on_rows, is_deep=deep))
        if as_json:
            print_json(
                {
                    "is_whole": not faults,
                    "faults": [{"where": f.where, "what": f.what, "hint": f.hint} for f in faults],
                }
            )
        else:
            for fault in faults:
                print_lines(f"{fault.where}: {fault.what}", f"  {fault.hint}")
            print_lines("the catalogue is whole" if not faults else f"{len(faults)} faults")
        if faults:
            raise SystemExit(EXIT_STATUS[Broken])


@app.command()
def copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="An empty database: a path or URL.", show_default=False
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Write all of it to an empty catalogue elsewhere, and compare."""
    with told_errors(as_json=as_json):
        with _counted("written") as on_rows:
            state = _caring().copy_to(to, on_rows)
        if as_json:
            print_json(_state_json(state))
            return
        print_lines(*_state_lines(state))
        address = to if "://" in to else Path(to).absolute()
        note(f"to use it from now on, set IMAGEBUILDER_CATALOGUE_URL={address},")
        note("or catalogue_url in settings.json; what is recorded until then is not there.")


def _caring() -> "Caring":
    from imagebuilder.bootstrap import Application

    return Application().caring


@contextmanager
def _counted(done: str) -> Iterator[Callable[[str, int], None]]:
    """Give what is told of rows; it says on stderr how far it is, when there are many."""
    count = 0

    def on_rows(table: str, more: int) -> None:
        nonlocal count
        before, count = count, count + more
        if before // _TOLD_EVERY != count // _TOLD_EVERY:
            note(f"{count} rows {done}, now {table}")

    yield on_rows
    sys.stderr.flush()


def _state_lines(state: "CatalogueState") -> list[str]:
    facts = {
        "where": state.where,
        "kind": state.kind,
        "schema": state.revision,
        "size": size_text(state.size_bytes),
    }
    return _aligned(facts | {name: str(count) for name, count in state.rows.items() if count})


def _backup_lines(held: "BackupState") -> list[str]:
    facts = {
        "backup": held.path,
        "made": moment_text(held.made_at),
        "kind": held.kind,
        "schema": held.revision,
        "digest": str(held.digest),
    }
    return _aligned(facts | {name: str(count) for name, count in held.rows.items() if count})


def _aligned(facts: dict[str, str]) -> list[str]:
    width = max(map(len, facts))
    return [f"{name:<{width}}  {value}" for name, value in facts.items()]


def _state_json(state: "CatalogueState") -> dict[str, Json]:
    return {
        "where": state.where,
        "kind": state.kind,
        "revision": state.revision,
        "rows": dict(state.rows),
        "size_bytes": state.size_bytes,
    }


def _backup_json(held: "BackupState") -> dict[str, Json]:
    return {
        "path": held.path,
        "made_at": held.made_at.isoformat(),
        "kind": held.kind,
        "revision": held.revision,
        "rows": dict(held.rows),
        "digest": str(held.digest),
    }
