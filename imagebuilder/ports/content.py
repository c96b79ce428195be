"""ContentStore and ContentFiles: which packs were added, and where their files come from."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.content import AddedContent
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Unavailable

LARGEST_CONTENT_BYTES = 64 * 2**20
"""Twice as much as the largest content that is known of."""


class ContentStore(Protocol):
    """Keeps which packs were added; each is known by the digest of its file."""

    def add(self, content: AddedContent) -> bool:
        """Keep a pack; whether none of its digest was there, which stays as it was."""
        ...

    def remove(self, digest: Digest) -> bool:
        """Forget a pack; whether it was there. What versions were judged by is not touched."""
        ...

    def all(self) -> Sequence[AddedContent]:
        """Give all packs, by name and by when they were added."""
        ...

    def judged(self, digest: Digest) -> int:
        """Give how many versions have a scan that was made with a pack's file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFile:
    """A copy of a file that nobody else writes to. `name` is what people call it."""

    name: str
    path: PurePath
    digest: Digest


class ContentFiles(Protocol):
    """Gives files that may be content, as copies that are gone when their context ends."""

    def copied(self, file: str) -> AbstractContextManager[ContentFile]:
        """Give a copy of a file of this machine.

        Raises: ContentUnreadable: it is no plain file, cannot be read or is too large.
        """
        ...

    def packaged(self) -> AbstractContextManager[Sequence[ContentFile]]:
        """Give what the newest package of an archive holds, which was checked to be signed.

        Raises: NoMirror; MirrorUnreachable; SignatureRefused; IndexDiffers; ContentNotPackaged.
        """
        ...


class ContentNotPackaged(Unavailable):
    """The archive has no package of content, or one that holds none."""

    code = "content-not-packaged"

    def __init__(self, package: str, reason: str) -> None:
        """Name the package and what was found of it."""
        super().__init__(
            f"There is no content in package {package}.",
            context=reason,
            hint="Get a data stream otherwise, and add it: imagebuilder content add FILE",
        )
