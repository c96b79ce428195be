"""LiveBuilder: a machine is started elsewhere, worked on, and an image is made of it.

Every adapter must keep: no machine, disk or key of a build that did not end well is left, also when
it was cancelled; what is left when we were killed can be taken away later; no secret stands in any
argv, log, error or file that others may read; that nothing was made is an error.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import InvalidInput, StepFailed, Unavailable
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live import Login
from imagebuilder.ports.process import OnLine

LONGEST_BUILD_SECONDS = 2 * 60 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """What to make.

    `disk` is a qcow2 or raw file that local machines start from, None when the sources say it
    themselves. `only` are the names of the sources to build, all when it is empty. `labels` are put
    on what is made, where the place knows labels.
    """

    image: ImageName
    run_id: RunId
    sources: tuple[PackerSource, ...]
    disk: PurePath | None = None
    only: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = LONGEST_BUILD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMachine:
    """A machine of a source, while it is there to be worked on; `id` is what its place calls it."""

    source: str
    login: Login
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlace:
    """An image that was made where it cannot be carried away: its id in a region.

    `target` is how we call where it is, empty as long as nobody looked.
    """

    region: str
    id: str
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProduct:
    """What was made of a source: files on this machine, or images elsewhere."""

    source: str
    files: tuple[PurePath, ...] = ()
    places: tuple[LivePlace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOutcome:
    """What came of an order. Invariant: there is a product.

    Shape: `failures` maps the source that failed to what was said.
    """

    products: tuple[LiveProduct, ...]
    failures: Mapping[str, str] = field(default_factory=dict)


Work = Callable[[LiveMachine], None]
"""Works on a machine; what it raises ends the build, and nothing is made of that machine."""


RecordedImages = Callable[[RunId], Collection[str] | None]
"""Gives the ids of the images elsewhere that a run recorded, none of one that ended without a
version, and None of one that may still record some, or of which nothing is known."""


class LiveBuilder(Protocol):
    """Makes images of machines that it starts."""

    def built(
        self, order: LiveOrder, work: Work, on_line: OnLine
    ) -> AbstractContextManager[LiveOutcome]:
        """Start a machine for each source, let it be worked on, and give what was made.

        Files are gone when the context ends; images elsewhere stay, but not when an error ends it
        before they were recorded, nor when their run ends without a version.

        Raises: SourceUnknown; SourceRefused; LiveBuildFailed; LiveBuildTimedOut; BuilderUnfit; and
        what work raised, once all is put away.
        """
        ...

    def looked_at(self, order: LiveOrder, work: Work, on_line: OnLine) -> None:
        """Start a machine for each source, let it be looked at and put it away; nothing is made.

        Raises: as `built`; LiveBuildFailed: a machine did not come up.
        """
        ...


class LiveRemains(Protocol):
    """Takes away what builds left behind whose process was killed."""

    def take_away(self) -> Sequence[str]:
        """Take it away, and give what was taken, and what could not be, a line each."""
        ...


class SourcePlaces(Protocol):
    """Knows the places where sources are built: what is there, and how it is taken away."""

    def target_of(self, source: PackerSource, place: LivePlace) -> str:
        """Give how we call where an image is, having seen that it is there.

        Raises: PlaceNotFound; PlacesUnavailable.
        """
        ...

    def withdraw(self, source: PackerSource, place: LivePlace) -> Sequence[str]:
        """Take an image away, and tell what was. Raises: PlacesUnavailable."""
        ...

    def clear(
        self, source: PackerSource, run_id: RunId, named: Sequence[str], *, is_recorded: bool
    ) -> Sequence[str]:
        """Take away what a run started or was making of a source, and tell what was.

        `named` are names that only the build gave, such as those of groups and keys. Of a run that
        recorded a version the images stay.
        Raises: PlacesUnavailable.
        """
        ...


class PlaceNotFound(StepFailed):
    """An image that should have been made is not there."""

    code = "place-not-found"

    def __init__(self, source: str, place: LivePlace) -> None:
        """Name it."""
        super().__init__(
            f"Image {place.id} of source {source} is not in {place.region}.",
            context="Packer told that it made it.",
            hint="Look at the log of the build, and at the account that the source is built in.",
        )


class PlacesUnavailable(Unavailable):
    """The place where a source is built does not answer, or not us."""

    code = "places-unavailable"

    def __init__(self, source: str, reason: str) -> None:
        """Name the source and what was said."""
        super().__init__(
            f"The place where source {source} is built cannot be asked.",
            context=reason,
            hint="Check the network, and the credentials, region and endpoint of the source.",
        )


class SourceRefused(InvalidInput):
    """What builds images does not take the settings of a source."""

    code = "source-refused"

    def __init__(self, program: str, reason: str) -> None:
        """Quote what it said."""
        super().__init__(
            f"{program} does not take the recipe's source.",
            context=reason,
            hint="Correct the settings below packer: in the recipe; the names are Packer's own.",
        )


class LiveBuildFailed(StepFailed):
    """No image was made."""

    code = "live-build-failed"

    def __init__(self, source: str, reason: str, last_lines: str = "") -> None:
        """Name the source, say why, and what was printed last."""
        super().__init__(
            f"No image was made of source {source}: {reason}.",
            context=last_lines,
            hint="Look at the whole of its log with: imagebuilder run logs",
        )
        self.source = source


class LiveBuildTimedOut(StepFailed):
    """A build took too long and was ended; what it had started was put away."""

    code = "live-build-timed-out"

    def __init__(self, source: str, seconds: float) -> None:
        """Say how long it had."""
        super().__init__(
            f"The build of source {source} took longer than {seconds:.0f} s and was ended.",
            hint="See in its log what takes so long: imagebuilder run logs",
        )


class BuilderUnfit(Unavailable):
    """The program that builds images of machines is too old, or lacks a part."""

    code = "builder-unfit"

    def __init__(self, program: str, reason: str, hint: str) -> None:
        """Say what is wrong with it and how to put that right."""
        super().__init__(f"{program} cannot do this build.", context=reason, hint=hint)
