"""Carrier: it brings versions to the targets of one kind, and takes them away again.

Every adapter must keep: each act is idempotent, so that what was cut off at any point is done
again and nothing is there twice; an act that fails leaves nothing that costs and nobody knows of;
nothing that another one made is changed or taken away; no secret stands in an error.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Protocol, TypeAlias

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.errors import Refused, StepFailed
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import Target, TargetSpec

OnBytes: TypeAlias = Callable[[int], None]
"""Is told how many more bytes were moved."""

OnMade: TypeAlias = Callable[["Placed"], None]
"""Is told what a version is called at a target; that is on record once it returns.

Raises: PlacementExists: it is another version's.
"""


def _nobody(placed: "Placed") -> None:
    """Tell nobody of what was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forerunner:
    """The version of the image that was placed at a target before, of which much can be kept."""

    placement: Placement
    disk_digest: Digest
    disk: Callable[[], AbstractContextManager[PurePath]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A version on its way to one target.

    `disk` gives its raw disk, `file` a stored artifact, both verified; `bundle` what was signed of
    it, as lines of sigstore bundles, empty when nothing was. `words` fill templates. `source` is
    its placement at the target before. `token` is the same whenever this version is brought to
    this target by this distribution, and no other's; `scratch` a folder that stays until it is
    there, for journals. `on_made` is told of what was made as soon as somebody could use it, with
    all that its withdrawal needs, and again before more is set there. `there` is what it is called
    at the target when it was made there, so that only what goes with it is to be done.
    """

    version: ImageVersion
    words: Mapping[str, str]
    disk: Callable[[], AbstractContextManager[PurePath]]
    file: Callable[[Artifact], PurePath]
    token: str
    scratch: PurePath
    bundle: bytes = b""
    source: Placement | None = None
    forerunner: Forerunner | None = None
    on_made: OnMade = _nobody
    there: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a version is called at a target, and what else was made or set there for it."""

    external_id: str
    traits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something at a target that is not as it was left: what, as it should be, and as it is."""

    what: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Something that uses a placement, so that it is not deleted."""

    what: str
    since: datetime | None = None


class Carrier(Protocol):
    """Knows the targets of one kind."""

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the targets that an entry stands for, each after the one it depends on.

        Raises: TargetUnavailable; TargetRefused.
        """
        ...

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give what would keep a version from a target, found without changing anything.

        `takers` are the targets that are to have it from this one, or leave to use it there, by
        way of others too.
        Raises: TargetUnavailable.
        """
        ...

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the version is at the target as the entry wants it, whatever is there already.

        Raises: TargetUnavailable; TargetRefused; PlacingFailed; DigestMismatch.
        """
        ...

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Give what somebody changed at the target since.

        `takers` are the targets that have the version from this one, or leave to use it there.
        Raises: TargetUnavailable.
        """
        ...

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give what is known to use a placement now. Raises: TargetUnavailable."""
        ...

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """See that nobody can use a placement any more; it is deleted too if that is asked.

        Raises: TargetUnavailable; TargetRefused.
        """
        ...


class FormatUnavailable(Refused):
    """A target takes a format that a version was not built in."""

    code = "format-unavailable"

    def __init__(self, target: str, reference: str, wanted: Sequence[ArtifactFormat]) -> None:
        """Name them."""
        super().__init__(
            f"{reference} has no {' or '.join(wanted)} artifact for {target}.",
            hint=f"Add {wanted[0]} to artifacts in its recipe and build it again.",
        )


class TargetRefused(Refused):
    """A target does not let us do what was asked; what was placed elsewhere is on record."""

    code = "target-refused"

    def __init__(self, target: str, call: str, reason: str, hint: str) -> None:
        """Name the target, the call and what it said."""
        super().__init__(f"{target} refused {call}.", context=reason, hint=hint)


class PlacingFailed(StepFailed):
    """A version could not be put at a target."""

    code = "placing-failed"

    def __init__(self, target: str, call: str, reason: str, hint: str = "") -> None:
        """Name the target, what was done and what came of it."""
        super().__init__(
            f"{target}: {call} failed.",
            context=reason,
            hint=hint or "Mend it, then go on with: imagebuilder distribute --retry",
        )
