"""`imagebuilder doctor`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.options import AsJson
from imagebuilder.cli.output import (
    EXIT_STATUS,
    Json,
    note,
    print_json,
    print_lines,
    print_table,
    told_errors,
)
from imagebuilder.domain.errors import Unavailable

if TYPE_CHECKING:
    from imagebuilder.services.diagnosing import Diagnosis


def doctor(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Install the missing packages.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what builds need and this machine lacks."""
    with told_errors(as_json=as_json):
        from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up

        diagnosing = Application().diagnosing
        found = diagnosing.fix(note) if fix else diagnosing.check()
        if as_json:
            _print_json(found)
        else:
            _print(found)
        if any(d.is_required and not d.is_present for d in found):
            raise SystemExit(EXIT_STATUS[Unavailable])


def _print_json(found: Sequence["Diagnosis"]) -> None:
    rows: list[Json] = [
        {
            "name": diagnosis.name,
            "is_present": diagnosis.is_present,
            "is_required": diagnosis.is_required,
            "needed_for": diagnosis.needed_for,
            "package": diagnosis.package or None,
            "detail": diagnosis.detail,
        }
        for diagnosis in found
    ]
    print_json(rows)


def _print(found: Sequence["Diagnosis"]) -> None:
    from imagebuilder.services.diagnosing import missing_packages  # noqa: PLC0415 - start-up

    missing = [diagnosis for diagnosis in found if not diagnosis.is_present]
    if not missing:
        print_lines(f"Nothing is missing: all {len(found)} things that builds need are here.")
        return
    rows = [
        (
            "missing" if diagnosis.is_required else "advised",
            diagnosis.name,
            diagnosis.needed_for,
            diagnosis.package or "-",
            diagnosis.detail,
        )
        for diagnosis in missing
    ]
    print_table(("", "WHAT", "NEEDED FOR", "PACKAGE", "DETAIL"), rows)
    if missing_packages(missing):
        note("hint: Install the packages with: imagebuilder doctor --fix")
