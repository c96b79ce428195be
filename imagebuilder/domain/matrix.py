"""Matrix: one pipeline, many variants; which there are, what each sets, what each is called."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName, is_name

LARGEST_MATRIX = 256
POOL_AXIS = "pool"
"""The axis that says where a variant is built; all others set a parameter of a component."""

_BUILD_POOL = "build."
Settings: TypeAlias = Mapping[str, str]
"""What a variant sets: component.parameter, or the pool, to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of the images a pipeline makes; the only one of a pipeline without matrix has no name."""

    name: str = ""
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Axes and their values, without combinations that `exclude` fits, and with those of `include`.

    Shape: an entry of exclude names some axes or all; one of include is a variant as it stands.
    """

    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    include: Sequence[Settings] = ()
    exclude: Sequence[Settings] = ()


class MatrixRefused(InvalidInput):
    """A matrix makes no variants, too many, or some that cannot be told apart."""

    code = "matrix-refused"

    def __init__(self, reason: str, hint: str) -> None:
        """Say why, and what to change."""
        super().__init__("The matrix cannot be used.", context=reason, hint=hint)


class VariantUnknown(InvalidInput):
    """A pipeline makes no such variant."""

    code = "variant-unknown"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        """Say which there are."""
        is_one = list(known) == [""]
        super().__init__(
            f"There is no variant {name}.",
            context="The pipeline has no matrix." if is_one else f"There are {', '.join(known)}.",
            hint="Name no variant." if is_one else "Name one of them, or none for all.",
        )


def variants_of(matrix: Matrix | None) -> tuple[Variant, ...]:
    """Give the variants, in the order written; a single one without name when there is no matrix.

    A variant is called by its values, so that it keeps its name when others come and go; of the
    pool build.arm64 the name has arm64.
    Raises: MatrixRefused.
    """
    if matrix is None:
        return (Variant(),)
    _require_room(matrix)
    rows = [dict(zip(matrix.axes, row, strict=True)) for row in product(*matrix.axes.values())]
    rows = [row for row in rows if row and not any(_fits(row, out) for out in matrix.exclude)]
    rows += [dict(row) for row in matrix.include if row not in rows]
    if not rows:
        raise MatrixRefused("Nothing is left of it.", "Exclude less, or leave the matrix out.")
    variants = tuple(Variant(name=_name(row), settings=row) for row in rows)
    _require_distinct(variants)
    return variants


def variant_image(image: ImageName, variant: str) -> ImageName:
    """Give the image that a variant of a recipe is: its own, so that neither replaces the other."""
    return ImageName(f"{image}-{variant}") if variant else image


def _require_room(matrix: Matrix) -> None:
    count = 1 if matrix.axes else 0
    for values in matrix.axes.values():
        count *= len(values)
    count += len(matrix.include)
    if count > LARGEST_MATRIX:
        reason = f"It makes {count} variants; {LARGEST_MATRIX} are allowed."
        raise MatrixRefused(reason, "Make several pipelines of it.")


def _fits(row: Settings, excluded: Settings) -> bool:
    return all(row.get(axis) == value for axis, value in excluded.items())


def _name(row: Settings) -> str:
    words = [
        value.removeprefix(_BUILD_POOL) if axis == POOL_AXIS else value
        for axis, value in row.items()
    ]
    return re.sub(r"[^a-z0-9._]+", "-", "-".join(words).lower()).strip("-._")


def _require_distinct(variants: Sequence[Variant]) -> None:
    seen: dict[str, Variant] = {}
    for variant in variants:
        written = ", ".join(f"{key}={value}" for key, value in variant.settings.items())
        if not is_name(variant.name):
            reason = f"{written} gives no name of letters and digits."
            raise MatrixRefused(reason, "Use values that can be part of an image's name.")
        if variant.name in seen:
            reason = f"Two variants would be called {variant.name}; one of them sets {written}."
            raise MatrixRefused(reason, "Use values that differ in letters or digits.")
        seen[variant.name] = variant
