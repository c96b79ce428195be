"""Revoking: versions are said to be unfit, from a moment on, and said to be fit again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.cascade import Publication
from imagebuilder.domain.channel import Channel
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.domain.lineage import Scope
from imagebuilder.domain.standing import (
    AlreadyRevoked,
    MessageMissing,
    NotRevoked,
    ReferenceOpen,
    Revocation,
    RevocationInherited,
    RevocationMisdated,
    Standing,
)
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.publishing import Publish, unfollowed
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.transactions import Transactions

_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Where revocations and what they reach are kept, and who is told of changes.

    `published` is told what channels fell back to, as a part of the transaction.
    """

    versions: VersionStore
    standings: StandingStore
    channels: ChannelStore
    placements: PlacementStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    ids: IdSource
    published: Publish = unfollowed


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationOrder:
    """How a version is to be revoked; `at` is None for at once."""

    message: str
    at: datetime | None = None
    reaches_descendants: bool = True
    rolls_channels_back: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChange:
    """What a channel means before and after, as people name it; None for nothing."""

    channel: Channel
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a revocation, or its end, makes different at the moment it counts.

    `said_at` is when it was said, `at` when it counts.
    Shape: `versions` are those that become unusable, or usable again: the version itself and then
    its descendants, as they were recorded. `channels` are those that mean something else then, or
    stay on a version that is revoked; `placements` those that were not withdrawn.
    """

    reference: str
    said_at: datetime
    at: datetime
    versions: tuple[str, ...]
    channels: tuple[ChannelChange, ...] = ()
    placements: tuple[tuple[str, Placement], ...] = ()
    standing: Standing | None = None

    @property
    def reaches_others(self) -> bool:
        """Whether more than the version itself is touched; `latest` only follows."""
        others = any(reference != self.reference for reference in self.versions)
        set_ones = any(not change.channel.is_managed for change in self.channels)
        return others or set_ones or bool(self.placements)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOfVersion:
    """What is said of a version; `revoked` names the one whose revocation counts, if one does."""

    standing: Standing
    revoked: str
    channels: tuple[ChannelName, ...]


class _RehearsalOver(Exception):
    """All was done that would be done, and is not to be kept."""


class Revoking:
    """Revokes and restores versions. Durable: each change is kept with its audit entry, or neither.

    A rehearsal does all of it and keeps nothing, so that what it tells is what will be.
    """

    def __init__(self, register: Register, actor: str) -> None:
        """Revoke and restore in the name of `actor`."""
        self._register = register
        self._actor = actor

    def revoke(
        self, reference: str, order: RevocationOrder, *, is_rehearsal: bool = False
    ) -> Impact:
        """Revoke a version, now or from a moment on.

        One that is to be revoked later can be revoked earlier.

        Raises: MessageMissing; RevocationMisdated; AlreadyRevoked; ReferenceOpen; VersionNotFound;
        ReferenceMalformed; ReferenceAmbiguous.
        """
        _refuse_no_message(order.message)
        with self._changing(is_rehearsal=is_rehearsal):
            return self._followed(self._revoked(reference, order))

    def restore(self, reference: str, message: str, *, is_rehearsal: bool = False) -> Impact:
        """End the revocations of a version itself. Channels that fell back stay where they are.

        Raises: MessageMissing; NotRevoked; RevocationInherited; ReferenceOpen; VersionNotFound;
        ReferenceMalformed; ReferenceAmbiguous.
        """
        _refuse_no_message(message)
        with self._changing(is_rehearsal=is_rehearsal):
            return self._followed(self._restored(reference, message))

    def told_of(self, version_id: VersionId) -> ToldOfVersion:
        """Give how a recorded version stands now, and which channels mean it."""
        standing = self._standing(version_id)
        return ToldOfVersion(
            standing=standing,
            revoked=self._revoked_reference(standing),
            channels=tuple(self._register.channels.holding([version_id], self._now())[version_id]),
        )

    def _followed(self, impact: Impact) -> Impact:
        """See to what follows from channels that mean another version now, and give the impact.

        Of a later revocation nothing follows by itself: what stands on it is told by a decision.
        """
        if impact.at <= impact.said_at:
            for change in impact.channels:
                if change.new is not None and change.new != change.old:
                    publication = Publication.of(change.new, channel=change.channel.name)
                    self._register.published(publication, impact.said_at)
        return impact

    def _standing(self, version_id: VersionId) -> Standing:
        return self._register.standings.standings([version_id], self._now())[version_id]

    def _revoked_reference(self, standing: Standing) -> str:
        """Give how people name the version whose revocation counts; nothing without one."""
        if standing.revocation is None:
            return ""
        revoked = standing.revocation.version_id
        return self._register.versions.references([revoked])[revoked]

    @contextmanager
    def _changing(self, *, is_rehearsal: bool) -> Iterator[None]:
        """Keep all that is done in the block, or nothing of it."""
        with suppress(_RehearsalOver), self._register.transactions.together():
            yield
            if is_rehearsal:
                raise _RehearsalOver

    def _revoked(self, reference: str, order: RevocationOrder) -> Impact:
        register, now = self._register, self._now()
        version = self._version(reference)
        at = order.at or now
        if at < now:
            raise RevocationMisdated(version.reference, at, now)
        replaced = self._replaced(version, at, now)
        view = self._view(version, at)
        act = Act(actor=self._actor, at=now, why=order.message.strip())
        for old in replaced:
            register.standings.restore(old.id, act)
        new = Revocation(
            id=register.ids.new("revocation"),
            version_id=version.id,
            in_force_at=at,
            act=act,
            reaches_descendants=order.reaches_descendants,
            rolls_channels_back=order.rolls_channels_back,
        )
        register.standings.revoke(new)
        before = _told(replaced[-1]) if replaced else None
        self._tell(AuditAction.VERSION_REVOKED, act, version.reference, before, _told(new))
        return self._impact(view)

    def _restored(self, reference: str, message: str) -> Impact:
        register, now = self._register, self._now()
        version = self._version(reference)
        standing = self._standing(version.id)
        own = [r for r in register.standings.revocations(version.id) if r.is_open(now)]
        if not own and standing.revocation is not None:
            source = self._revoked_reference(standing)
            raise RevocationInherited(version.reference, source, standing.revocation)
        if not own:
            raise NotRevoked(version.reference)
        view = self._view(version, max(now, *(r.in_force_at for r in own)))
        act = Act(actor=self._actor, at=now, why=message.strip())
        for revocation in own:
            register.standings.restore(revocation.id, act)
        self._tell(AuditAction.VERSION_RESTORED, act, version.reference, _told(own[-1]), None)
        return self._impact(view)

    def _replaced(self, version: ImageVersion, at: datetime, now: datetime) -> Sequence[Revocation]:
        """Give the version's own revocations to come, which one at a moment makes needless."""
        kept = self._register.standings.revocations(version.id)
        own = [revocation for revocation in kept if revocation.is_open(now)]
        for revocation in own:
            if revocation.in_force_at <= max(at, now):
                raise AlreadyRevoked(version.reference, revocation, now)
        return own

    def _view(self, version: ImageVersion, at: datetime) -> "_View":
        """Look at what a revocation of a version may reach, at the moment when it counts."""
        references = self._with_descendants(version)
        images = {ImageName(reference.partition("@")[0]) for reference in references.values()}
        return _View(
            reference=version.reference,
            said_at=self._now(),
            at=at,
            references=references,
            standings=self._register.standings.standings(references, at),
            channels=[
                c for image in sorted(images) for c in self._register.channels.channels(image, at)
            ],
        )

    def _impact(self, before: "_View") -> Impact:
        """Tell what is different now at the moment of an earlier look."""
        register, at = self._register, before.at
        standings = register.standings.standings(before.references, at)
        changed = [
            each
            for each, standing in standings.items()
            if standing.is_usable != before.standings[each].is_usable
        ]
        order = {each: place for place, each in enumerate(before.references)}
        changed.sort(key=order.__getitem__)
        return Impact(
            reference=before.reference,
            said_at=before.said_at,
            at=at,
            versions=tuple(before.references[each] for each in changed),
            channels=tuple(self._channel_changes(before, set(changed))),
            placements=tuple(
                (before.references[each.version_id], each)
                for each in register.placements.of(changed)
                if each.withdrawn is None
            ),
            standing=standings[next(iter(order))],
        )

    def _channel_changes(
        self, before: "_View", changed: Collection[VersionId]
    ) -> Iterator[ChannelChange]:
        now = [
            self._register.channels.channel(old.image, old.name, before.at)
            for old in before.channels
        ]
        ids = {each.version_id for each in (*before.channels, *now) if each.version_id is not None}
        names = self._register.versions.references(ids)
        for old, new in zip(before.channels, now, strict=True):
            if new.version_id != old.version_id or new.version_id in changed:
                yield ChannelChange(
                    channel=new,
                    old=names[old.version_id] if old.version_id else None,
                    new=names[new.version_id] if new.version_id else None,
                )

    def _with_descendants(self, version: ImageVersion) -> dict[VersionId, str]:
        """Give a version, then all that descends from it. Shape: id -> reference."""
        scope = Scope(up=False, down=True, limit=_ALL)
        descent = self._register.versions.descent(version.id, scope)
        return {kin.id: kin.reference for kin in descent.kin}

    def _version(self, reference: str) -> ImageVersion:
        """Give the one version that a reference always means. Raises: ReferenceOpen."""
        asked = parse_reference(reference)
        version = self._register.versions.find(asked, self._now())
        if asked.build is None and asked.name == version.image:
            # Said twice, by a script that tries again, it would revoke the next one as well.
            raise ReferenceOpen(reference, version.reference)
        return version

    def _tell(
        self, action: AuditAction, act: Act, subject: str, before: Canonical, after: Canonical
    ) -> None:
        entry = AuditEntry(act=act, action=action, subject=subject, before=before, after=after)
        self._register.audit.add(entry)

    def _now(self) -> datetime:
        return self._register.clock.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How things stand at a moment. Shape: `references` is id -> reference, the focus first."""

    reference: str
    said_at: datetime
    at: datetime
    references: Mapping[VersionId, str]
    standings: Mapping[VersionId, Standing]
    channels: Sequence[Channel]


def _refuse_no_message(message: str) -> None:
    if not message.strip():
        raise MessageMissing


def _told(revocation: Revocation) -> Canonical:
    return {
        "in_force_at": revocation.in_force_at.isoformat(),
        "message": revocation.act.why,
        "reaches_descendants": revocation.reaches_descendants,
        "rolls_channels_back": revocation.rolls_channels_back,
    }
