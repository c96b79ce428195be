"""LayerStore and Roots: layers kept by key, and root file systems made of them.

Every adapter must keep: a layer appears whole or not at all; a layer that is given out was
verified; what is mounted or running is gone when its context ends, and when we are killed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.component import Network
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Broken, InvalidInput, Refused, Unavailable
from imagebuilder.domain.layer import Layer, Tree
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Repository, Suite
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What the store has under a key: a layer, or the reason why there is none to use.

    `source` says where a layer was fetched from just now, and nothing when it was here.
    """

    layer: Layer | None
    reason: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLayer:
    """What a layer is to be known by; one that `fits_any` may lie on any other."""

    key: Digest
    name: str
    evidence: Mapping[str, Digest] = field(default_factory=dict)
    fits_any: bool = False


class LayerStore(Protocol):
    """Keeps layers."""

    def find(self, key: Digest, on: Sequence[Layer], not_before: datetime | None = None) -> Lookup:
        """Look for a sound layer of that key, made on those layers, not before a moment."""
        ...

    def publish(self, layer: Layer) -> None:
        """Let a sealed layer be found by its key, at once by this process."""
        ...

    def afterwards(self, piece: Callable[[], None]) -> None:
        """Do a piece of work, which must not fail, once all that was published before is kept."""
        ...

    def settle(self) -> None:
        """See that all that was published is kept.

        Durable: our own death costs nothing after it. Raises: what kept a layer from the store.
        """
        ...

    def get(self, content: Digest) -> Layer:
        """Give a layer by its content. Raises: LayerMissing; LayerDamaged."""
        ...

    def has(self, content: Digest) -> bool:
        """Whether a layer of that content is there; it is not verified."""
        ...

    def building(self, key: Digest) -> AbstractContextManager[None]:
        """Hold the right to build a key; waits while another process has it."""
        ...

    def tree(self, contents: Sequence[Digest]) -> Tree:
        """Give the file system that layers of these contents make together, lowest first.

        Only what is written of them is read, so it is known of layers whose files are damaged too.
        Raises: LayerMissing: nothing is written of one of them.
        """
        ...


class Root(Protocol):
    """A writable root file system, for as long as its context."""

    @property
    def path(self) -> PurePath:
        """The folder it is mounted on."""
        ...

    def machine(self, network: Network) -> Machine:
        """Give a sandbox over this root with that reach."""
        ...

    def on_top(self) -> "AbstractContextManager[Root]":
        """Give a throw-away root on top of this one, which is not written to meanwhile."""
        ...

    def seal(self, wanted: NewLayer) -> Layer:
        """Keep what was changed as a layer, which nobody finds by its key until it is published."""
        ...

    def keep_copy(self, folder: PurePath) -> None:
        """Copy the whole root to a folder that stays, for people to look inside."""
        ...


class Roots(Protocol):
    """Makes root file systems, while the workshop is open."""

    def scratch(
        self, stack: Sequence[Layer], *, is_bounded: bool = False
    ) -> AbstractContextManager[Root]:
        """Give a writable root on top of layers; what is written is gone unless it was sealed.

        When it is bounded, what is run in it can fill neither this machine nor its process table.
        """
        ...

    def parent(self, parent: PlannedParent, on_line: OnLine | None) -> AbstractContextManager[Root]:
        """Bootstrap a suite or unpack a tar file into a root of its own.

        Raises: MirrorUnreachable; SignatureRefused; ArchiveRefused; CommandFailed.
        """
        ...


class Workshop(Protocol):
    """Where root file systems are made: mounts, scratch space and a way to the package archives."""

    def opened(self, archives: Sequence[Repository]) -> AbstractContextManager[Roots]:
        """Open it for one build; sandboxes with reach `packages` may talk to these archives only.

        Raises: NotPrivileged: this process may not mount.
        """
        ...


class PackageSources(Protocol):
    """The package archives that builds on this machine use."""

    def repositories(self, suite: Suite) -> tuple[Repository, ...]:
        """Give them for a suite, by settings or else as this machine's own apt has them."""
        ...

    def indexes(self, repositories: Sequence[Repository]) -> Mapping[str, Digest]:
        """Ask each archive for the digest of its signed index now. Raises: MirrorUnreachable."""
        ...


class LayerMissing(Broken):
    """A recorded layer is not in the store."""

    code = "layer-missing"

    def __init__(self, name: str, content: Digest) -> None:
        """Name the layer and how to have it again."""
        super().__init__(
            f"Layer {name} ({content.short}) is not in the store.",
            context="A version that is built on it was recorded, so it was here once.",
            hint="Build the image it belongs to again with --refresh.",
        )


class LayerDamaged(Broken):
    """A stored layer is not what was stored, and cannot be replaced silently."""

    code = "layer-damaged"

    def __init__(self, name: str, path: str) -> None:
        """Name the layer and the first file that differs."""
        super().__init__(
            f"Layer {name} is damaged.",
            context=f"{path} is not as it was when the layer was made.",
            hint="Build the image it belongs to again with --refresh.",
        )


class MirrorUnreachable(Unavailable):
    """A package archive does not answer."""

    code = "mirror-unreachable"

    def __init__(self, address: str, reason: str) -> None:
        """Name the archive and what was seen."""
        super().__init__(
            f"The package archive {address} cannot be reached.",
            context=reason,
            hint="Check the network and the mirror in the recipe or the settings, then try again.",
        )


class SignatureRefused(Refused):
    """A package archive is not signed by whom it should be."""

    code = "signature-refused"

    def __init__(self, address: str, reason: str) -> None:
        """Name the archive and what the check said."""
        super().__init__(
            f"The signature of {address} is not good.",
            context=reason,
            hint="Give the archive's own keyring in the recipe, or use an archive you trust.",
        )


class ArchiveRefused(Refused):
    """A tar file holds what may not be unpacked, or is not the file the recipe pinned."""

    code = "archive-refused"

    def __init__(self, path: str, reason: str) -> None:
        """Name the file and the reason."""
        super().__init__(
            f"{path} is not unpacked.",
            context=reason,
            hint="Check where the file comes from; make it with tar from a root folder.",
        )


class MostlyHoles(Refused):
    """A root file system claims far more bytes than are in it."""

    code = "mostly-holes"

    def __init__(self, path: str, claimed: str, limit: str) -> None:
        """Name the file with which it was too much."""
        super().__init__(
            f"{path} claims {claimed}, most of which is in no block.",
            context=f"All files of a layer together may have {limit} of holes: each is read whole.",
            hint="Find what makes such a file, and remove it or make it smaller; a log of logins "
            "(lastlog) grows so with large user ids.",
        )


class NotPrivileged(Refused):
    """Building needs rights that this process does not have."""

    code = "not-privileged"

    def __init__(self, what: str, reason: str) -> None:
        """Say what was not permitted."""
        super().__init__(
            f"This process may not {what}.",
            context=reason,
            hint="Run the build as root; all component work is confined in a sandbox of its own.",
        )


class NoKernel(InvalidInput):
    """A disk was asked of a root file system that has no kernel."""

    code = "no-kernel"

    def __init__(self, image: str) -> None:
        """Say what is missing and what brings it."""
        super().__init__(
            f"Image {image} has no kernel, so no disk of it could boot.",
            context="/boot holds no vmlinuz that has modules in /lib/modules.",
            hint="Add a component that installs a kernel, or ask for the artifact tar alone.",
        )


class StorageFull(Unavailable):
    """The file system that builds work on is full."""

    code = "storage-full"

    def __init__(self, path: str, free: str) -> None:
        """Name the folder and what is free there."""
        super().__init__(
            f"There is no space left below {path}.",
            context=f"{free} are free.",
            hint="Free some, or point IMAGEBUILDER_HOME at a larger file system.",
        )


class LayersUnusable(Unavailable):
    """The folder layers are kept in cannot be made or read."""

    code = "layers-unusable"

    def __init__(self, path: str, reason: str) -> None:
        """Name the folder and what the system said."""
        super().__init__(
            f"Layers cannot be kept below {path}.",
            context=reason,
            hint="Point IMAGEBUILDER_HOME at a folder that can be written, or run as its owner.",
        )
