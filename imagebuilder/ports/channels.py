"""ChannelStore: where channels point, and how they came to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.channel import Channel, ChannelGate, ChannelMove
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId


class ChannelStore(Protocol):
    """Keeps the moves of channels. What a channel means at a moment is computed from them.

    `latest` of every image is among the channels that are given, and is never kept.
    """

    def channels(self, image: ImageName | None, at: datetime) -> Sequence[Channel]:
        """Give the channels of an image, or of all, as they stand at a moment, by image and name.

        A channel that was unset is left out.
        """
        ...

    def channel(self, image: ImageName, name: ChannelName, at: datetime) -> Channel:
        """Give a channel as it stands at a moment; one that never was has no version."""
        ...

    def moves(self, image: ImageName, name: ChannelName, at: datetime) -> Sequence[ChannelMove]:
        """Give a channel's moves up to a moment, falling back among them, oldest first."""
        ...

    def add(self, channel: Channel, move: ChannelMove) -> None:
        """Keep a move of a channel that was seen as `channel`.

        Raises: ChannelMoved: somebody moved it since it was seen.
        """
        ...

    def set_gate(self, image: ImageName, name: ChannelName, gate: ChannelGate | None) -> None:
        """Keep what a version must bring to enter a channel."""
        ...

    def holding(
        self, ids: Collection[VersionId], at: datetime
    ) -> Mapping[VersionId, Sequence[ChannelName]]:
        """Give the channels that mean each of the versions at a moment, `latest` too, by name."""
        ...


class ChannelMoved(WrongState):
    """Somebody moved the channel in the meantime."""

    code = "channel-moved"

    def __init__(self, channel: str, seen: str, found: str) -> None:
        """Say where it was when it was looked at, and where it is."""
        super().__init__(
            f"Channel {channel} was moved by somebody else in the meantime.",
            context=f"It was at {seen or 'no version'} and is at {found or 'no version'} now.",
            hint=f"See who did it with: imagebuilder channel history {channel}; then try again.",
        )
