"""Built: what a run made before it was validated and recorded, and what was seen of it.

Each stage of a run may be done by another process, so that what one leaves to the next is written
down as a document. Who does all stages at once hands the same values over as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.bill import RecordedBill
from imagebuilder.domain.control import Assessment, assessment_document, assessment_of
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import DocumentText, ParentEdge, RecordedLayer, VersionDraft
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.versions import RecipeVersion

_FORM = 4
"""It is another number when documents are written in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What has to stay in the store. `disks` are the digests of raw disks."""

    blobs: frozenset[Digest] = frozenset()
    layers: frozenset[Digest] = frozenset()
    disks: frozenset[Digest] = frozenset()

    def __or__(self, other: "Needs") -> "Needs":
        """Give what one or the other needs."""
        return Needs(
            blobs=self.blobs | other.blobs,
            layers=self.layers | other.layers,
            disks=self.disks | other.disks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What building came to: all that validating and recording have to know.

    `before` was the image's newest version; `made` are the names of the layers that were made.
    `reports` are what tests said while it was made, of what can be looked at only then.
    Invariant: `draft` has no reports and no assessments; it is None exactly when the version before
    already is what would be built, and there is nothing to validate or to record.
    """

    draft: VersionDraft | None
    before: VersionId | None
    made: tuple[str, ...] = ()
    reason: str = ""
    warnings: tuple[str, ...] = ()
    reports: tuple[TestReport, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether the version before is what would be built."""
        return self.draft is None

    @property
    def needs(self) -> Needs:
        """What has to stay in the store until it is recorded."""
        if self.draft is None:
            return Needs()
        bill = {self.draft.bill.document} if self.draft.bill else set()
        return Needs(
            blobs=frozenset({artifact.digest for artifact in self.draft.artifacts} | bill),
            layers=frozenset(layer.content for layer in self.draft.layers),
            disks=frozenset({self.draft.disk_digest}),
        ) | _needs_of(self.reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What tests and scans said of something built, all of it in its favour."""

    reports: tuple[TestReport, ...] = ()
    assessments: tuple[Assessment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What validating saw of something built, which is told by the digest of its document."""

    built: Digest
    seen: Seen

    @property
    def needs(self) -> Needs:
        """What has to stay in the store until it is recorded."""
        scanned = (blob for assessment in self.seen.assessments for blob in assessment.blobs)
        return _needs_of(self.seen.reports) | Needs(blobs=frozenset(scanned))


def _needs_of(reports: Sequence[TestReport]) -> Needs:
    evidence = (report.evidence for report in reports)
    return Needs(blobs=frozenset(digest for digest in evidence if digest))


class RecipeChangedMeanwhile(WrongState):
    """What a run is to go on with is not what its recipe says any more."""

    code = "recipe-changed-meanwhile"

    def __init__(self, image: str, what: str) -> None:
        """Say what changed since the run built."""
        super().__init__(
            f"What {image} is made of changed while it was being built.",
            context=what,
            hint="Start a new run: it takes what is there now, and every layer that is still good.",
        )


class StageDocumentUnusable(WrongState):
    """What an earlier stage of a run left cannot be gone on with."""

    code = "stage-document-unusable"

    def __init__(self, digest: Digest, reason: str) -> None:
        """Name the document and say what is wrong with it."""
        super().__init__(
            f"The document {digest.short} of an earlier stage is of no use.",
            context=reason,
            hint="Start a new run: every layer that was made is used again.",
        )


def built_document(built: Built) -> Canonical:
    """Give what was built as it is written down."""
    return {
        "form": _FORM,
        "before": built.before,
        "made": list(built.made),
        "reason": built.reason,
        "warnings": list(built.warnings),
        "draft": None if built.draft is None else _draft_document(built.draft),
        "reports": [_report_document(report) for report in built.reports],
    }


def built_of(document: Mapping[str, Any]) -> Built:
    """Give what was written down as that. Raises: ValueError: it is no such document."""
    try:
        _refuse_other_forms(document)
        draft = document["draft"]
        return Built(
            draft=None if draft is None else _draft_of(draft),
            before=_version_id(document["before"]),
            made=tuple(document["made"]),
            reason=document["reason"],
            warnings=tuple(document["warnings"]),
            reports=tuple(map(_report_of, document["reports"])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it does not tell what was built: {error!r}") from error


def examined_document(examined: Examined) -> Canonical:
    """Give what validating said as it is written down."""
    return {
        "form": _FORM,
        "built": str(examined.built),
        "reports": [_report_document(report) for report in examined.seen.reports],
        "assessments": [assessment_document(each) for each in examined.seen.assessments],
    }


def examined_of(document: Mapping[str, Any]) -> Examined:
    """Give what was written down as that. Raises: ValueError: it is no such document."""
    try:
        _refuse_other_forms(document)
        return Examined(
            built=Digest.parse(document["built"]),
            seen=Seen(
                reports=tuple(map(_report_of, document["reports"])),
                assessments=tuple(map(assessment_of, document["assessments"])),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it does not tell what was validated: {error!r}") from error


def _refuse_other_forms(document: Mapping[str, Any]) -> None:
    if document["form"] != _FORM:
        raise ValueError(f"it is in form {document['form']}, and {_FORM} is the one known here")


def _draft_document(draft: VersionDraft) -> Canonical:
    return {
        "image": draft.image,
        "asked": str(draft.asked),
        "run_id": draft.run_id,
        "plan_digest": str(draft.plan_digest),
        "definition_digest": str(draft.definition_digest),
        "plan": draft.plan,
        "parent": {
            "asked": draft.parent.asked,
            "identity": draft.parent.identity,
            "version_id": draft.parent.version_id,
        },
        "disk_digest": str(draft.disk_digest),
        "artifacts": [_artifact_document(artifact) for artifact in draft.artifacts],
        "layers": [_layer_document(layer) for layer in draft.layers],
        "packages": [_package_document(package) for package in draft.packages],
        "documents": [
            {"kind": d.kind, "name": d.name, "text": d.text, "digest": str(d.digest)}
            for d in draft.documents
        ],
        "indexes": {address: str(digest) for address, digest in draft.indexes.items()},
        "bill": _bill_document(draft.bill),
    }


def _draft_of(fields: Mapping[str, Any]) -> VersionDraft:
    parent = fields["parent"]
    return VersionDraft(
        image=ImageName(fields["image"]),
        asked=RecipeVersion.parse(fields["asked"]),
        run_id=RunId(fields["run_id"]),
        plan_digest=Digest.parse(fields["plan_digest"]),
        definition_digest=Digest.parse(fields["definition_digest"]),
        plan=fields["plan"],
        parent=ParentEdge(
            asked=parent["asked"],
            identity=parent["identity"],
            version_id=_version_id(parent["version_id"]),
        ),
        disk_digest=Digest.parse(fields["disk_digest"]),
        artifacts=tuple(map(_artifact_of, fields["artifacts"])),
        layers=tuple(map(_layer_of, fields["layers"])),
        packages=tuple(map(_package_of, fields["packages"])),
        reports=(),
        documents=tuple(
            DocumentText(
                kind=d["kind"], name=d["name"], text=d["text"], digest=Digest.parse(d["digest"])
            )
            for d in fields["documents"]
        ),
        indexes={address: Digest.parse(found) for address, found in fields["indexes"].items()},
        bill=_bill_of(fields["bill"]),
    )


def _bill_document(bill: RecordedBill | None) -> Canonical:
    return None if bill is None else {"release": bill.release, "document": str(bill.document)}


def _bill_of(fields: Mapping[str, Any] | None) -> RecordedBill | None:
    if fields is None:
        return None
    return RecordedBill(release=fields["release"], document=Digest.parse(fields["document"]))


def _artifact_document(artifact: Artifact) -> Canonical:
    return {
        "format": artifact.format,
        "digest": str(artifact.digest),
        "size_bytes": artifact.size_bytes,
        "virtual_size_bytes": artifact.virtual_size_bytes,
    }


def _artifact_of(fields: Mapping[str, Any]) -> Artifact:
    return Artifact(
        format=ArtifactFormat(fields["format"]),
        digest=Digest.parse(fields["digest"]),
        size_bytes=fields["size_bytes"],
        virtual_size_bytes=fields["virtual_size_bytes"],
    )


def _layer_document(layer: RecordedLayer) -> Canonical:
    return {
        "name": layer.name,
        "key": str(layer.key),
        "content": str(layer.content),
        "size_bytes": layer.size_bytes,
        "component_version": layer.component_version,
        "component_digest": _text(layer.component_digest),
        "parameters": dict(layer.parameters),
    }


def _layer_of(fields: Mapping[str, Any]) -> RecordedLayer:
    return RecordedLayer(
        name=fields["name"],
        key=Digest.parse(fields["key"]),
        content=Digest.parse(fields["content"]),
        size_bytes=fields["size_bytes"],
        component_version=fields["component_version"],
        component_digest=_digest(fields["component_digest"]),
        parameters=dict(fields["parameters"]),
    )


def _package_document(package: InstalledPackage) -> Canonical:
    # There are hundreds of them, and their fields are always these.
    return [
        package.name,
        package.version,
        package.architecture,
        package.source,
        package.source_version,
    ]


def _package_of(fields: Sequence[str]) -> InstalledPackage:
    name, version, architecture, source, source_version = fields
    return InstalledPackage(
        name=name,
        version=version,
        architecture=architecture,
        source=source,
        source_version=source_version,
    )


def _report_document(report: TestReport) -> Canonical:
    return {
        "stage": report.stage,
        "seconds": report.seconds,
        "crash": report.crash,
        "evidence": _text(report.evidence),
        "results": [
            {
                "name": r.name,
                "outcome": r.outcome,
                "seconds": r.seconds,
                "detail": r.detail,
                "attempts": r.attempts,
            }
            for r in report.results
        ],
    }


def _report_of(fields: Mapping[str, Any]) -> TestReport:
    return TestReport(
        stage=Stage(fields["stage"]),
        seconds=fields["seconds"],
        crash=fields["crash"],
        evidence=_digest(fields["evidence"]),
        results=tuple(
            TestResult(
                name=r["name"],
                outcome=Outcome(r["outcome"]),
                seconds=r["seconds"],
                detail=r["detail"],
                attempts=r["attempts"],
            )
            for r in fields["results"]
        ),
    )


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def _digest(text: str | None) -> Digest | None:
    return None if text is None else Digest.parse(text)


def _version_id(text: str | None) -> VersionId | None:
    return None if text is None else VersionId(text)
