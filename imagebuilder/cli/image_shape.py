"""Versions, lineages and differences as JSON, in the lasting shapes that docs/cli.md tells."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from imagebuilder.cli.output import Json
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.comparison import Change, VersionDiff
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.image import (
    DocumentText,
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionSummary,
)
from imagebuilder.domain.lineage import Lineage
from imagebuilder.domain.package import InstalledPackage, PackageChange
from imagebuilder.domain.updates import recorded_updates, update_document

ThingT = TypeVar("ThingT")


def summary_json(summary: VersionSummary) -> dict[str, Json]:
    """Give what a list shows of a version."""
    return {
        "reference": summary.reference,
        "id": summary.id,
        "image": summary.image,
        "version": str(summary.version),
        "created_at": summary.created_at.isoformat(),
        "parent": summary.parent_asked,
        "package_count": summary.package_count,
        "size_bytes": summary.size_bytes,
    }


def version_json(version: ImageVersion, parent_reference: str | None) -> dict[str, Json]:
    """Give all that is shown of a version."""
    return {
        "reference": version.reference,
        "id": version.id,
        "image": version.image,
        "version": str(version.version),
        "created_at": version.created_at.isoformat(),
        "run": version.run_id,
        "parent": {**_parent_json(version.parent), "reference": parent_reference},
        "plan_digest": str(version.plan_digest),
        "definition_digest": str(version.definition_digest),
        "disk_digest": str(version.disk_digest),
        "artifacts": [
            {"format": artifact.format, **_artifact_json(artifact)}
            for artifact in version.artifacts
        ],
        "layers": [{"name": layer.name, **_layer_json(layer)} for layer in version.layers],
        "tests": [_report_json(report) for report in version.reports],
        "package_count": len(version.packages),
        "updates": update_document(recorded_updates(version.plan)),
        "documents": [
            {"kind": d.kind, "name": d.name, "digest": str(d.digest)} for d in version.documents
        ],
        "indexes": {address: str(digest) for address, digest in version.indexes.items()},
    }


def package_json(package: InstalledPackage) -> dict[str, Json]:
    """Give a package."""
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "source": package.source,
        "source_version": package.source_version,
    }


def lineage_json(lineage: Lineage) -> dict[str, Json]:
    """Give a lineage; edges run from parent to child."""
    return {
        "focus": lineage.focus,
        "nodes": [{"id": n.id, "label": n.label, "kind": n.kind} for n in lineage.nodes],
        "edges": [{"parent": e.parent, "child": e.child, "asked": e.asked} for e in lineage.edges],
    }


def diff_json(diff: VersionDiff) -> dict[str, Json]:
    """Give a difference; what came has no old and what went has no new."""
    parent = () if diff.parent is None else (diff.parent,)
    return {
        "old": diff.old.reference,
        "new": diff.new.reference,
        "is_empty": diff.is_empty,
        "parent": next(iter(_changes(parent, _parent_json)), None),
        "documents": _changes(diff.documents, _document_json),
        "components": _changes(diff.components, _component_json),
        "layers": _changes(diff.layers, _layer_json),
        "packages": [_package_change_json(change) for change in diff.packages],
        "indexes": _changes(diff.indexes, str),
        "tests": _changes(diff.tests, _test_json),
        "artifacts": _changes(diff.artifacts, _artifact_json),
        "size_bytes": {"old": total_bytes(diff.old), "new": total_bytes(diff.new)},
    }


def total_bytes(version: ImageVersion) -> int:
    """Give how much a version's layers hold together."""
    return sum(layer.size_bytes for layer in version.layers)


def counted_outcomes(report: TestReport) -> dict[Outcome, int]:
    """Give how many tests of a stage ended how."""
    outcomes = [result.outcome for result in report.results]
    return {outcome: outcomes.count(outcome) for outcome in Outcome}


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


def _parent_json(parent: ParentEdge) -> dict[str, Json]:
    return {"asked": parent.asked, "identity": parent.identity, "id": parent.version_id}


def _artifact_json(artifact: Artifact) -> dict[str, Json]:
    return {
        "digest": str(artifact.digest),
        "size_bytes": artifact.size_bytes,
        "virtual_size_bytes": artifact.virtual_size_bytes,
    }


def _layer_json(layer: RecordedLayer) -> dict[str, Json]:
    return {
        "component_version": layer.component_version or None,
        "parameters": dict(layer.parameters),
        "key": str(layer.key),
        "content": str(layer.content),
        "size_bytes": layer.size_bytes,
    }


def _component_json(layer: RecordedLayer) -> dict[str, Json]:
    return {
        "version": layer.component_version,
        "digest": str(layer.component_digest),
        "parameters": dict(layer.parameters),
    }


def _document_json(document: DocumentText) -> dict[str, Json]:
    return {"digest": str(document.digest), "text": document.text}


def _report_json(report: TestReport) -> dict[str, Json]:
    return {
        "stage": report.stage,
        **{outcome.value: count for outcome, count in counted_outcomes(report).items()},
        "seconds": round(report.seconds, 3),
        "evidence": str(report.evidence) if report.evidence else None,
    }


def _test_json(result: TestResult) -> dict[str, Json]:
    return {
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "detail": result.detail,
    }


def _package_change_json(change: PackageChange) -> dict[str, Json]:
    return {
        "name": change.name,
        "architecture": change.architecture,
        "old_version": change.old_version,
        "new_version": change.new_version,
    }
