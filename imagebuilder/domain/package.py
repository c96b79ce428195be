"""Packages as a package manager reports them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from imagebuilder.domain.versions import PackageOrder

PackageKey: TypeAlias = tuple[str, str, str]
"""What a package's file is told by: its name, version and architecture."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class InstalledPackage:
    """A package that is installed in an image."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str

    @property
    def key(self) -> PackageKey:
        """What its file is told by."""
        return self.name, self.version, self.architecture


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Upgrade:
    """One package's move from the installed version to the one that was available.

    What it is told by is the move itself; where the new version comes from and what it mends is
    said beside it. Shape: `old_version` is empty when the package is new; `origin` is as the
    package manager names it; `cves` is None as long as nobody could say.
    """

    name: str
    architecture: str
    old_version: str
    new_version: str
    origin: str = field(default="", compare=False)
    is_security: bool = field(default=False, compare=False)
    cves: tuple[str, ...] | None = field(default=None, compare=False)


class PackageMove(StrEnum):
    """What happened to a package; `rewritten` where two versions count as equally new."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """What happened to a package between two images; a version is None when it came or went."""

    name: str
    architecture: str
    old_version: str | None
    new_version: str | None

    @property
    def move(self) -> PackageMove:
        """What happened, in the order of the package manager that has such architectures."""
        if self.old_version is None:
            return PackageMove.ADDED
        if self.new_version is None:
            return PackageMove.REMOVED
        order = PackageOrder.of(self.architecture).compare(self.old_version, self.new_version)
        if order == 0:
            return PackageMove.REWRITTEN
        return PackageMove.UPGRADED if order < 0 else PackageMove.DOWNGRADED


def package_changes(
    old: tuple[InstalledPackage, ...], new: tuple[InstalledPackage, ...]
) -> tuple[PackageChange, ...]:
    """Give what was added, removed or moved, sorted by name."""
    before = {(p.name, p.architecture): p.version for p in old}
    after = {(p.name, p.architecture): p.version for p in new}
    return tuple(
        PackageChange(
            name=name,
            architecture=architecture,
            old_version=before.get((name, architecture)),
            new_version=after.get((name, architecture)),
        )
        for name, architecture in sorted(before.keys() | after.keys())
        if before.get((name, architecture)) != after.get((name, architecture))
    )
