"""Standing: whether a version may be used, from what was said of it and of what it descends from.

Facts are kept (revocations, lifecycle); the standing is computed for a moment, never kept, so that
a revocation at a time comes into force though no process is up at that second.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.audit import Act
from imagebuilder.domain.errors import InvalidInput, Refused, WrongState
from imagebuilder.domain.ids import VersionId

RETENTION = "retention"
"""In whose name a channel falls back from a version that was disabled or deleted."""


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
        """Whether it was said by a moment, and holds at it or is to hold later."""
        return self.act.at <= at and (self.restored is None or at < self.restored.at)


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

    def why_unusable(self, revoked: str) -> str:
        """Say why the version must not be used; `revoked` is how people name what was revoked."""
        counting = self.revocation
        if counting is None or not self.is_revoked:
            return f"It is {self.lifecycle}."
        said = f"by {counting.act.actor} since {_moment(counting.in_force_at)}"
        if self.is_inherited:
            return f"It descends from {revoked}, which is revoked {said}: {counting.act.why}"
        return f"It is revoked {said}: {counting.act.why}"


def standing_of(
    line: Sequence[VersionId],
    revocations: Mapping[VersionId, Iterable[Revocation]],
    lifecycle: Lifecycle,
    at: datetime,
) -> Standing:
    """Give how a version stands at a moment.

    Shape: `line` is the version itself, then all it descends from; what it was copied from counts.
    """
    own = line[0]
    counting = [r for r in _reaching(line, revocations) if r.is_open(at)]
    first = min(counting, key=lambda r: (r.in_force_at, r.version_id != own, r.id), default=None)
    return Standing(version_id=own, at=at, lifecycle=lifecycle, revocation=first)


def lifecycle_at(since: Mapping[Lifecycle, datetime], at: datetime) -> Lifecycle:
    """Give how far retention had gone with a version at a moment.

    Shape: `since` maps what the version became to when it did.
    """
    reached = [
        lifecycle for lifecycle in Lifecycle if lifecycle in since and since[lifecycle] <= at
    ]
    return reached[-1] if reached else Lifecycle.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A span in which a version is not usable: from `act.at` up to `until`, if it ended.

    `act` says who brought it about and why; `moves_channels` whether channels leave the version.
    """

    act: Act
    until: datetime | None = None
    moves_channels: bool = True

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at a moment."""
        return self.act.at <= at and (self.until is None or at < self.until)


def bans_of(
    line: Sequence[VersionId],
    revocations: Mapping[VersionId, Iterable[Revocation]],
    since: Mapping[Lifecycle, datetime],
) -> tuple[Ban, ...]:
    """Give when a version was, is and will be unusable, by what was said so far, first ones first.

    Shape: `line` as in `standing_of`; `since` as in `lifecycle_at`.
    """
    bans = [
        Ban(
            act=Act(actor=r.act.actor, at=r.in_force_at, why=r.act.why),
            until=r.restored.at if r.restored else None,
            moves_channels=r.rolls_channels_back,
        )
        for r in _reaching(line, revocations)
        if r.restored is None or r.in_force_at < r.restored.at
    ]
    ended = [(since[x], x) for x in (Lifecycle.DISABLED, Lifecycle.DELETED) if x in since]
    if ended:
        at, lifecycle = min(ended)
        bans.append(Ban(act=Act(actor=RETENTION, at=at, why=f"It was {lifecycle}.")))
    return tuple(sorted(bans, key=lambda ban: ban.act.at))


def _reaching(
    line: Sequence[VersionId], revocations: Mapping[VersionId, Iterable[Revocation]]
) -> Iterator[Revocation]:
    """Give the revocations of a version, and those of others that it inherits."""
    own, *ancestors = line
    yield from revocations.get(own, ())
    for ancestor in ancestors:
        yield from (r for r in revocations.get(ancestor, ()) if r.reaches_descendants)


class ReferenceOpen(InvalidInput):
    """A version is to be revoked, or restored, by words that soon mean another one."""

    code = "reference-open"

    def __init__(self, asked: str, reference: str) -> None:
        """Say what it means now."""
        super().__init__(
            f"{asked} may mean another version when this is said again.",
            context=f"It means {reference} now; when that is revoked, it means the next.",
            hint=f"Name the version itself: {reference}",
        )


class MessageMissing(InvalidInput):
    """A revocation, or its end, is to be kept without a reason."""

    code = "message-missing"

    def __init__(self) -> None:
        """Say who reads it."""
        super().__init__(
            "A revocation needs a message, and so does its end.",
            context="Whoever builds on the version, or looks at it, reads it.",
            hint='Say why: --message "openssl with CVE-2026-1234; use 1.3.0".',
        )


class RevocationMisdated(InvalidInput):
    """A revocation is to come into force before it was said."""

    code = "revocation-misdated"

    def __init__(self, reference: str, at: datetime, now: datetime) -> None:
        """Name both moments."""
        super().__init__(
            f"{reference} cannot be revoked at {_moment(at)}, which is past.",
            context=f"It is {_moment(now)} now.",
            hint="Give a moment to come, such as --in 30d; or none, to revoke it now.",
        )


class AlreadyRevoked(WrongState):
    """A version is revoked already, or is to be no later than asked for."""

    code = "already-revoked"

    def __init__(self, reference: str, revocation: Revocation, now: datetime) -> None:
        """Say who did it, when and why."""
        is_in_force = revocation.is_in_force(now)
        state = "is revoked since" if is_in_force else "is already to be revoked at"
        restore = f"estore it with: imagebuilder image restore {reference} --message TEXT"
        super().__init__(
            f"{reference} {state} {_moment(revocation.in_force_at)}.",
            context=f"{revocation.act.actor} said: {revocation.act.why}",
            hint=f"R{restore}" if is_in_force else f"Give an earlier moment; or first r{restore}",
        )


class NotRevoked(WrongState):
    """A version is to be restored that nobody revoked."""

    code = "not-revoked"

    def __init__(self, reference: str) -> None:
        """Name it."""
        super().__init__(
            f"{reference} is not revoked.",
            hint=f"See how it stands with: imagebuilder image show {reference}",
        )


class RevocationInherited(WrongState):
    """A version is to be restored that is revoked only because of what it descends from."""

    code = "revocation-inherited"

    def __init__(self, reference: str, source: str, revocation: Revocation) -> None:
        """Say where from, and give the command for it."""
        super().__init__(
            f"{reference} is not revoked itself: it inherits the revocation of {source}.",
            context=f"{revocation.act.actor} revoked {source} as of "
            f"{_moment(revocation.in_force_at)}: {revocation.act.why}",
            hint=f"Restore {source} with: imagebuilder image restore {source} --message TEXT; "
            f"or build {reference.partition('@')[0]} on another parent.",
        )


class ParentUnusable(Refused):
    """A recipe's parent image may not be built on."""

    code = "parent-unusable"

    def __init__(self, image: str, parent: str, standing: Standing, revoked: str) -> None:
        """Say why, and what to do; `revoked` names the version that was revoked."""
        restore = (
            f"; or restore it with: imagebuilder image restore {revoked} --message TEXT"
            if standing.is_revoked
            else ""
        )
        super().__init__(
            f"{image} cannot be built on {parent}.",
            context=standing.why_unusable(revoked),
            hint="Name another parent, such as another version or a channel of "
            f"{parent.partition('@')[0]}; or build that image anew{restore}.",
        )


class NewestRevoked(Refused):
    """Nothing changed since an image's newest version, which is revoked."""

    code = "newest-revoked"

    def __init__(self, reference: str, standing: Standing, revoked: str) -> None:
        """Say why a build would give the same once more."""
        super().__init__(
            f"Nothing changed since {reference}, which is revoked: the same would be built again.",
            context=standing.why_unusable(revoked),
            hint="Change what it was revoked for; or build it from scratch with --no-cache; or "
            f"restore it with: imagebuilder image restore {revoked} --message TEXT",
        )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
