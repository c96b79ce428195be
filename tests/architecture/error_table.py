"""The table of docs/errors.md, made from the classes.

Write it anew with: .venv/bin/python -m tests.architecture.error_table
"""

from imagebuilder.domain.errors import (
    Broken,
    ImageBuilderError,
    InvalidInput,
    Refused,
    StepFailed,
    Unavailable,
    WrongState,
)
from tests.architecture.house import ROOT, error_classes

PAGE = ROOT / "docs/errors.md"
EXIT_STATUS: dict[type[ImageBuilderError], int] = {
    InvalidInput: 2,
    WrongState: 3,
    Refused: 4,
    StepFailed: 5,
    Unavailable: 6,
    Broken: 70,
}
_HEAD = """\
# Errors

Every error has a code, a sentence, a reason and a hint. The code is what `--json` prints and what
you can search for here. The exit status of `imagebuilder` follows from the family of the error:
2 you must change something, 3 it may be right at another time, 4 a rule said no, 5 a step failed,
6 the world does not answer (the same call may work later), 70 our own fault or damaged data.

| code | exit status | when |
|---|---|---|
"""


def leaves() -> list[type[ImageBuilderError]]:
    """Give every error that is raised, without the families."""
    return [error for error in error_classes() if error not in EXIT_STATUS]


def exit_status(error: type[ImageBuilderError]) -> int:
    """Give the exit status of the family an error is of."""
    return next(status for family, status in EXIT_STATUS.items() if issubclass(error, family))


def page() -> str:
    """Give the whole page."""
    rows = [
        f"| `{error.code}` | {exit_status(error)} | {(error.__doc__ or '').splitlines()[0]} |\n"
        for error in leaves()
    ]
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
