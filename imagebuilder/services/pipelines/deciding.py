"""Deciding: must we build? What speaks for it is gathered, and the domain gives the verdict.

It is planned just as for a build, so that a run is skipped exactly when a build would find the
newest version unchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.need import (
    Decision,
    Reason,
    ReasonKind,
    Terms,
    decide,
)
from imagebuilder.domain.pipeline import StartCondition
from imagebuilder.domain.recipe import AmiParent, parent_text
from imagebuilder.domain.standing import ParentUnusable
from imagebuilder.services.pipelines.planning import BuildRequest, Planning


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAsked:
    """What a pipeline, or a person, wants to know of a recipe, and what is to count.

    Shape: `overrides` maps component.parameter to a value. The build has to be asked for with the
    same `max_age_seconds`, else it takes layers that were found to be too old.
    """

    recipe_path: str
    variant: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    when: StartCondition = StartCondition.UPDATES_AVAILABLE
    security_only: bool = False
    max_age_seconds: int | None = None
    forced: bool = False

    @property
    def terms(self) -> Terms:
        """What is to count."""
        return Terms(
            is_asked_for=self.forced,
            is_always=self.when is StartCondition.ALWAYS,
            is_security_only=self.security_only,
        )


MissingParent: TypeAlias = str | AmiParent
"""The recipe of a parent that was never built, or an AMI that was never fetched."""

MissingParents: TypeAlias = Callable[[str], Sequence[MissingParent]]
"""Gives what a recipe's parents lack, the lowest first."""


class Decisions:
    """Decides on many recipes at one time: each document and each package index is read once."""

    def __init__(self, planning: Planning, missing_parents: MissingParents) -> None:
        """Ask planning, which remembers what it read."""
        self._planning = planning
        self._missing_parents = missing_parents

    def decide(self, asked: DecisionAsked) -> Decision:
        """Say whether to build a recipe now, and why.

        Raises: what planning its build raises, such as InvalidDocument, MirrorUnreachable,
        SignatureRefused, ParentUnusable, NewestRevoked.
        """
        request = BuildRequest(
            recipe_path=asked.recipe_path,
            variant=asked.variant,
            overrides=asked.overrides,
            max_age_seconds=asked.max_age_seconds,
        )
        try:
            prepared = self._planning.prepare(request)
        except (VersionNotFound, ParentUnusable):
            # A build makes the parents that it lacks; that fails when there is no recipe of them.
            missing = self._missing_parents(asked.recipe_path)
            if not missing:
                raise
            text = _told_of(missing[-1])
            return decide([Reason(kind=ReasonKind.NEVER_BUILT, text=text)], asked.terms)
        version = prepared.before.reference if prepared.before else ""
        return decide(prepared.reasons, asked.terms, version)


class Deciding:
    """Decides whether recipes must be built."""

    def __init__(self, opened: Callable[[], Decisions]) -> None:
        """Let opened begin to look, remembering nothing of earlier looks."""
        self._opened = opened

    def opened(self) -> Decisions:
        """Give what decides on all that is due now, as the world is at this moment."""
        return self._opened()

    def decide(self, asked: DecisionAsked) -> Decision:
        """Say whether to build a recipe now, and why. Raises: as `Decisions.decide`."""
        return self._opened().decide(asked)


def _told_of(missing: MissingParent) -> str:
    if isinstance(missing, AmiParent):
        return f"its parent {parent_text(missing)} is not at hand"
    return "its parent image was never built"
