"""Package archives in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.offers import PackageIndex, Release
from imagebuilder.domain.package import PackageKey
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
    digests: dict[PackageKey, Digest] = field(default_factory=dict)
    asked_for: list[frozenset[PackageKey]] = field(default_factory=list)

    def packages(
        self, repositories: Sequence[Repository], architectures: Collection[str]
    ) -> Sequence[PackageIndex]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return tuple(self.indexes)

    def sums(
        self, repositories: Sequence[Repository], packages: Collection[PackageKey]
    ) -> Mapping[PackageKey, Digest]:
        self.asked_for.append(frozenset(packages))
        if self.fails is not None:
            raise self.fails
        return {key: self.digests[key] for key in packages if key in self.digests}


@dataclass(slots=True)
class FakePackageFiles:
    """A cache that holds files with these digests."""

    digests: set[Digest] = field(default_factory=set)

    def held(self, wanted: Mapping[PackageKey, Digest]) -> frozenset[PackageKey]:
        return frozenset(key for key, digest in wanted.items() if digest in self.digests)
