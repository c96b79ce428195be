"""A ChannelStore in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from imagebuilder.domain.channel import LATEST, Channel, ChannelGate, ChannelMove, MoveKind
from imagebuilder.domain.channel_history import history
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.ports.channels import ChannelMoved
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.standings import FakeStandingStore


class FakeChannelStore:
    """Keeps moves in lists, and folds all of them for every answer."""

    def __init__(self, versions: FakeVersionStore, standings: FakeStandingStore) -> None:
        """Keep moves to recorded versions, which stand as said."""
        self._versions = versions
        self._standings = standings
        self.kept: dict[tuple[ImageName, ChannelName], list[ChannelMove]] = {}
        self.gates: dict[tuple[ImageName, ChannelName], ChannelGate | None] = {}

    def channels(self, image: ImageName | None, at: datetime) -> Sequence[Channel]:
        """Give the channels of an image, or of all, as they stand at a moment."""
        images = {version.image for version in self._versions.versions}
        names = [(each, LATEST) for each in images]
        names += [
            key
            for key in self.kept
            if (moves := self.moves(*key, at)) and moves[-1].kind is not MoveKind.UNSET
        ]
        return [self.channel(*key, at) for key in sorted(names) if image in (None, key[0])]

    def channel(self, image: ImageName, name: ChannelName, at: datetime) -> Channel:
        """Give a channel as it stands at a moment; one that never was has no version."""
        if name == LATEST:
            return Channel(image=image, name=name, version_id=self._latest(image, at))
        moves = self.moves(image, name, at)
        return Channel(
            image=image,
            name=name,
            version_id=moves[-1].new if moves else None,
            moves_seen=len(self.kept.get((image, name), ())),
            moved=moves[-1].act if moves else None,
            gate=self.gates.get((image, name)),
        )

    def moves(self, image: ImageName, name: ChannelName, at: datetime) -> Sequence[ChannelMove]:
        """Give a channel's moves up to a moment, falling back among them, oldest first."""
        return history(self.kept.get((image, name), ()), self._standings.bans, at)

    def add(self, channel: Channel, move: ChannelMove) -> None:
        """Keep a move of a channel that was seen as `channel`."""
        self._refuse_unknown(channel.image)
        kept = self.kept.setdefault((channel.image, channel.name), [])
        if len(kept) != channel.moves_seen:
            found = self.channel(channel.image, channel.name, move.act.at)
            raise ChannelMoved(
                channel.reference,
                self._reference(channel.version_id),
                self._reference(found.version_id),
            )
        for version_id in filter(None, (move.old, move.new)):
            self._versions.get(version_id)
        kept.append(move)

    def set_gate(self, image: ImageName, name: ChannelName, gate: ChannelGate | None) -> None:
        """Keep what a version must bring to enter a channel."""
        self._refuse_unknown(image)
        self.gates[image, name] = gate

    def holding(
        self, ids: Collection[VersionId], at: datetime
    ) -> Mapping[VersionId, Sequence[ChannelName]]:
        """Give the channels that mean each of the versions at a moment, `latest` too, by name."""
        channels = self.channels(None, at)
        return {each: [c.name for c in channels if c.version_id == each] for each in ids}

    def _latest(self, image: ImageName, at: datetime) -> VersionId | None:
        own = [v for v in self._versions.versions if v.image == image and v.created_at <= at]
        standings = self._standings.standings([version.id for version in own], at)
        usable = [version for version in own if standings[version.id].is_usable]
        return max(usable, key=lambda version: version.version).id if usable else None

    def _refuse_unknown(self, image: ImageName) -> None:
        if self._versions.newest(image) is None:
            raise VersionNotFound(image, ())

    def _reference(self, version_id: VersionId | None) -> str:
        return "" if version_id is None else self._versions.get(version_id).reference
