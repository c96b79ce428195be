"""Channel: a moving name for a version of an image, and the history of its moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput, Refused, WrongState
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.gate import AssuranceGate, gate_document, gate_of
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId, is_channel_name, is_name
from imagebuilder.domain.units import duration_text

LATEST = ChannelName("latest")
"""The managed channel: the highest usable version; nobody moves it."""


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
    those whose tests it must have passed; `assurance` what must hold of its findings.
    """

    after: ChannelName | None = None
    soak_seconds: int = 0
    stages: tuple[Stage, ...] = ()
    assurance: AssuranceGate | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What it asks for, as people read it."""
        told = []
        if self.after is not None:
            soak = f" for {duration_text(self.soak_seconds)}" if self.soak_seconds else ""
            told.append(f"after {self.after}{soak}")
        if self.stages:
            told.append(f"tests {', '.join(self.stages)}")
        return (*told, *(self.assurance.parts if self.assurance else ()))

    def document(self) -> Canonical:
        """Give the one plain value that is kept and told of it."""
        return {
            "after": self.after,
            "soak_seconds": self.soak_seconds,
            "stages": [stage.value for stage in self.stages],
            "assurance": gate_document(self.assurance),
        }


def channel_gate_of(fields: Mapping[str, Any]) -> ChannelGate:
    """Give the gate that a plain value tells of, also one of before there was assurance."""
    return ChannelGate(
        after=None if fields["after"] is None else ChannelName(fields["after"]),
        soak_seconds=fields["soak_seconds"],
        stages=tuple(Stage(name) for name in fields["stages"]),
        assurance=gate_of(fields.get("assurance")),
    )


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


def parse_channel(text: str) -> tuple[ImageName, ChannelName]:
    """Give the image and the channel that text such as web@stable names.

    Raises: ChannelMalformed.
    """
    image, _, name = text.partition("@")
    if not is_name(image):
        raise ChannelMalformed(text)
    return ImageName(image), checked_channel_name(name, of=text)


def checked_channel_name(text: str, *, of: str = "") -> ChannelName:
    """Give the name of a channel. Raises: ChannelMalformed."""
    if not is_channel_name(text):
        raise ChannelMalformed(of or text)
    return ChannelName(text)


class ChannelMalformed(InvalidInput):
    """What was typed names no channel."""

    code = "channel-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"{text[:80]!r} does not name a channel.",
            context="A channel has 2 to 63 small letters, digits and dashes, a letter first.",
            hint="Write stable, and with its image web@stable.",
        )


class ChannelManaged(Refused):
    """Nobody moves `latest`."""

    code = "channel-managed"

    def __init__(self, channel: str) -> None:
        """Say what it means."""
        super().__init__(
            f"Channel {channel} cannot be moved, unset or gated.",
            context="It always means the highest version that is usable.",
            hint="Use a channel of your own, such as stable; or revoke the version it means.",
        )


class ChannelNotFound(WrongState):
    """An image has no such channel, or nothing was ever on it."""

    code = "channel-not-found"

    def __init__(self, channel: str, existing: tuple[str, ...]) -> None:
        """Say what is there instead."""
        super().__init__(
            f"There is no channel {channel}.",
            context=f"There are {', '.join(existing[:8])}." if existing else "There are none yet.",
            hint="Make one with: imagebuilder channel set REF CHANNEL",
        )


class ChannelEmpty(WrongState):
    """A channel that something is wanted of means no version."""

    code = "channel-empty"

    def __init__(self, channel: str) -> None:
        """Name it."""
        super().__init__(
            f"Channel {channel} means no version.",
            context="It was unset, or all that it held was revoked, disabled or deleted.",
            hint=f"See its history with: imagebuilder channel history {channel}",
        )


class ChannelsSame(InvalidInput):
    """A channel is to be promoted to itself."""

    code = "channels-same"

    def __init__(self, channel: str) -> None:
        """Name it."""
        super().__init__(
            f"Channel {channel} cannot be promoted to itself.",
            hint="Give two channels: --from candidate --to stable.",
        )


class RollbackImpossible(WrongState):
    """A channel holds nothing that it could be rolled back to."""

    code = "rollback-impossible"

    def __init__(self, channel: str, reason: str) -> None:
        """Say why."""
        super().__init__(
            f"Channel {channel} cannot be rolled back.",
            context=reason,
            hint=f"See what it held with: imagebuilder channel history {channel}; "
            "put another version on it with: imagebuilder channel set REF CHANNEL",
        )
