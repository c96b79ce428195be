"""Placement: one version at one target, under the id it has there."""

from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.audit import Act
from imagebuilder.domain.errors import InvalidInput, WrongState
from imagebuilder.domain.ids import VersionId

_LONGEST = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a version was put: the account and region, the registry, the host.

    `external_id` is what it is called there (ami-0abc...). Invariant: unique with its target.
    `launched_at` is when it was last seen in use; `withdrawn` is set once it is gone from there.
    """

    version_id: VersionId
    target: str
    external_id: str
    placed: Act
    launched_at: datetime | None = None
    withdrawn: Act | None = None

    @property
    def subject(self) -> str:
        """How people name it: aws:123456789012/eu-central-1 ami-0abc."""
        return f"{self.target} {self.external_id}"


def check_place(target: str, external_id: str) -> None:
    """Let a target and an id pass that can be written and typed again.

    Raises: PlaceMalformed: one of them is empty, too long, or holds spaces or what is no text.
    """
    for what, text in (("target", target), ("id", external_id)):
        if not text or len(text) > _LONGEST or not text.isprintable() or " " in text:
            raise PlaceMalformed(what, text)


class PlaceMalformed(InvalidInput):
    """What should name a target, or the id of a version there, cannot be one."""

    code = "place-malformed"

    def __init__(self, what: str, text: str) -> None:
        """Quote it."""
        super().__init__(
            f"{text[:80]!r} is not the {what} of a placement.",
            context=f"It is one word of up to {_LONGEST} printable characters.",
            hint="Write a target such as aws:123456789012/eu-central-1, and an id as it has there.",
        )


class PlacementExists(WrongState):
    """Something of that id is known at that target already."""

    code = "placement-exists"

    def __init__(self, there: Placement, reference: str) -> None:
        """Say which version it is and since when."""
        since = f"{reference} was placed there at {there.placed.at:%Y-%m-%d %H:%M:%SZ}"
        gone = ""
        if there.withdrawn is not None:
            gone = f" and withdrawn at {there.withdrawn.at:%Y-%m-%d %H:%M:%SZ}"
        super().__init__(
            f"{there.external_id} at {there.target} is a placement already.",
            context=f"{since} by {there.placed.actor}{gone}.",
            hint=f"See it with: imagebuilder image whatis {there.external_id}",
        )


class PlacementNotFound(WrongState):
    """Nothing was placed under an id at a target."""

    code = "placement-not-found"

    def __init__(self, target: str, external_id: str, elsewhere: tuple[str, ...]) -> None:
        """Name the targets where that id is."""
        there = f"At {', '.join(elsewhere)} there is." if elsewhere else "Nor at any other target."
        super().__init__(
            f"There is no placement {external_id} at {target}.",
            context=there,
            hint="List them with: imagebuilder placement list",
        )


class PlacementWithdrawn(WrongState):
    """A placement is gone from its target."""

    code = "placement-withdrawn"

    def __init__(self, placement: Placement, withdrawn: Act) -> None:
        """Say since when and by whom."""
        super().__init__(
            f"{placement.external_id} was withdrawn from {placement.target}.",
            context=f"{withdrawn.actor} did it at {withdrawn.at:%Y-%m-%d %H:%M:%SZ}.",
            hint="What is withdrawn stays so: add what was placed since under its own id.",
        )


class LaunchMisdated(InvalidInput):
    """A launch is told of a moment that is still to come."""

    code = "launch-misdated"

    def __init__(self, placement: Placement, at: datetime, reason: str) -> None:
        """Name the moment."""
        super().__init__(
            f"{placement.external_id} cannot have been launched at {at:%Y-%m-%d %H:%M:%SZ}.",
            context=reason,
            hint="Give the moment when it was last seen in use.",
        )
