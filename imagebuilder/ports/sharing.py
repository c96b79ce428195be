"""SharedStore and LayerArchives: what machines give each other, and layers in that form.

Every store must keep: an object appears whole or not at all, to readers on other machines too;
putting it twice is the same as once; what is got by the digest of its bytes was compared with it.
Nothing that comes from there is believed otherwise: whoever may write to it may write anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Broken, Refused, Unavailable, WrongState
from imagebuilder.domain.layer import Layer


class SharedKind(StrEnum):
    """What an object is, and so what its name is the digest of.

    A file is named by its bytes, what is known of a layer by the layer's content, and which layer
    was made for a key by that key together with what the layer lies on.
    """

    FILE = "files"
    LAYER = "layers"
    KEY = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedName:
    """How an object is called."""

    kind: SharedKind
    digest: Digest

    def __str__(self) -> str:
        """Read as a path: kind, two digits against large folders, all digits."""
        return f"{self.kind}/{self.digest.hex[:2]}/{self.digest.hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """An object in the store; `stored_at` is when it was put there or last renewed."""

    name: SharedName
    size_bytes: int
    stored_at: datetime


class SharedStore(Protocol):
    """Keeps objects for several machines. Raises everywhere: SharedStoreUnavailable."""

    @property
    def place(self) -> str:
        """Where it is, as the setting says it."""
        ...

    def check(self) -> None:
        """Do nothing when the store is there and can be written to."""
        ...

    def find(self, name: SharedName) -> SharedObject | None:
        """Give what is there under a name, None when there is nothing; its bytes are not read."""
        ...

    def put(self, name: SharedName, file: PurePath) -> None:
        """Keep a file's bytes under a name, in place of what is there."""
        ...

    def write(self, name: SharedName, content: bytes) -> None:
        """Keep bytes under a name, in place of what is there."""
        ...

    def get(self, digest: Digest, into: PurePath, largest_bytes: int) -> None:
        """Write the object of kind file with that digest into a new file of this machine.

        What is left of it after an error is of no use.
        Raises: SharedObjectMissing; SharedObjectDamaged: it is another one, or larger than allowed;
        OSError: this machine is full.
        """
        ...

    def read(self, name: SharedName, largest_bytes: int) -> bytes:
        """Give the bytes of an object; those of a file were compared with its digest.

        Raises: SharedObjectMissing; SharedObjectDamaged: as of `get`.
        """
        ...

    def renew(self, name: SharedName) -> None:
        """Let an object be as young as if it was put now; one that is not there is no error."""
        ...

    def objects(self, kind: SharedKind) -> Iterator[SharedObject]:
        """Give every object of a kind."""
        ...

    def remove(self, name: SharedName) -> None:
        """Take an object away; one that is not there is no error."""
        ...

    def sweep(self, unfinished_since: datetime) -> int:
        """Take away what writers began before a moment and never ended, and tell how many."""
        ...


class LayerArchives(Protocol):
    """The layers of this machine as files that another can make them of.

    A layer's manifest names all its files, and its digest is the layer's content. The archive holds
    only the bytes of those files.
    """

    def manifest(self, content: Digest) -> bytes:
        """Give what is written of a layer's files. Raises: LayerMissing."""
        ...

    def note(self, content: Digest, manifest: bytes) -> None:
        """Keep what is written of a layer's files, so that trees can be had of it.

        Raises: LayerRefused: it is another one, or names what may not be made.
        """
        ...

    def pack(self, content: Digest, into: PurePath) -> Digest:
        """Write the archive of a layer into a new file, and give the archive's own digest.

        Raises: LayerMissing; LayerDamaged.
        """
        ...

    def unpack(self, layer: Layer, archive: PurePath) -> None:
        """Make the files of a noted layer from an archive, and keep it under its content.

        It is there whole, every file compared with the manifest, or not at all.
        Raises: LayerRefused: the archive is not of that layer, or too large; LayerMissing: nothing
        is noted of it.
        """
        ...


class SharedStoreUnavailable(Unavailable):
    """The shared store does not answer."""

    code = "shared-store-unavailable"

    def __init__(self, place: str, reason: str) -> None:
        """Say where it should be and what was seen."""
        super().__init__(
            f"The shared store {place} does not answer.",
            context=reason,
            hint="Check the setting shared_store and its permissions; imagebuilder doctor asks it.",
        )


class SharedObjectMissing(WrongState):
    """Something is not in the shared store."""

    code = "shared-object-missing"

    def __init__(self, place: str, name: SharedName) -> None:
        """Name the object."""
        super().__init__(
            f"{name} is not in the shared store {place}.",
            hint="Build where it was made: what is missing there is given again.",
        )


class SharedObjectDamaged(Broken):
    """Something in the shared store is not what was put there."""

    code = "shared-object-damaged"

    def __init__(self, place: str, name: SharedName, reason: str) -> None:
        """Name the object and say how that was seen."""
        super().__init__(
            f"{name} in the shared store {place} is damaged.",
            context=reason,
            hint="Remove it there; the machine that has it gives it again with its next build.",
        )
        self.name = name


class LayerRefused(Refused):
    """What another machine gave as a layer is none that may be made here."""

    code = "layer-refused"

    def __init__(self, content: Digest, reason: str) -> None:
        """Name the layer and the reason."""
        super().__init__(
            f"Layer {content.short} from another machine is not taken.",
            context=reason,
            hint="It is built instead; find out who may write to the shared store.",
        )


def refuse_large(place: str, name: SharedName, size_bytes: int, largest_bytes: int) -> None:
    """Let an object of an allowed size pass. Raises: SharedObjectDamaged."""
    if size_bytes > largest_bytes:
        reason = f"It is larger than the {largest_bytes:,} bytes that are allowed."
        raise SharedObjectDamaged(place, name, reason)


def refuse_other(place: str, name: SharedName, found: Digest) -> None:
    """Let a file pass whose bytes have the digest it is called by. Raises: SharedObjectDamaged."""
    if found != name.digest:
        raise SharedObjectDamaged(place, name, f"Its digest is {found}.")
