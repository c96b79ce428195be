"""Channel: a moving name for a version of an image, and the history of its moves."""

import re
from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.audit import Act
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId

LATEST = ChannelName("latest")
"""The managed channel: the highest usable version; nobody moves it."""

CHANNEL_PATTERN = r"^[a-z][a-z0-9-]{1,62}$"
"""What channels may be called: no wildcard and no version looks like it."""


def is_channel_name(text: str) -> bool:
    """Whether text may name a channel."""
    return re.fullmatch(CHANNEL_PATTERN, text) is not None


class MoveKind(StrEnum):
    """How a channel came to point where it does."""

    SET = "set"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    UNSET = "unset"
    FELL_BACK = "fell-back"
    """Computed, never kept: its version was revoked, and it holds the last usable one it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMove:
    """One move of a channel; `source` is the channel that a promotion copied."""

    kind: MoveKind
    act: Act
    old: VersionId | None
    new: VersionId | None
    source: ChannelName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGate:
    """What a version must bring to enter a channel, beside being usable and tested.

    `after` is the channel it must be on, or have been on, for `soak_seconds` in all; `stages` are
    those whose tests it must have passed.
    """

    after: ChannelName | None = None
    soak_seconds: int = 0
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel as it stands at a moment.

    `version_id` is what it means then, after falling back; `moves_seen` counts the moves that are
    kept, and is what a change must name, so that of two at once only one wins. `latest` has none.
    """

    image: ImageName
    name: ChannelName
    version_id: VersionId | None
    moves_seen: int = 0
    moved: Act | None = None
    gate: ChannelGate | None = None

    @property
    def reference(self) -> str:
        """How people name it: web@stable."""
        return f"{self.image}@{self.name}"

    @property
    def is_managed(self) -> bool:
        """Whether only imagebuilder moves it."""
        return self.name == LATEST
