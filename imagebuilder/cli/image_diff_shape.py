"""Differences as JSON, in the lasting shape that docs/cli.md tells."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from imagebuilder.cli.image_shape import artifact_json, layer_json, parent_json, total_bytes
from imagebuilder.cli.output import Json
from imagebuilder.domain.comparison import Change, VersionDiff
from imagebuilder.domain.evidence import TestResult
from imagebuilder.domain.file_changes import FileChange, FileDiff
from imagebuilder.domain.image import DocumentText, RecordedLayer
from imagebuilder.domain.layer import Entry
from imagebuilder.domain.package import PackageChange
from imagebuilder.domain.security_updates import SecurityUpdate

ThingT = TypeVar("ThingT")


def diff_json(diff: VersionDiff, *, with_files: bool) -> dict[str, Json]:
    """Give a difference; what came has no old and what went has no new."""
    parent = () if diff.parent is None else (diff.parent,)
    return {
        "old": diff.old.reference,
        "new": diff.new.reference,
        "is_empty": diff.is_empty,
        "is_backwards": diff.is_backwards,
        "is_across_images": diff.is_across_images,
        "parent": next(iter(_changes(parent, parent_json)), None),
        "documents": _changes(diff.documents, _document_json),
        "components": _changes(diff.components, _component_json),
        "layers": _changes(diff.layers, layer_json),
        "packages": [_package_change_json(change) for change in diff.packages],
        "security_updates": [_security_json(update) for update in diff.security],
        "indexes": _changes(diff.indexes, str),
        "tests": _changes(diff.tests, _test_json),
        "artifacts": _changes(diff.artifacts, artifact_json),
        "files": None if diff.files is None else _files_json(diff.files, with_files=with_files),
        "without_files": list(diff.without_files),
        "size_bytes": {"old": total_bytes(diff.old), "new": total_bytes(diff.new)},
    }


def _changes(
    changes: Sequence[Change[ThingT]], shape: Callable[[ThingT], Json]
) -> list[dict[str, Json]]:
    return [
        {
            "name": change.name,
            "kind": change.kind,
            "old": None if change.old is None else shape(change.old),
            "new": None if change.new is None else shape(change.new),
        }
        for change in changes
    ]


def _component_json(layer: RecordedLayer) -> dict[str, Json]:
    return {
        "version": layer.component_version,
        "digest": str(layer.component_digest),
        "parameters": dict(layer.parameters),
    }


def _document_json(document: DocumentText) -> dict[str, Json]:
    return {"digest": str(document.digest), "text": document.text}


def _test_json(result: TestResult) -> dict[str, Json]:
    return {
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "detail": result.detail,
        "attempts": result.attempts,
    }


def _package_change_json(change: PackageChange) -> dict[str, Json]:
    return {
        "name": change.name,
        "architecture": change.architecture,
        "kind": change.move,
        "old_version": change.old_version,
        "new_version": change.new_version,
    }


def _security_json(update: SecurityUpdate) -> dict[str, Json]:
    return {
        **_package_change_json(update.change),
        "cves": None if update.cves is None else list(update.cves),
    }


def _files_json(files: FileDiff, *, with_files: bool) -> dict[str, Json]:
    return {
        "added": len(files.added),
        "removed": len(files.removed),
        "changed": len(files.changed),
        "retimed": files.retimed,
        "folders": [
            {
                "folder": count.folder,
                "added": count.added,
                "removed": count.removed,
                "changed": count.changed,
            }
            for count in files.by_folder
        ],
        "listed": [_file_json(change) for change in files.by_path] if with_files else None,
    }


def _file_json(change: FileChange) -> dict[str, Json]:
    return {
        "path": change.path,
        "kind": change.kind,
        "aspects": list(change.aspects),
        "old": None if change.old is None else _entry_json(change.old),
        "new": None if change.new is None else _entry_json(change.new),
    }


def _entry_json(entry: Entry) -> dict[str, Json]:
    return {
        "kind": entry.kind,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size_bytes": entry.size_bytes,
        "digest": None if entry.content is None else str(entry.content),
        "target": entry.target,
        "mtime": entry.mtime,
    }
