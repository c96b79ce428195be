"""Differences as people read them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from imagebuilder.cli.image_shape import total_bytes
from imagebuilder.cli.output import name_text, print_lines
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.comparison import Change, VersionDiff
from imagebuilder.domain.evidence import TestResult
from imagebuilder.domain.file_changes import Aspect, ChangeKind, FileChange, FileDiff
from imagebuilder.domain.image import DocumentText, RecordedLayer
from imagebuilder.domain.layer import Entry, EntryKind
from imagebuilder.domain.package import PackageChange, PackageMove
from imagebuilder.domain.security_updates import SecurityUpdate
from imagebuilder.domain.units import size_text

ThingT = TypeVar("ThingT")

_SIGNS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}


def print_diff(diff: VersionDiff, *, with_files: bool) -> None:
    """Show what differs; what is the same is not mentioned."""
    print_lines(f"{diff.old.reference} -> {diff.new.reference}")
    if diff.is_backwards:
        print_lines(f"({diff.old.reference} was recorded after {diff.new.reference})")
    if diff.is_across_images:
        print_lines("(they are versions of different images)")
    if diff.is_empty:
        print_lines("nothing differs")
        return
    if diff.parent and diff.parent.old and diff.parent.new:
        old, new = diff.parent.old, diff.parent.new
        told = f"{diff.parent_text(old, new)} -> {diff.parent_text(new, old)}"
        print_lines("", "parent", f"  ~ {told}")
    _print_changes("components", diff.components, _component_text)
    _print_documents(diff.documents)
    _print_changes("layers", diff.layers, lambda layer: size_text(layer.size_bytes))
    _print_packages(diff.packages, diff.security)
    _print_files(diff, with_files=with_files)
    _print_changes("package indexes", diff.indexes, lambda digest: digest.short)
    _print_changes("tests", diff.tests, _outcome_text)
    _print_changes("artifacts", diff.artifacts, _artifact_text)
    print_lines(
        "", f"all layers: {size_text(total_bytes(diff.old))} -> {size_text(total_bytes(diff.new))}"
    )


def _print_changes(
    heading: str, changes: Sequence[Change[ThingT]], text: Callable[[ThingT], str]
) -> None:
    if not changes:
        return
    print_lines("", heading)
    for change in changes:
        sides = [text(side) for side in (change.old, change.new) if side is not None]
        # Where both read the same, what changed does not show here: said once is enough.
        shown = " -> ".join(dict.fromkeys(sides))
        print_lines(f"  {_SIGNS[change.kind]} {change.name}  {shown}".rstrip())


def _component_text(layer: RecordedLayer) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in layer.parameters.items())
    return f"{layer.component_version}{f' ({parameters})' if parameters else ''}"


def _print_documents(changes: Sequence[Change[DocumentText]]) -> None:
    if not changes:
        return
    from difflib import unified_diff  # noqa: PLC0415 - start-up

    print_lines("", "documents")
    for change in changes:
        print_lines(f"  {_SIGNS[change.kind]} {change.name}")
        if change.old is None or change.new is None:
            continue
        old, new = change.old.text.splitlines(), change.new.text.splitlines()
        lines = unified_diff(old, new, n=1, lineterm="")
        print_lines(*(f"      {line}" for line in list(lines)[2:]))


def _print_packages(changes: Sequence[PackageChange], security: Sequence[SecurityUpdate]) -> None:
    if not changes:
        return
    moves = [change.move for change in changes]
    counts = [f"{moves.count(move)} {move}" for move in PackageMove if move in moves]
    mended = {update.change: update for update in security}
    print_lines("", f"packages  {', '.join(counts)}")
    for change, move in zip(changes, moves, strict=True):
        name = f"{change.name}:{change.architecture}"
        match change.old_version, change.new_version:
            case None, new:
                print_lines(f"  + {name}  {new}")
            case old, None:
                print_lines(f"  - {name}  {old}")
            case old, new:
                more = _security_text(mended[change]) if change in mended else ""
                print_lines(f"  ~ {name}  {old} -> {new}  {move}{more}")


def _security_text(update: SecurityUpdate) -> str:
    return f", security: {' '.join(update.cves)}" if update.cves else ", security"


def _print_files(diff: VersionDiff, *, with_files: bool) -> None:
    if diff.files is None:
        print_lines("", f"files  not known any more of {' and '.join(diff.without_files)}")
        return
    if diff.files.is_empty and not diff.layers:
        return
    print_lines("", f"files  {files_text(diff.files)}")
    if with_files:
        print_lines(
            *(
                f"  {_SIGNS[change.kind]} {name_text(_file_text(change))}"
                for change in diff.files.by_path
            )
        )


def files_text(files: FileDiff) -> str:
    """Give the counts: `12 added, 3 removed, 40 changed`."""
    counts = (
        (len(files.added), "added"),
        (len(files.removed), "removed"),
        (len(files.changed), "changed"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "none differ"


def _file_text(change: FileChange) -> str:
    match change.old, change.new:
        case None, Entry() as new:
            return f"{change.path}  {_entry_text(new)}"
        case Entry() as old, None:
            return f"{change.path}  {_entry_text(old)}"
        case Entry() as old, Entry() as new:
            moves = (f"{aspect}{_aspect_text(aspect, old, new)}" for aspect in change.aspects)
            return f"{change.path}  {', '.join(moves)}"
        case _:
            return change.path


def _entry_text(entry: Entry) -> str:
    match entry.kind:
        case EntryKind.FILE:
            return size_text(entry.size_bytes)
        case EntryKind.SYMLINK:
            return f"-> {entry.target}"
        case _:
            return entry.kind


def _aspect_text(aspect: Aspect, old: Entry, new: Entry) -> str:
    match aspect:
        case Aspect.KIND:
            sides = old.kind.value, new.kind.value
        case Aspect.CONTENT:
            sides = size_text(old.size_bytes), size_text(new.size_bytes)
        case Aspect.TARGET:
            sides = str(old.target), str(new.target)
        case Aspect.MODE:
            sides = f"{old.mode:04o}", f"{new.mode:04o}"
        case Aspect.OWNER:
            sides = f"{old.uid}:{old.gid}", f"{new.uid}:{new.gid}"
        case Aspect.DEVICE | Aspect.LINKS | Aspect.ATTRIBUTES:
            return ""
    return f" {sides[0]}" if sides[0] == sides[1] else f" {sides[0]} -> {sides[1]}"


def _outcome_text(result: TestResult) -> str:
    tried = f" on try {result.attempts}" if result.is_shaky else ""
    return f"{result.outcome.value}{tried}"


def _artifact_text(artifact: Artifact) -> str:
    return f"{size_text(artifact.size_bytes)} ({artifact.digest.short})"
