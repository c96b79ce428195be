"""Kept: parts of a value read back out of the document that it was kept as."""

from collections.abc import Mapping, Sequence

from imagebuilder.domain.digest import Canonical


def kept_mapping(document: Canonical) -> Mapping[str, Canonical]:
    """Give a document that is a mapping. Raises: ValueError: it is something else."""
    if not isinstance(document, Mapping):
        raise ValueError("it is kept as a mapping")  # noqa: TRY004 - a damaged text
    return document


def kept_rows(document: Mapping[str, Canonical], name: str) -> list[Mapping[str, Canonical]]:
    """Give the mappings that a document lists under a name. Raises: ValueError: it lists none."""
    rows = document.get(name)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ValueError(f"{name} is a list")  # noqa: TRY004 - a damaged text
    return [row for row in rows if isinstance(row, Mapping)]


def kept_text(document: Mapping[str, Canonical], name: str) -> str:
    """Give the text that a document has under a name. Raises: ValueError: it has none."""
    value = document.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text")  # noqa: TRY004 - a damaged text
    return value


def kept_texts(value: Canonical) -> tuple[str, ...] | None:
    """Give a list of texts, None when it is no list."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(str(item) for item in value)


def kept_part(document: Canonical, name: str) -> Mapping[str, Canonical]:
    """Give the mapping that a document has under a name; an empty one when it has none."""
    part = document.get(name) if isinstance(document, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def kept_list(document: Canonical, name: str) -> Sequence[Canonical]:
    """Give the list that a document has under a name; an empty one when it has none."""
    part = document.get(name) if isinstance(document, Mapping) else None
    return part if isinstance(part, Sequence) and not isinstance(part, str) else ()
