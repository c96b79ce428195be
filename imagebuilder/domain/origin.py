"""Where in which document a thing was said.

Only the place; the text itself and how to show it belong to `documents`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A place in a document that a person can go to.

    Units: line and column count from 1.
    """

    document: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """Read as editors and compilers write it, so that terminals can jump there."""
        return f"{self.document}:{self.line}:{self.column}"
