"""Promoting: channels are moved from version to version, or it is said why not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagebuilder.domain.attestation import PromotionDecision
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.cascade import Publication
from imagebuilder.domain.channel import (
    LATEST,
    Channel,
    ChannelEmpty,
    ChannelGate,
    ChannelManaged,
    ChannelMove,
    ChannelNotFound,
    ChannelsSame,
    MoveKind,
    RollbackImpossible,
    checked_channel_name,
    parse_channel,
)
from imagebuilder.domain.channel_history import held_before, was_held
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, VersionNotFound, parse_reference
from imagebuilder.domain.promotion import (
    PromotionRefused,
    standing_objections,
)
from imagebuilder.domain.standing import Standing
from imagebuilder.domain.verdict import Judged
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelMoved, ChannelStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.publishing import Publish, unfollowed
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.gating import Gating

NOTHING = "none"
"""What is expected of a channel that is to mean no version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchboard:
    """Where channels and what they depend on are kept, and who is told of changes.

    `published` is told what a channel means now, as a part of the transaction that moves it.
    `decided` is told of each move after it was kept, and gives why it is not signed if so.
    """

    versions: VersionStore
    standings: StandingStore
    channels: ChannelStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    gating: Gating
    published: Publish = unfollowed
    decided: Callable[[PromotionDecision], str] = lambda _: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """How a move is wanted.

    `expected` is what the channel must mean beforehand: a reference, or none; when it is None, that
    does not matter. A rehearsal is checked as the move itself is, and nothing is kept.
    """

    why: str = ""
    expected: str | None = None
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """A channel as it stands; `reference` names the version it means."""

    channel: Channel
    reference: str | None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMove:
    """A move, its versions as people name them. Of `is_move` False, nothing had to be moved.

    `complaint` says why the decision is not signed, when it should be. Shape: `ending` is what only
    waivers that end soon let it in with.
    """

    channel: str
    move: ChannelMove
    old: str | None
    new: str | None
    is_move: bool = True
    complaint: str = ""
    ending: tuple[Judged, ...] = ()


class Promoting:
    """Moves channels. Durable: each move is kept with its audit entry, or neither is.

    Of two that move one channel at once, one wins, and the other is told.
    """

    def __init__(self, board: Switchboard, actor: str) -> None:
        """Move channels of `board` in the name of `actor`."""
        self._board = board
        self._actor = actor

    def set(self, reference: str, channel: str, order: MoveOrder) -> ShownMove:
        """Let a channel mean a version.

        Raises: PromotionRefused; GateRefused; ChannelMoved; ChannelManaged; ChannelMalformed;
        VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        name = _movable(channel)
        version = self._version(reference)
        looked_at = self._channel(version.image, name)
        with self._board.transactions.together():
            seen = self._seen(looked_at, order)
            ending = self._board.gating.refuse_entry(version, seen)
            moved = self._moved(seen, version.id, MoveKind.SET, order)
            shown = replace(moved, ending=ending)
        return self._decided(shown, order)

    def promote(self, image: str, source: str, target: str, order: MoveOrder) -> ShownMove:
        """Let a channel of an image mean what another one means.

        Raises: ChannelsSame; ChannelEmpty; ChannelNotFound: `source` never was; as `set`.
        """
        came_from, goes_to = checked_channel_name(source), _movable(target)
        if came_from == goes_to:
            raise ChannelsSame(f"{image}@{target}")
        named = self._image(image)
        looked_at = self._channel(named, goes_to)
        with self._board.transactions.together():
            version_id = self._known(named, came_from).version_id
            if version_id is None:
                raise ChannelEmpty(f"{image}@{source}")
            seen = self._seen(looked_at, order)
            version = self._board.versions.get(version_id)
            ending = self._board.gating.refuse_entry(version, seen)
            moved = self._moved(seen, version_id, MoveKind.PROMOTED, order, source=came_from)
            shown = replace(moved, ending=ending)
        return self._decided(shown, order)

    def rollback(self, channel: str, order: MoveOrder, to: str | None = None) -> ShownMove:
        """Let a channel mean the last usable version it held before, or a named one of those.

        Its gate is not asked: the version was let in before.

        Raises: RollbackImpossible; PromotionRefused; ChannelMoved; ChannelNotFound; as `set`.
        """
        image, name = _movable_channel(channel)
        looked_at = self._known(image, name)
        with self._board.transactions.together():
            seen = self._seen(looked_at, order)
            moves = self._board.channels.moves(image, name, self._now())
            found = self._held_last(seen, moves) if to is None else self._held(seen, moves, to)
            shown = self._moved(seen, found, MoveKind.ROLLED_BACK, order)
        return self._decided(shown, order)

    def unset(self, channel: str, order: MoveOrder) -> ShownMove:
        """Let a channel mean nothing. Raises: ChannelNotFound; ChannelMoved; as `set`."""
        image, name = _movable_channel(channel)
        looked_at = self._known(image, name)
        with self._board.transactions.together():
            shown = self._moved(self._seen(looked_at, order), None, MoveKind.UNSET, order)
        return self._decided(shown, order)

    def gate(self, channel: str, gate: ChannelGate | None, why: str = "") -> ShownChannel:
        """Let a channel ask for more of versions that enter, or no more than every channel does.

        What is on it stays. Raises: ChannelManaged; ChannelMalformed; VersionNotFound.
        """
        image, name = _movable_channel(channel)
        if gate is not None and gate.after == LATEST:
            raise ChannelManaged(f"{image}@{LATEST}")
        if gate is not None and gate.after == name:
            raise ChannelsSame(channel)
        with self._board.transactions.together():
            self._image(image)
            old = self._board.channels.channel(image, name, self._now())
            if gate != old.gate:
                self._board.channels.set_gate(image, name, gate)
                self._board.audit.add(
                    AuditEntry(
                        act=self._act(why),
                        action=AuditAction.CHANNEL_GATED,
                        subject=old.reference,
                        before=None if old.gate is None else old.gate.document(),
                        after=None if gate is None else gate.document(),
                    )
                )
            return self._shown(self._board.channels.channel(image, name, self._now()))

    def list(self, image: str | None = None) -> Sequence[ShownChannel]:
        """Give the channels of an image, or all, by image and name. Raises: VersionNotFound."""
        named = None if image is None else self._image(image)
        return self._all_shown(self._board.channels.channels(named, self._now()))

    def show(self, channel: str) -> ShownChannel:
        """Give a channel as it stands. Raises: ChannelNotFound; ChannelMalformed."""
        return self._shown(self._known(*parse_channel(channel)))

    def history(self, channel: str) -> Sequence[ShownMove]:
        """Give a channel's moves, falling back among them, oldest first.

        Raises: ChannelNotFound; ChannelMalformed.
        """
        image, name = parse_channel(channel)
        known = self._known(image, name)
        return self._all_shown_moves(known, self._board.channels.moves(image, name, self._now()))

    def _moved(
        self,
        seen: Channel,
        new: VersionId | None,
        kind: MoveKind,
        order: MoveOrder,
        source: ChannelName | None = None,
    ) -> ShownMove:
        move = ChannelMove(
            kind=kind, act=self._act(order.why), old=seen.version_id, new=new, source=source
        )
        is_move = new != seen.version_id or (new is None and not self._is_unset(seen))
        shown = replace(self._all_shown_moves(seen, [move])[0], is_move=is_move)
        if is_move and not order.is_rehearsal:
            self._board.channels.add(seen, move)
            came_from = {} if source is None else {"from": source}
            self._board.audit.add(
                AuditEntry(
                    act=move.act,
                    action=AuditAction.CHANNEL_MOVED,
                    subject=seen.reference,
                    before={"version": shown.old},
                    after={"version": shown.new, "how": kind.value, **came_from},
                )
            )
            if shown.new is not None:
                publication = Publication.of(shown.new, channel=seen.name)
                self._board.published(publication, move.act.at)
        return shown

    def _decided(self, shown: ShownMove, order: MoveOrder) -> ShownMove:
        """Let a move that was kept be stated and signed, now that nobody waits for it."""
        move = shown.move
        if not shown.is_move or order.is_rehearsal or move.new is None or shown.new is None:
            return shown
        decision = PromotionDecision(
            channel=shown.channel,
            reference=shown.new,
            version_id=move.new,
            before=shown.old,
            how=move.kind,
            act=move.act,
        )
        return replace(shown, complaint=self._board.decided(decision))

    def _held_last(self, seen: Channel, moves: Sequence[ChannelMove]) -> VersionId:
        held = held_before(moves)
        standings = self._board.standings.standings(held, self._now())
        for version_id in held:
            if standings[version_id].is_usable:
                return version_id
        reason = "Nothing that it held before is usable." if held else "It held nothing before."
        raise RollbackImpossible(seen.reference, reason)

    def _held(self, seen: Channel, moves: Sequence[ChannelMove], to: str) -> VersionId:
        version = self._version(to)
        if not was_held(moves, version.id):
            raise RollbackImpossible(seen.reference, f"It never held {version.reference}.")
        candidate = self._board.gating.candidate(version)
        objections = standing_objections(candidate)
        if objections:
            raise PromotionRefused(version.reference, seen.reference, objections)
        return version.id

    def _seen(self, looked_at: Channel, order: MoveOrder) -> Channel:
        """Give a channel as it is, if nobody moved it since it was looked at and it is as expected.

        It is looked at before the transaction, which waits for those of others.
        """
        seen = self._channel(looked_at.image, looked_at.name)
        found = self._reference(seen.version_id) or ""
        if seen.moves_seen != looked_at.moves_seen:
            before = self._reference(looked_at.version_id) or ""
            raise ChannelMoved(seen.reference, before, found)
        if order.expected is not None:
            is_none = order.expected == NOTHING
            expected = None if is_none else self._version(order.expected)
            if (expected.id if expected else None) != seen.version_id:
                raise ChannelMoved(seen.reference, expected.reference if expected else "", found)
        return seen

    def _channel(self, image: ImageName, name: ChannelName) -> Channel:
        return self._board.channels.channel(image, name, self._now())

    def _known(self, image: ImageName, name: ChannelName) -> Channel:
        """Give a channel that was moved or gated once."""
        self._image(image)
        found = self._channel(image, name)
        if not found.is_managed and not found.moves_seen and found.gate is None:
            names = (c.name for c in self._board.channels.channels(image, self._now()))
            raise ChannelNotFound(found.reference, tuple(names))
        return found

    def _is_unset(self, channel: Channel) -> bool:
        moves = self._board.channels.moves(channel.image, channel.name, self._now())
        return not moves or moves[-1].kind is MoveKind.UNSET

    def _image(self, name: str) -> ImageName:
        image = ImageName(name)
        if self._board.versions.newest(image) is None:
            raise VersionNotFound.of_image(name, self._board.versions.names())
        return image

    def _version(self, reference: str) -> ImageVersion:
        return self._board.versions.find(parse_reference(reference), self._now())

    def _reference(self, version_id: VersionId | None) -> str | None:
        return (
            None
            if version_id is None
            else self._board.versions.references([version_id])[version_id]
        )

    def _shown(self, channel: Channel) -> ShownChannel:
        return self._all_shown([channel])[0]

    def _all_shown(self, channels: Sequence[Channel]) -> Sequence[ShownChannel]:
        ids = {c.version_id for c in channels if c.version_id is not None}
        standings = self._board.standings.standings(ids, self._now())
        references = self._board.versions.references(ids)
        return [
            ShownChannel(
                channel=each,
                reference=references[each.version_id] if each.version_id else None,
                standing=standings[each.version_id] if each.version_id else None,
            )
            for each in channels
        ]

    def _all_shown_moves(
        self, channel: Channel, moves: Sequence[ChannelMove]
    ) -> Sequence[ShownMove]:
        ids = {each for move in moves for each in (move.old, move.new) if each is not None}
        references = self._board.versions.references(ids)
        return [
            ShownMove(
                channel=channel.reference,
                move=move,
                old=references[move.old] if move.old else None,
                new=references[move.new] if move.new else None,
            )
            for move in moves
        ]

    def _now(self) -> datetime:
        return self._board.clock.now()

    def _act(self, why: str) -> Act:
        return Act(actor=self._actor, at=self._now(), why=why)


def _movable(name: str) -> ChannelName:
    checked = checked_channel_name(name)
    if checked == LATEST:
        raise ChannelManaged(name)
    return checked


def _movable_channel(text: str) -> tuple[ImageName, ChannelName]:
    image, name = parse_channel(text)
    if name == LATEST:
        raise ChannelManaged(text)
    return image, name
