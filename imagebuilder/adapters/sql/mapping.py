"""Rows from domain values, and domain values from rows; no queries."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.bill import UNKNOWN_RELEASE, RecordedBill
from imagebuilder.domain.digest import Canonical, Digest, canonical_json, digest_of
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import (
    DocumentText,
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionSummary,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepRun, StepState
from imagebuilder.domain.versions import BuildVersion, Version

Values = dict[str, str | int | float | datetime | None]
"""One row to write. Shape: column -> value."""

_LAYER = (
    *("name", "key", "content", "size_bytes", "component_version", "component_digest"),
    "parameters",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The numbers of what a version shares with others."""

    image_id: int
    plan_id: int
    package_set_id: int
    stack_id: int | None


def version_values(version: ImageVersion, shared: Shared) -> Values:
    """Give the row of a version itself."""
    number = version.version.version
    return {
        "id": version.id,
        "image_id": shared.image_id,
        "major": number.major,
        "minor": number.minor,
        "patch": number.patch,
        "build": version.version.build,
        "run_id": version.run_id,
        "created_at": version.created_at,
        "plan_digest": version.plan_digest.hex,
        "definition_digest": version.definition_digest.hex,
        "plan_id": shared.plan_id,
        "disk_digest": version.disk_digest.hex,
        "parent_asked": version.parent.asked,
        "parent_identity": version.parent.identity,
        "parent_id": version.parent.version_id,
        "copied_from": version.copied_from,
        "package_set_id": shared.package_set_id,
        "stack_id": shared.stack_id,
    }


def plan_values(plan: Canonical) -> Values:
    """Give the row of a plan."""
    text = _json(plan)
    return {"text_digest": Digest.of_bytes(text.encode()).hex, "text": text}


def package_set_digest(packages: Sequence[InstalledPackage]) -> str:
    """Give what a set of packages is known by. Shape: sorted, each once."""
    return digest_of([package_fields(package) for package in packages]).hex


def package_fields(package: InstalledPackage) -> tuple[str, str, str, str, str]:
    """Give all of a package, in the order that packages are sorted by."""
    # `dataclasses.astuple` copies deeply, which took a third of the time of recording a version.
    return (
        package.name,
        package.version,
        package.architecture,
        package.source,
        package.source_version,
    )


def artifact_values(number: int, artifacts: Iterable[Artifact]) -> list[Values]:
    """Give the rows of a version's artifacts."""
    return [
        {
            "version_number": number,
            "position": position,
            "format": artifact.format.value,
            "digest": artifact.digest.hex,
            "size_bytes": artifact.size_bytes,
            "virtual_size_bytes": artifact.virtual_size_bytes,
        }
        for position, artifact in enumerate(artifacts)
    ]


def stack_values(layers: Iterable[RecordedLayer]) -> list[Values]:
    """Give the rows of a stack from the lowest layer up, without the number of what is below."""
    rows: list[Values] = []
    below: str | None = None
    for layer in layers:
        fields: Values = {
            "name": layer.name,
            "key": layer.key.hex,
            "content": layer.content.hex,
            "size_bytes": layer.size_bytes,
            "component_version": layer.component_version,
            "component_digest": hex_or_none(layer.component_digest),
            "parameters": _json(dict(layer.parameters)),
        }
        below = stack_digest(fields, below)
        rows.append({**fields, "digest": below})
    return rows


def stack_digest(layer: Mapping[Any, Any], below: str | None) -> str:
    """Give what a layer is known by on the stack of that digest. Shape: `layer` is its row."""
    fields: dict[str, Canonical] = {name: layer[name] for name in _LAYER}
    return digest_of({**fields, "below": below}).hex


def report_values(number: int, reports: Iterable[TestReport]) -> list[Values]:
    """Give the rows of a version's test reports, without their results."""
    return [
        {
            "version_number": number,
            "position": position,
            "stage": report.stage.value,
            "seconds": report.seconds,
            "crash": storable(report.crash),
            "evidence": hex_or_none(report.evidence),
        }
        for position, report in enumerate(reports)
    ]


def result_values(number: int, reports: Iterable[TestReport]) -> list[Values]:
    """Give the rows of all results in a version's test reports."""
    return [
        {
            "version_number": number,
            "report_position": report_position,
            "position": position,
            "name": storable(result.name),
            "outcome": result.outcome.value,
            "seconds": result.seconds,
            "detail": storable(result.detail),
            "attempts": result.attempts,
        }
        for report_position, report in enumerate(reports)
        for position, result in enumerate(report.results)
    ]


def document_values(number: int, documents: Iterable[DocumentText]) -> list[Values]:
    """Give the rows that name a version's documents, without their texts."""
    return [
        {
            "version_number": number,
            "position": position,
            "kind": document.kind,
            "name": document.name,
            "digest": document.digest.hex,
            "text_digest": text_digest(document),
        }
        for position, document in enumerate(documents)
    ]


def text_digest(document: DocumentText) -> str:
    """Give what a document's text is kept under.

    The document's own digest may be that of its meaning, and then many texts share it.
    """
    return Digest.of_bytes(document.text.encode()).hex


def index_values(number: int, indexes: Mapping[str, Digest]) -> list[Values]:
    """Give the rows of the package indexes a version was built from."""
    return [
        {"version_number": number, "address": address, "digest": digest.hex}
        for address, digest in indexes.items()
    ]


def bill_values(number: int, bill: RecordedBill | None) -> list[Values]:
    """Give the row of a version's bill, none where it has none."""
    if bill is None:
        return []
    row: Values = {
        "version_number": number,
        "release": bill.release,
        "document_digest": bill.document.hex,
    }
    return [row]


def bill(row: RowMapping) -> RecordedBill:
    """Give what a row says of a bill."""
    return RecordedBill(release=row["release"], document=Digest(row["document_digest"]))


def step_values(run_id: RunId, step: StepRun) -> Values:
    """Give the row of a step."""
    return {
        "run_id": run_id,
        "number": step.number,
        "name": step.name,
        "state": step.state.value,
        "started_at": step.started_at,
        "seconds": step.seconds,
        "detail": storable(step.detail),
    }


def package(row: RowMapping) -> InstalledPackage:
    """Give the package of a row."""
    return InstalledPackage(
        name=row["name"],
        version=row["version"],
        architecture=row["architecture"],
        source=row["source"],
        source_version=row["source_version"],
    )


def build_version(row: RowMapping) -> BuildVersion:
    """Give the build that a version's row is."""
    return BuildVersion(Version(row["major"], row["minor"], row["patch"]), row["build"])


def version_summary(row: RowMapping) -> VersionSummary:
    """Give what a list shows of a version."""
    return VersionSummary(
        id=VersionId(row["id"]),
        image=ImageName(row["image"]),
        version=build_version(row),
        created_at=row["created_at"],
        parent_asked=row["parent_asked"],
        package_count=row["package_count"],
        size_bytes=int(row["size_bytes"]),
        release=row["release"] or UNKNOWN_RELEASE,
    )


def parent_edge(row: RowMapping) -> ParentEdge:
    """Give what the version of a row was built on."""
    return ParentEdge(
        asked=row["parent_asked"],
        identity=row["parent_identity"],
        version_id=version_id(row["parent_id"]),
    )


def version_id(text: str | None) -> VersionId | None:
    """Give the id of another version that a row names, if any."""
    return None if text is None else VersionId(text)


def artifact(row: RowMapping) -> Artifact:
    """Give the artifact of a row."""
    return Artifact(
        format=ArtifactFormat(row["format"]),
        digest=Digest(row["digest"]),
        size_bytes=row["size_bytes"],
        virtual_size_bytes=row["virtual_size_bytes"],
    )


def layer(row: RowMapping) -> RecordedLayer:
    """Give the layer of a row."""
    return RecordedLayer(
        name=row["name"],
        key=Digest(row["key"]),
        content=Digest(row["content"]),
        size_bytes=row["size_bytes"],
        component_version=row["component_version"],
        component_digest=digest_or_none(row["component_digest"]),
        parameters=dict(json.loads(row["parameters"])),
    )


def reports(
    report_rows: Iterable[RowMapping], result_rows: Iterable[RowMapping]
) -> tuple[TestReport, ...]:
    """Give a version's test reports with their results; both kinds of rows come in order."""
    results: dict[int, list[TestResult]] = {}
    for row in result_rows:
        results.setdefault(row["report_position"], []).append(_result(row))
    return tuple(
        TestReport(
            stage=Stage(row["stage"]),
            results=tuple(results.get(row["position"], ())),
            seconds=row["seconds"],
            crash=row["crash"],
            evidence=digest_or_none(row["evidence"]),
        )
        for row in report_rows
    )


def document(row: RowMapping) -> DocumentText:
    """Give the document of a row."""
    return DocumentText(
        kind=row["kind"], name=row["name"], text=row["text"], digest=Digest(row["digest"])
    )


def plan(text: str) -> Canonical:
    """Give the plan that a row keeps."""
    read: Canonical = json.loads(text)
    return read


def step(row: RowMapping) -> StepRun:
    """Give the step of a row."""
    return StepRun(
        number=row["number"],
        name=row["name"],
        state=StepState(row["state"]),
        started_at=row["started_at"],
        seconds=row["seconds"],
        detail=row["detail"],
    )


def _result(row: RowMapping) -> TestResult:
    return TestResult(
        name=row["name"],
        outcome=Outcome(row["outcome"]),
        seconds=row["seconds"],
        detail=row["detail"],
        attempts=row["attempts"],
    )


def hex_or_none(digest: Digest | None) -> str | None:
    """Give the digits of a digest that may be missing."""
    return None if digest is None else digest.hex


def digest_or_none(text: str | None) -> Digest | None:
    """Give the digest of digits that may be missing."""
    return None if text is None else Digest(text)


def _json(value: Canonical) -> str:
    return canonical_json(value).decode()


def storable(said: str) -> str:
    """Give what a foreign program said with the characters replaced that no database takes."""
    return said.replace("\0", "\ufffd").encode(errors="replace").decode()
