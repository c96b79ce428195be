"""ForeignImages: images that others made, opened so that they can be recorded.

Every adapter must keep: what is in such an image is never run, no file of this machine is read
because the image names it, and nothing outside of the working folder is written.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Refused
from imagebuilder.domain.recipe import AmiParent, ArtifactFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """An image that others made, while it is open.

    `copy` is the file as it was given, for the store to take; `archive` a tar file of its root.
    `disk_digest` is of the disk's block map, of a tar file that of its bytes; `digest` of the file.
    """

    format: ArtifactFormat
    copy: PurePath
    digest: Digest
    size_bytes: int
    disk_digest: Digest
    virtual_size_bytes: int
    archive: PurePath


class ForeignImages(Protocol):
    """Opens image files."""

    def opened(
        self, file: PurePath, on_bytes: Callable[[int], None]
    ) -> AbstractContextManager[ForeignImage]:
        """Give what is in a file; it is gone when the context ends.

        Raises: ForeignImageRefused; CommandFailed; StorageFull.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryReference:
    """An image at a registry: host/name:tag or host/name@sha256:..., and how it is asked for.

    `credentials` refers to a secret, user:password; nobody in particular asks without one.
    """

    text: str
    credentials: str = ""
    is_plain_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedImage:
    """An image file that was fetched; `source` says from where, by the digest it has there."""

    file: PurePath
    source: str


class ImageRegistry(Protocol):
    """Fetches image files from registries."""

    def fetched(
        self, reference: RegistryReference, on_bytes: Callable[[int], None]
    ) -> AbstractContextManager[FetchedImage]:
        """Give the file of an image, compared with its digest; it is gone with the context.

        Raises: RegistryImageRefused; TargetUnavailable; TargetRefused; DigestMismatch; StorageFull.
        """
        ...


class AmiSource(Protocol):
    """Fetches the disks of AMIs."""

    def fetched(
        self, ami: AmiParent, on_bytes: Callable[[int], None]
    ) -> AbstractContextManager[FetchedImage]:
        """Give the raw disk of an AMI's root, as its snapshot has it; it is gone with the context.

        Raises: TargetUnavailable; TargetRefused; StorageFull.
        """
        ...


class RegistryImageRefused(Refused):
    """What a registry has under a reference is no image of one file."""

    code = "registry-image-refused"

    def __init__(self, reference: str, reason: str, hint: str) -> None:
        """Name the reference and the reason."""
        super().__init__(f"{reference} cannot be imported.", context=reason, hint=hint)


class ForeignImageRefused(Refused):
    """A file is no image that can be recorded, or asks for what no image may."""

    code = "foreign-image-refused"

    def __init__(self, file: PurePath, reason: str, hint: str = "") -> None:
        """Name the file and the reason."""
        super().__init__(
            f"{file} cannot be imported.",
            context=reason,
            hint=hint
            or "Give a raw or qcow2 disk with an ext4 root, or a tar file of a root file system.",
        )
