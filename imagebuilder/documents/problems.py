"""Problems: what is wrong in a document, as values; all are collected, one error carries them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from imagebuilder.documents.excerpt import excerpt
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.origin import Origin

_SHOWN_LIMIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong, or worth a warning, at a place in a document.

    `hint` says what was expected or what to do; `line` is the document's line, for showing.
    """

    message: str
    origin: Origin
    hint: str = ""
    line: str = ""

    def __str__(self) -> str:
        """Read as compilers write it, with the line and a caret."""
        return excerpt(self.message, self.origin, self.line, self.hint)


class InvalidDocument(InvalidInput):
    """A document has problems. Invariant: there is at least one; they are sorted by place."""

    code = "invalid-document"

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Count the problems and show each under its line."""
        self.problems = sorted_problems(problems)
        first = self.problems[0].origin
        count = len(self.problems)
        shown = [str(problem) for problem in self.problems[:_SHOWN_LIMIT]]
        if count > _SHOWN_LIMIT:
            shown.append(f"... and {count - _SHOWN_LIMIT} more.")
        super().__init__(
            f"{first.document} has {count} problem{'' if count == 1 else 's'}.",
            context="\n".join(shown),
            hint="Correct the document; each place is shown above.",
            origin=first,
        )


class Problems:
    """A collection that grows while a document is read: faults, and warnings beside them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._faults: list[Problem] = []
        self._warnings: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Keep a fault."""
        self._faults.append(problem)

    def warn(self, problem: Problem) -> None:
        """Keep a warning: the document is read all the same."""
        self._warnings.append(problem)

    def rewrite(self, change: Callable[[Problem], Problem | None]) -> None:
        """Let each fault and warning be what `change` makes of it; None takes it away."""
        self._faults = [new for old in self._faults if (new := change(old)) is not None]
        self._warnings = [new for old in self._warnings if (new := change(old)) is not None]

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All warnings, by place."""
        return sorted_problems(self._warnings)

    def raise_faults(self) -> None:
        """Do nothing when there is no fault. Raises: InvalidDocument: with all there are."""
        if self._faults:
            raise self.error()

    def error(self) -> InvalidDocument:
        """Give the error that carries every fault. Invariant: there is at least one."""
        return InvalidDocument(self._faults)


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give the problems by place, each once: an alias shows the same fault wherever it is used."""
    return tuple(
        sorted(
            dict.fromkeys(problems),
            key=lambda p: (p.origin.document, p.origin.line, p.origin.column),
        )
    )
