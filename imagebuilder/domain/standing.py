"""Standing: whether a version may be used, from what was said of it and of what it descends from.

Facts are kept (revocations, lifecycle); the standing is computed for a moment, never kept, so that
a revocation at a time comes into force though no process is up at that second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId


class Lifecycle(StrEnum):
    """How far retention has gone with a version; it only goes on."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    DISABLED = "disabled"
    DELETED = "deleted"


class State(StrEnum):
    """What people read of a version: its lifecycle, unless it is revoked or will be."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    DISABLED = "disabled"
    DELETED = "deleted"
    REVOKED = "revoked"
    REVOCATION_SCHEDULED = "revocation-scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Somebody's word that a version must not be used any more, from a moment on.

    `act` says who revoked it, when that was said, and the message. Invariant: in_force_at is not
    before act.at; a restored one is kept, with who restored it.
    Source: HCP Packer: revocation, inherited unless told not to; channels fall back likewise.
    """

    id: str
    version_id: VersionId
    in_force_at: datetime
    act: Act
    reaches_descendants: bool = True
    rolls_channels_back: bool = True
    restored: Act | None = None

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at a moment."""
        return self.in_force_at <= at and (self.restored is None or at < self.restored.at)

    def is_open(self, at: datetime) -> bool:
        """Whether it holds at a moment, or is to hold later."""
        return self.restored is None or at < self.restored.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a version stands at a moment.

    `revocation` is the one that counts: the first in force, else the next to come into force, its
    own or an ancestor's.
    """

    version_id: VersionId
    at: datetime
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    revocation: Revocation | None = None

    @property
    def is_revoked(self) -> bool:
        """Whether a revocation is in force."""
        return self.revocation is not None and self.revocation.is_in_force(self.at)

    @property
    def is_inherited(self) -> bool:
        """Whether the revocation that counts is an ancestor's."""
        return self.revocation is not None and self.revocation.version_id != self.version_id

    @property
    def is_usable(self) -> bool:
        """Whether channels may hold it and children may be built on it."""
        fit = (Lifecycle.ACTIVE, Lifecycle.DEPRECATED)
        return self.lifecycle in fit and not self.is_revoked

    @property
    def state(self) -> State:
        """What people read; what is gone stays gone, though it is revoked as well."""
        if self.lifecycle is Lifecycle.DELETED:
            return State.DELETED
        if self.is_revoked:
            return State.REVOKED
        if self.lifecycle is Lifecycle.ACTIVE and self.revocation is not None:
            return State.REVOCATION_SCHEDULED
        return State(self.lifecycle.value)


def standing_of(
    line: Sequence[VersionId],
    revocations: Mapping[VersionId, Iterable[Revocation]],
    lifecycle: Lifecycle,
    at: datetime,
) -> Standing:
    """Give how a version stands at a moment.

    Shape: `line` is the version itself, then all it descends from; what it was copied from counts.
    """
    own, ancestors = line[0], line[1:]
    counting = [r for r in revocations.get(own, ()) if r.is_open(at)]
    counting += [
        r
        for ancestor in ancestors
        for r in revocations.get(ancestor, ())
        if r.is_open(at) and r.reaches_descendants
    ]
    first = min(counting, key=lambda r: (r.in_force_at, r.version_id != own, r.id), default=None)
    return Standing(version_id=own, at=at, lifecycle=lifecycle, revocation=first)
