"""Versions and lineages as JSON, in the lasting shapes that docs/cli.md tells."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagebuilder.cli.output import Json
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.evidence import Outcome, TestReport
from imagebuilder.domain.image import (
    ImageVersion,
    ParentEdge,
    RecordedLayer,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.search import FoundVersion
from imagebuilder.domain.updates import recorded_updates, update_document

if TYPE_CHECKING:
    from imagebuilder.services.revoking import ToldOfVersion


def version_json(
    version: ImageVersion, parent_reference: str | None, told: "ToldOfVersion"
) -> dict[str, Json]:
    """Give all that is shown of a version."""
    return {
        "reference": version.reference,
        "id": version.id,
        "image": version.image,
        "version": str(version.version),
        "state": told.standing.state,
        "revocation": _revocation_json(told),
        "channels": list(told.channels),
        "created_at": version.created_at.isoformat(),
        "run": version.run_id,
        "copied_from": version.copied_from,
        "parent": {**parent_json(version.parent), "reference": parent_reference},
        "plan_digest": str(version.plan_digest),
        "definition_digest": str(version.definition_digest),
        "disk_digest": str(version.disk_digest),
        "artifacts": [
            {"format": artifact.format, **artifact_json(artifact)} for artifact in version.artifacts
        ],
        "layers": [{"name": layer.name, **layer_json(layer)} for layer in version.layers],
        "tests": [_report_json(report) for report in version.reports],
        "package_count": len(version.packages),
        "updates": update_document(recorded_updates(version.plan)),
        "documents": [
            {"kind": d.kind, "name": d.name, "digest": str(d.digest)} for d in version.documents
        ],
        "indexes": {address: str(digest) for address, digest in version.indexes.items()},
    }


def _revocation_json(told: "ToldOfVersion") -> dict[str, Json] | None:
    revocation = told.standing.revocation
    if revocation is None:
        return None
    return {
        "reference": told.revoked,
        "is_inherited": told.standing.is_inherited,
        "in_force_at": revocation.in_force_at.isoformat(),
        "revoked_at": revocation.act.at.isoformat(),
        "revoked_by": revocation.act.actor,
        "message": revocation.act.why,
    }


def notes_json(found: FoundVersion, placements: Sequence[Placement]) -> dict[str, Json]:
    """Give what is noted on a version, and where it was put."""
    return {
        "labels": dict(found.labels),
        "description": found.notes.description,
        "placements": [
            {
                "target": placement.target,
                "id": placement.external_id,
                "state": placement.state,
                "is_withdrawn": placement.withdrawn is not None,
                "traits": dict(placement.traits),
            }
            for placement in placements
        ],
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


def total_bytes(version: ImageVersion) -> int:
    """Give how much a version's layers hold together."""
    return sum(layer.size_bytes for layer in version.layers)


def counted_outcomes(report: TestReport) -> dict[Outcome, int]:
    """Give how many tests of a stage ended how."""
    outcomes = [result.outcome for result in report.results]
    return {outcome: outcomes.count(outcome) for outcome in Outcome}


def parent_json(parent: ParentEdge) -> dict[str, Json]:
    """Give a parent as the recipe asked for it and as it was found."""
    return {"asked": parent.asked, "identity": parent.identity, "id": parent.version_id}


def artifact_json(artifact: Artifact) -> dict[str, Json]:
    """Give an artifact but its format."""
    return {
        "digest": str(artifact.digest),
        "size_bytes": artifact.size_bytes,
        "virtual_size_bytes": artifact.virtual_size_bytes,
    }


def layer_json(layer: RecordedLayer) -> dict[str, Json]:
    """Give a layer but its name."""
    return {
        "component_version": layer.component_version or None,
        "parameters": dict(layer.parameters),
        "key": str(layer.key),
        "content": str(layer.content),
        "size_bytes": layer.size_bytes,
    }


def _report_json(report: TestReport) -> dict[str, Json]:
    return {
        "stage": report.stage,
        **{outcome.value: count for outcome, count in counted_outcomes(report).items()},
        "on_retry": sum(result.is_shaky for result in report.results),
        "seconds": round(report.seconds, 3),
        "evidence": str(report.evidence) if report.evidence else None,
    }
