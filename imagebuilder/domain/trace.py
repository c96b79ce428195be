"""Trace: what a digest, a file or an id from outside turns out to be, and of which versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.standing import State


class TraceKind(StrEnum):
    """What a trace is of."""

    VERSION = "version"
    CHANNEL = "channel"
    RUN = "run"
    PLACEMENT = "placement"
    ARTIFACT = "artifact"
    DISK = "disk"
    PLAN = "plan"
    DEFINITION = "definition"
    LAYER = "layer"
    LAYER_KEY = "layer-key"
    COMPONENT = "component"
    INDEX = "index"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Something that a text may mean, and the versions it is of, the last recorded first.

    `name` says which of its kind: qcow2, the name of a layer, the address of an index. `has_more`
    says that there are versions beside those; of a layer that thousands of stacks stand on, they
    may be later ones.
    """

    kind: TraceKind
    name: str
    versions: tuple[VersionId, ...]
    digest: Digest | None = None
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedVersion:
    """A version that something is of, how it stands, and where it was put."""

    id: VersionId
    reference: str
    state: State
    channels: tuple[ChannelName, ...] = ()
    placements: tuple[Placement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A trace with its versions known. `through` says what was done to a file to find it."""

    trace: Trace
    versions: tuple[TracedVersion, ...]
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """The digest of a file, or of what is in it; `through` says how that was reached."""

    digest: Digest
    through: str = ""


class NotOneOfOurs(WrongState):
    """Nothing in the catalogue is what was asked about."""

    code = "not-one-of-ours"

    def __init__(self, text: str, looked_for: Sequence[str]) -> None:
        """Quote it and say what was looked for."""
        super().__init__(
            f"{text[:120]!r} is not one of ours.",
            context=f"Looked for: {'; '.join(looked_for)}.",
            hint="Give a version, a channel, a run, a digest (8 digits or more), a file, or the id "
            "of a placement.",
        )
