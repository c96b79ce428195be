"""File changes: what became of each file between two trees, without the files being there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from typing import Self

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.layer import Entry, EntryKind, Tree, difference


class ChangeKind(StrEnum):
    """What happened to a thing from one version to another."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


def change_kind(old: object | None, new: object | None) -> ChangeKind:
    """Give what happened to a thing that is not the same on both sides, None where it is not."""
    if old is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if new is None else ChangeKind.CHANGED


class Aspect(StrEnum):
    """What of a file is not as it was; its time alone is none."""

    KIND = "kind"
    CONTENT = "content"
    TARGET = "target"
    DEVICE = "device"
    LINKS = "links"
    MODE = "mode"
    OWNER = "owner"
    ATTRIBUTES = "attributes"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A name that is not the same in both trees. Invariant: old and new are not both None.

    Shape: `aspects` is empty for what came or went.
    """

    path: str
    old: Entry | None
    new: Entry | None
    aspects: tuple[Aspect, ...] = ()

    @property
    def kind(self) -> ChangeKind:
        """What happened to it."""
        return change_kind(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCount:
    """How many names below one of the top folders came, went or changed."""

    folder: str
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """What differs between two trees, folders and links included, each list sorted by path.

    `retimed` counts names of which nothing but the time differs: a rebuild sets many times, and
    no line of those would tell anybody anything.
    """

    added: tuple[FileChange, ...] = ()
    removed: tuple[FileChange, ...] = ()
    changed: tuple[FileChange, ...] = ()
    retimed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs but times."""
        return not (self.added or self.removed or self.changed)

    @property
    def by_path(self) -> tuple[FileChange, ...]:
        """All changes in the order of their paths."""
        return tuple(sorted((*self.added, *self.removed, *self.changed), key=lambda c: c.path))

    @property
    def by_folder(self) -> tuple[FolderCount, ...]:
        """The counts of each top folder where something differs, by its name."""
        counts = [_counted(changes) for changes in (self.added, self.removed, self.changed)]
        return tuple(
            FolderCount(
                folder=folder,
                added=counts[0].get(folder, 0),
                removed=counts[1].get(folder, 0),
                changed=counts[2].get(folder, 0),
            )
            for folder in sorted({folder for counted in counts for folder in counted})
        )


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Which paths are meant: * stands for any letters, also for /, and a folder for all below it.

    Source: find's -path.
    """

    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the pattern that text writes. Raises: PathPatternMalformed."""
        if not text.startswith(("/", "*")):
            raise PathPatternMalformed(text, "It begins neither with / nor with *.")
        if re.search(r"\[(?!!?[^/]+\])", text):
            raise PathPatternMalformed(text, "A [ is not closed.")
        name = text.rstrip("/")
        below = translate(f"{name}/*")
        return cls(re.compile(f"{translate(name or '/')}|{below}"))

    def matches(self, path: str) -> bool:
        """Whether an absolute path is meant."""
        return self.pattern.match(path) is not None


class PathPatternMalformed(InvalidInput):
    """A pattern that no path of a file system can match."""

    code = "path-pattern-malformed"

    def __init__(self, text: str, reason: str) -> None:
        """Quote it and show the forms there are."""
        super().__init__(
            f"{text!r} is not a pattern of paths.",
            context=reason,
            hint="Write '/etc' for all below it, '/etc/*.conf' or '*/nginx/*', in quotes.",
        )


def file_diff(old: Tree, new: Tree, wanted: PathPattern | None = None) -> FileDiff:
    """Give what differs from old to new, of the wanted paths when a pattern is given."""
    change = difference(old, new)

    def changes(paths: Iterable[str]) -> list[FileChange]:
        return [
            FileChange(path=p, old=old.get(p), new=new.get(p), aspects=_aspects(old, new, p))
            for p in paths
            if wanted is None or wanted.matches(p)
        ]

    changed = changes(change.changed)
    told = tuple(c for c in changed if c.aspects)
    return FileDiff(
        added=tuple(changes(change.added)),
        removed=tuple(changes(change.removed)),
        changed=told,
        retimed=len(changed) - len(told),
    )


def _aspects(old: Tree, new: Tree, path: str) -> tuple[Aspect, ...]:
    if path not in old or path not in new:
        return ()
    left, right = _facets(old[path]), _facets(new[path])
    if left[Aspect.KIND] != right[Aspect.KIND]:
        # What a link held says nothing beside what the file in its place holds.
        return (Aspect.KIND,)
    return tuple(aspect for aspect in Aspect if left[aspect] != right[aspect])


def _facets(entry: Entry) -> dict[Aspect, object]:
    return {
        Aspect.KIND: entry.kind,
        Aspect.CONTENT: entry.content,
        Aspect.TARGET: entry.target,
        Aspect.DEVICE: entry.device,
        Aspect.LINKS: entry.hard_link_of,
        # Linux gives every link the same mode and never looks at it.
        Aspect.MODE: None if entry.kind is EntryKind.SYMLINK else entry.mode,
        Aspect.OWNER: (entry.uid, entry.gid),
        Aspect.ATTRIBUTES: entry.xattrs,
    }


def _counted(changes: Iterable[FileChange]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in changes:
        folder = f"/{change.path[1:].partition('/')[0]}"
        counts[folder] = counts.get(folder, 0) + 1
    return counts
