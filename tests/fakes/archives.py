"""Package archives in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.offers import PackageIndex, Release
from imagebuilder.domain.recipe import Repository

DEBIAN = Release(archive="stable", label="Debian", origin="Debian", version="12")
SECURITY = Release(
    archive="stable-security", label="Debian-Security", origin="Debian", version="12"
)


def an_index(release: Release = DEBIAN, **packages: str) -> PackageIndex:
    """Give what a part of an archive has. Shape: name -> version, for amd64; _ stands for -."""
    return PackageIndex(
        release=release,
        packages={name.replace("_", "-"): ((v, "amd64"),) for name, v in packages.items()},
    )


@dataclass(slots=True)
class FakePackageArchives:
    """Archives that have what the test says."""

    indexes: list[PackageIndex] = field(default_factory=list)
    asked: int = 0
    fails: BaseException | None = None

    def packages(
        self, repositories: Sequence[Repository], architectures: Collection[str]
    ) -> Sequence[PackageIndex]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return tuple(self.indexes)
