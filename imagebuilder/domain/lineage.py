"""Lineage: who a version descends from, and who from it."""

from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ParentEdge
from imagebuilder.domain.versions import BuildVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much of a lineage is asked for.

    `depth` counts generations each way, None for all; `limit` the versions that are given at most,
    the nearest first.
    """

    up: bool = True
    down: bool = True
    depth: int | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """A version as its relatives are told of it. `distance` is negative for ancestors."""

    id: VersionId
    image: ImageName
    version: BuildVersion
    created_at: datetime
    parent: ParentEdge
    copied_from: VersionId | None
    distance: int

    @property
    def reference(self) -> str:
        """How people name it: debian-web@1.2.0/3."""
        return f"{self.image}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """A version and its relatives, by distance and then the order of their recording.

    `left_out` counts the relatives within the scope that its limit left out; where there are more
    than it is worth to count, `is_more_left_out`.
    """

    focus: VersionId
    kin: tuple[Kin, ...]
    left_out: int = 0
    is_more_left_out: bool = False
