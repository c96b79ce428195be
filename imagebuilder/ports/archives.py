"""PackageArchives: what package archives have, taken from their signed indexes.

Every adapter must keep: nothing is believed that the archive's own signature does not cover; what
was read of an index is kept, and read again only when the signed index is another one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.offers import PackageIndex
from imagebuilder.domain.package import PackageKey
from imagebuilder.domain.recipe import Repository


class PackageArchives(Protocol):
    """Reads package archives."""

    def packages(
        self, repositories: Sequence[Repository], architectures: Collection[str]
    ) -> Sequence[PackageIndex]:
        """Give all that the archives have for these architectures now.

        Raises: MirrorUnreachable; SignatureRefused: also of an index whose time is over;
        IndexDiffers.
        """
        ...

    def sums(
        self, repositories: Sequence[Repository], packages: Collection[PackageKey]
    ) -> Mapping[PackageKey, Digest]:
        """Give the digest that each package's file has in the archives now.

        One that no archive lists, or that two list with different digests, is left out.
        Raises: as `packages`.
        """
        ...


class PackageFiles(Protocol):
    """The files of packages that this machine kept of earlier builds."""

    def held(self, wanted: Mapping[PackageKey, Digest]) -> frozenset[PackageKey]:
        """Give those packages whose file, with that digest, is here and whole."""
        ...


class IndexDiffers(Unavailable):
    """A list of packages is not what the archive's signed index says it is."""

    code = "index-differs"

    def __init__(self, address: str, reason: str) -> None:
        """Name the list and say how it differs."""
        super().__init__(
            f"The list of packages {address} is not the one that its archive signed.",
            context=reason,
            hint="The mirror may be half-way through an update: try again in some minutes.",
        )
