"""Found versions in columns, which whoever asks may choose."""

from collections.abc import Callable, Mapping, Sequence

from imagebuilder.cli.output import Json, moment_text
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.search import FoundVersion
from imagebuilder.domain.units import size_text

COLUMNS: Mapping[str, Callable[[FoundVersion], str]] = {
    "version": lambda found: found.summary.reference,
    "id": lambda found: found.summary.id,
    "image": lambda found: found.summary.image,
    "created": lambda found: moment_text(found.summary.created_at),
    "parent": lambda found: found.summary.parent_asked,
    "packages": lambda found: str(found.summary.package_count),
    "size": lambda found: size_text(found.summary.size_bytes),
    "state": lambda found: found.state,
    "channels": lambda found: ", ".join(found.channels),
    "labels": lambda found: ", ".join(f"{name}={value}" for name, value in found.labels.items()),
    "description": lambda found: found.notes.description,
    "matched": lambda found: ", ".join(f"{m.name} {m.version}" for m in found.matched),
}
"""What can be shown of a version. Shape: name of a column -> what stands in it."""


def chosen_columns(asked: str | None, usual: Sequence[str]) -> Sequence[str]:
    """Give the names of columns that a text such as version,state chooses, or the usual ones.

    Raises: ColumnUnknown.
    """
    if asked is None:
        return usual
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in COLUMNS:
            raise ColumnUnknown(name)
    return names


def version_cells(found: FoundVersion, columns: Sequence[str]) -> list[str]:
    """Give what stands in columns of a version."""
    return [COLUMNS[name](found) for name in columns]


def found_json(found: FoundVersion) -> dict[str, Json]:
    """Give a found version."""
    summary = found.summary
    return {
        "reference": summary.reference,
        "id": summary.id,
        "image": summary.image,
        "version": str(summary.version),
        "created_at": summary.created_at.isoformat(),
        "parent": summary.parent_asked,
        "package_count": summary.package_count,
        "size_bytes": summary.size_bytes,
        "state": found.state,
        "channels": list(found.channels),
        "labels": dict(found.labels),
        "description": found.notes.description,
        "matched": [
            {"name": m.name, "version": m.version, "architecture": m.architecture}
            for m in found.matched
        ],
    }


class ColumnUnknown(InvalidInput):
    """A column is asked for that there is not."""

    code = "column-unknown"

    def __init__(self, name: str) -> None:
        """Quote it and name those there are."""
        super().__init__(
            f"There is no column {name[:80]!r}.",
            context=f"There are {', '.join(COLUMNS)}.",
            hint="Write them with commas between, such as --columns version,state,channels.",
        )
