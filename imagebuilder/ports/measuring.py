"""Measures: numbers of the catalogue that are asked for again and again, so each costs little."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.run import StepState


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVersion:
    """A version, and when it was recorded; `number` counts recordings."""

    id: VersionId
    number: int
    created_at: datetime


class Measures(Protocol):
    """Counts and looks, by indexes alone."""

    def newest_versions(self, images: Collection[ImageName]) -> Mapping[ImageName, SeenVersion]:
        """Give what was recorded last of each image; one without versions is left out."""
        ...

    def version_before(self, image: ImageName, seen: SeenVersion) -> SeenVersion | None:
        """Give what was recorded of an image before a version."""
        ...

    def last_moves(self, runs: Collection[RunId]) -> Mapping[RunId, datetime]:
        """Give when a stage or step of each run began or a stage ended last, if one ever did."""
        ...

    def step_states(self, runs: Collection[RunId]) -> Mapping[StepState, int]:
        """Give how many steps of some runs stand how."""
        ...

    def decisions_after(self, number: int) -> tuple[Mapping[str, int], int]:
        """Give how many decisions of each verdict were kept after a number, and the last number."""
        ...

    def last_decision(self) -> int:
        """Give the number of the decision that was kept last; 0 when there is none."""
        ...
