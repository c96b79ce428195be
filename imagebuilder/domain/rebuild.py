"""Rebuild: a version made once more, and what came out otherwise than what was recorded of it.

Which package versions may be installed follows from the list that was recorded and from the
upgrades that led to it; nothing else of the day on which a version was built is needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput, StepFailed, Unavailable, WrongState
from imagebuilder.domain.file_changes import ChangeKind, FileChange, file_diff
from imagebuilder.domain.layer import Tree, difference
from imagebuilder.domain.package import InstalledPackage, PackageKey, Upgrade

DISK = "disk"
"""What the disk itself is called beside the files that it is handed out as."""

_NAMED = 5
"""So many packages or files an error names itself."""


class Mark(StrEnum):
    """How a file of a rebuild differs where it is no aspect of what it holds."""

    MISSING = "missing"
    EXTRA = "extra"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDifference:
    """A file that came out otherwise. Shape: `what` holds a mark, or the aspects that differ."""

    path: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        """Read as a list shows it, in one line whatever the image calls its files."""
        name = "".join(c if c.isprintable() else "?" for c in self.path)
        return f"{name}: {', '.join(self.what)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactDifference:
    """A file that is handed out, or the disk that it holds, and its other digest."""

    format: str
    recorded: Digest
    rebuilt: Digest

    def __str__(self) -> str:
        """Read as a list shows it."""
        return f"{self.format}: {self.recorded.short} was recorded, {self.rebuilt.short} came out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What a rebuild gave. Invariant: `files` are sorted by path.

    Shape: `compared` is what else was compared, by its digest: formats, and DISK.
    """

    reference: str
    files: tuple[FileDifference, ...] = ()
    artifacts: tuple[ArtifactDifference, ...] = ()
    compared: tuple[str, ...] = ()
    file_count: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether all that was compared is the same."""
        return not (self.files or self.artifacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedPackages:
    """The package versions that a build may install, where the archives have others as well.

    Shape: `versions` are those before any upgrade, sorted; `kept` maps those that no archive has
    any more to the digest of their file, of which this machine has a copy.
    """

    versions: tuple[PackageKey, ...] = ()
    kept: Mapping[PackageKey, Digest] = field(default_factory=dict)


def first_versions(
    installed: Iterable[InstalledPackage], upgrades: Sequence[Upgrade]
) -> tuple[PackageKey, ...]:
    """Give what was installed before any upgrade of these, in whatever order they came."""
    found: list[PackageKey] = []
    for package in installed:
        version, left = package.version, list(upgrades)
        while came := next((u for u in left if _led_to(u, package, version)), None):
            left.remove(came)
            version = came.old_version
        found.append((package.name, version, package.architecture))
    return tuple(sorted(found))


def _led_to(upgrade: Upgrade, package: InstalledPackage, version: str) -> bool:
    is_same = (upgrade.name, upgrade.architecture) == (package.name, package.architecture)
    return is_same and bool(upgrade.old_version) and upgrade.new_version == version


def file_differences(recorded: Tree, rebuilt: Tree) -> tuple[FileDifference, ...]:
    """Give every file that is not the same in both, times included, sorted by path."""
    told = file_diff(recorded, rebuilt).by_path
    named = {change.path for change in told}
    retimed = [path for path in difference(recorded, rebuilt).changed if path not in named]
    found = [FileDifference(path=change.path, what=_what(change)) for change in told]
    found += [FileDifference(path=path, what=(Mark.TIME,)) for path in retimed]
    return tuple(sorted(found, key=lambda each: each.path))


def _what(change: FileChange) -> tuple[str, ...]:
    match change.kind:
        case ChangeKind.ADDED:
            return (Mark.EXTRA,)
        case ChangeKind.REMOVED:
            return (Mark.MISSING,)
        case ChangeKind.CHANGED:
            return change.aspects


def artifact_differences(
    recorded: Mapping[str, Digest], rebuilt: Mapping[str, Digest]
) -> tuple[ArtifactDifference, ...]:
    """Give each that has another digest now. Shape: a format, or DISK -> digest."""
    return tuple(
        ArtifactDifference(format=name, recorded=digest, rebuilt=rebuilt[name])
        for name, digest in recorded.items()
        if name in rebuilt and rebuilt[name] != digest
    )


class RebuildDiffers(StepFailed):
    """A version that was built again is not what was recorded."""

    code = "rebuild-differs"

    @classmethod
    def of(cls, rebuild: Rebuild) -> Self:
        """Name the first of what differs."""
        listed = [str(each) for each in (*rebuild.files, *rebuild.artifacts)]
        shown, more = listed[:_NAMED], len(listed) - _NAMED
        lines = [*shown, f"and {more} more"] if more > 0 else shown
        count = len(rebuild.files)
        where = f"{count} file{'' if count == 1 else 's'} differ{'s' if count == 1 else ''}"
        if not rebuild.files:
            where = "all files are the same, what is made of them is not"
        return cls(
            f"{rebuild.reference} does not come out as it was recorded: {where}.",
            context="\n".join(lines),
            hint="What does not reproduce, and why, is told in docs/reproducibility.md.",
        )


class NotAsRecorded(WrongState):
    """What a version was built from is not there any more as it was."""

    code = "not-as-recorded"

    def __init__(self, reference: str, what: Sequence[str]) -> None:
        """Name the version and what is another one now."""
        super().__init__(
            f"{reference} cannot be built again: what it was built from is not the same now.",
            context=f"Other than recorded: {', '.join(what)}.",
            hint="Check out the commit that it was built from; what its documents said is in: "
            f"imagebuilder image show {reference} --json",
        )


class LayoutLost(WrongState):
    """The disk whose layout a version kept is gone."""

    code = "layout-lost"

    def __init__(self, reference: str, reason: str) -> None:
        """Name the version and say what is gone."""
        super().__init__(
            f"The disk of {reference} cannot be laid out again as it was.",
            context=f"It kept the layout of the version before, and that is gone: {reason}",
            hint=f"Compare its files: imagebuilder image rebuild {reference} --check --files-only",
        )


class RecipeNotKnown(InvalidInput):
    """Nobody said where the recipe of a version is."""

    code = "recipe-not-known"

    def __init__(self, reference: str, looked: str) -> None:
        """Say where it was looked for."""
        super().__init__(
            f"The recipe of {reference} was not found.",
            context=f"It is not at {looked}.",
            hint="Name it with --recipe FILE.",
        )


class PackagesGone(Unavailable):
    """Package versions that a version was built with cannot be had any more."""

    code = "packages-gone"

    def __init__(self, reference: str, gone: Sequence[PackageKey]) -> None:
        """Name the version and the packages."""
        shown = [f"{name}={version}" for name, version, _ in gone[:_NAMED]]
        more = len(gone) - len(shown)
        shown += [f"and {more} more"] if more else []
        super().__init__(
            f"{reference} cannot be built again: {len(gone)} of its packages are gone.",
            context=f"Neither an archive nor this machine's cache has {', '.join(shown)}.",
            hint="Let the settings name an archive of snapshots that has them, or build where the "
            "version was built: packages are kept in the cache below IMAGEBUILDER_HOME.",
        )
