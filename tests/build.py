"""Makers of valid domain values: what a test does not speak of is filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from imagebuilder.domain.advisory import Advisory, AffectedRange, Feed, FixState
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.audit import Act
from imagebuilder.domain.bill import RecordedBill
from imagebuilder.domain.component import (
    ActionName,
    Component,
    ComponentStep,
    Phase,
    PhaseName,
)
from imagebuilder.domain.content import AddedContent, ContentPack, ContentProfile
from imagebuilder.domain.control import Assessment, ControlOutcome, ControlResult
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.finding import Finding, FindingKind
from imagebuilder.domain.ids import ComponentName, ImageName, PipelineName, RunId, VersionId
from imagebuilder.domain.image import (
    DocumentText,
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionDraft,
)
from imagebuilder.domain.layer import Entry, EntryKind
from imagebuilder.domain.lineage import Kin
from imagebuilder.domain.package import InstalledPackage, Upgrade
from imagebuilder.domain.pipeline import Pipeline, Timing, Trigger
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import ArtifactFormat, Recipe, Suite, SuiteParent
from imagebuilder.domain.run import Run, RunOrder, RunState, StepRun, StepState
from imagebuilder.domain.schedule import cron_schedule, zone_of
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.standing import Revocation
from imagebuilder.domain.updates import HeldPackage, PlannedUpdate
from imagebuilder.domain.versions import BuildVersion, RecipeVersion, Version
from imagebuilder.domain.waiver import Accepted, Waiver
from imagebuilder.ports.pipelines import AppliedPipeline, KeptDecision

SOME_DAY = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)


def a_digest(seed: str = "") -> Digest:
    """Give a digest; the same for the same seed."""
    return Digest.of_bytes(seed.encode())


def a_package(name: str = "nginx", version: str = "1.22.1-9", **more: str) -> InstalledPackage:
    """Give an installed package, made from a source of its own name and version."""
    return InstalledPackage(
        name=name,
        version=version,
        architecture=more.get("architecture", "amd64"),
        source=more.get("source", name),
        source_version=more.get("source_version", version),
    )


def a_placement(version_id: str, *, external_id: str = "ami-1", **more: Any) -> Placement:
    """Give where a version was put."""
    values: dict[str, Any] = {
        "target": "aws:1/eu",
        "placed": Act(actor="eva", at=SOME_DAY, why="released"),
    } | more
    return Placement(version_id=VersionId(version_id), external_id=external_id, **values)


def a_layer(
    name: str = "nginx",
    *,
    key: str | None = None,
    content: str | None = None,
    version: str = "1.0.0",
    parameters: Mapping[str, str] | None = None,
) -> RecordedLayer:
    """Give the layer of a component; key and content are seeds of digests."""
    return RecordedLayer(
        name=name,
        key=a_digest(key or f"key of {name}"),
        content=a_digest(content or f"content of {name}"),
        size_bytes=5_000_000_000,
        component_version=version,
        component_digest=a_digest(f"{name} {version}"),
        parameters=parameters or {},
    )


def an_artifact(
    format_: ArtifactFormat = ArtifactFormat.QCOW2, *, seed: str = "disk", size_bytes: int = 1000
) -> Artifact:
    """Give an artifact."""
    return Artifact(
        format=format_,
        digest=a_digest(seed),
        size_bytes=size_bytes,
        virtual_size_bytes=8 * 2**30,
    )


def a_report(stage: Stage = Stage.OFFLINE, **outcomes: Outcome) -> TestReport:
    """Give a report. Shape: `outcomes` maps a test's name to how it ended."""
    return TestReport(
        stage=stage,
        results=tuple(
            TestResult(name=name, outcome=outcome, seconds=0.25)
            for name, outcome in (outcomes or {"test_page": Outcome.PASSED}).items()
        ),
        seconds=1.5,
        evidence=a_digest("junit"),
    )


def a_control(
    rule: str = "sshd_disable_root_login",
    outcome: ControlOutcome = ControlOutcome.PASS,
    severity: Severity = Severity.HIGH,
    **more: Any,
) -> ControlResult:
    """Give what a rule said."""
    return ControlResult(rule=rule, outcome=outcome, severity=severity, **more)


def an_added(name: str = "ssg-debian12", version: str = "0.1.82", **more: Any) -> AddedContent:
    """Give content that was added, made for bookworm unless a test says otherwise."""
    days = more.pop("days", 0)
    profile = ContentProfile(name="cis", id="xccdf_content_profile_cis", title="CIS")
    values: dict[str, Any] = {
        "digest": a_digest(f"{name} {version}"),
        "benchmark": f"DEBIAN-12@{version}",
        "releases": ("debian:bookworm",),
        "profiles": (profile,),
    } | more
    pack = ContentPack(name=name, version=version, **values)
    return AddedContent(pack=pack, added_at=SOME_DAY + timedelta(days=days))


def an_assessment(*results: ControlResult, **more: Any) -> Assessment:
    """Give what a scan said; one rule, which passed, unless a test says otherwise."""
    values: dict[str, Any] = {
        "profile": "cis_level1_server",
        "benchmark": "DEBIAN-12@0.1.82",
        "stage": Stage.OFFLINE,
        "engine": "openscap 1.3.7",
        "content": "ssg-debian12 0.1.82",
        "content_digest": a_digest("ssg"),
        "tailoring": None,
        "scanned_at": SOME_DAY,
        "seconds": 3.5,
        "results": results or (a_control(),),
        "report": a_digest("report.html"),
        "raw": a_digest("arf"),
    } | more
    return Assessment(**values)


def a_document(
    kind: str = "recipe", name: str = "debian-web", text: str = "name: x"
) -> DocumentText:
    """Give a document, its digest that of its text."""
    return DocumentText(kind=kind, name=name, text=text, digest=a_digest(text))


def a_parent(version_id: str | None = None, *, asked: str = "debian:bookworm") -> ParentEdge:
    """Give a parent: a version of ours when its id is given, else a suite."""
    return ParentEdge(
        asked=asked,
        identity=version_id or asked,
        version_id=None if version_id is None else VersionId(version_id),
    )


_runs = count(1)

_CONTENTS: Mapping[str, Any] = {
    "run_id": RunId("run-1"),
    "plan_digest": a_digest("plan"),
    "definition_digest": a_digest("definition"),
    "plan": {"steps": ["nginx"], "epoch": 1},
    "parent": a_parent(),
    "disk_digest": a_digest("disk"),
    "artifacts": (an_artifact(),),
    "layers": (a_layer("root"), a_layer("nginx")),
    "packages": (a_package("bash", "5.2-1"), a_package()),
    "reports": (a_report(),),
    "documents": (a_document(),),
    "indexes": {"http://deb.example.org/debian bookworm": a_digest("index")},
}
"""What is in a version unless a test says otherwise. Shape: field -> value."""


def a_kin(reference: str = "debian-web@1.2.0/1", **more: Any) -> Kin:
    """Give a version as its relatives are told of it, named as `a_version` names it."""
    version = a_version(reference)
    values: dict[str, Any] = {
        "id": version.id,
        "created_at": version.created_at,
        "parent": version.parent,
        "copied_from": None,
        "distance": 0,
    } | more
    return Kin(image=version.image, version=version.version, **values)


def a_revocation(version_id: str, **more: Any) -> Revocation:
    """Give a revocation that is in force."""
    values: dict[str, Any] = {
        "id": f"revocation-of-{version_id}",
        "in_force_at": SOME_DAY,
        "act": Act(actor="eva", at=SOME_DAY, why="it is bad"),
    } | more
    return Revocation(version_id=VersionId(version_id), **values)


def a_draft(image: str = "debian-web", asked: str = "1.2.x", **more: Any) -> VersionDraft:
    """Give a build that is ready to be recorded, each of another run."""
    values = dict(_CONTENTS) | {"run_id": RunId(f"run-{next(_runs):06}")} | more
    return VersionDraft(
        image=ImageName(image),
        asked=RecipeVersion.parse(asked),
        **values,
    )


def a_version(reference: str = "debian-web@1.2.0/1", **more: Any) -> ImageVersion:
    """Give a version; its id is its reference with dashes unless one is given."""
    image, _, version = reference.partition("@")
    fixed: dict[str, Any] = {
        "id": VersionId("version-" + reference.replace("@", "-").replace("/", "-")),
        "created_at": SOME_DAY,
    }
    values = fixed | dict(_CONTENTS) | more
    unknown = values.keys() - {field.name for field in fields(ImageVersion)}
    if unknown:
        raise TypeError(f"an image version has no {unknown}")
    return ImageVersion(
        image=ImageName(image),
        version=BuildVersion.parse(version),
        **values,
    )


def a_run(run_id: str = "run-1", **more: Any) -> Run:
    """Give a run that is under way unless said otherwise."""
    values: dict[str, Any] = {
        "image": ImageName("debian-web"),
        "state": RunState.RUNNING,
        "started_at": SOME_DAY,
    } | more
    return Run(id=RunId(run_id), **values)


def an_order(pipeline: str = "nightly-web", **more: Any) -> RunOrder:
    """Give what a pipeline asks of a run that a person made due, unless said otherwise."""
    values: dict[str, Any] = {
        "recipe_path": "recipes/debian-web.yaml",
        "trigger": Trigger.PERSON,
    } | more
    return RunOrder(pipeline=PipelineName(pipeline), **values)


def a_step(number: int = 1, **more: Any) -> StepRun:
    """Give a step that is under way unless said otherwise."""
    values: dict[str, Any] = {
        "name": "nginx",
        "state": StepState.RUNNING,
        "started_at": SOME_DAY,
    } | more
    return StepRun(number=number, **values)


def an_entry(kind: EntryKind = EntryKind.FILE, **more: Any) -> Entry:
    """Give an entry of a file system: an empty file of root unless said otherwise."""
    values: dict[str, Any] = {"mode": 0o644, "uid": 0, "gid": 0, "mtime": 0} | more
    return Entry(kind=kind, **values)


def a_component_step(
    name: str = "Do", action: ActionName = ActionName.EXECUTE_BASH, **more: Any
) -> ComponentStep:
    """Give a step that runs `true` unless said otherwise."""
    values: dict[str, Any] = (
        {"inputs": {"commands": ["true"]}} if action is ActionName.EXECUTE_BASH else {}
    )
    return ComponentStep(name=name, action=action, **(values | more))


def a_component(
    name: str = "nginx",
    *,
    build: Sequence[ComponentStep] | None = None,
    validate: Sequence[ComponentStep] = (),
    test: Sequence[ComponentStep] = (),
    **more: Any,
) -> Component:
    """Give a component with one step to build, unless others are given."""
    steps = {
        PhaseName.BUILD: (a_component_step(),) if build is None else tuple(build),
        PhaseName.VALIDATE: tuple(validate),
        PhaseName.TEST: tuple(test),
    }
    return Component(
        name=ComponentName(name),
        phases=tuple(Phase(name=phase, steps=given) for phase, given in steps.items() if given),
        **({"version": Version(1, 0, 0)} | more),
    )


def a_recipe(name: str = "debian-web", **more: Any) -> Recipe:
    """Give a recipe on a suite that names no components."""
    values: dict[str, Any] = {
        "version": RecipeVersion.parse("1.2.x"),
        "parent": SuiteParent(suite=Suite.BOOKWORM),
    } | more
    return Recipe(name=ImageName(name), **values)


def a_planned_parent(**more: Any) -> PlannedParent:
    """Give a suite to bootstrap unless said otherwise."""
    values: dict[str, Any] = {
        "asked": "debian:bookworm",
        "identity": "suite bookworm",
        "source": SuiteParent(suite=Suite.BOOKWORM),
        "suite": "bookworm",
    } | more
    return PlannedParent(**values)


def an_update(*upgrades: Upgrade, held: tuple[HeldPackage, ...] = ()) -> PlannedUpdate:
    """Give what an UpdateOS step is to do."""
    return PlannedUpdate(upgrades=upgrades, held=held)


def an_upgrade(
    name: str = "openssl", *, old: str = "3.0.15-1", new: str = "3.0.16-1", arch: str = "amd64"
) -> Upgrade:
    """Give a package's move to a newer version."""
    return Upgrade(name=name, architecture=arch, old_version=old, new_version=new)


def a_pipeline(name: str = "nightly-web", **more: Any) -> Pipeline:
    """Give a pipeline that is due at three every night and makes debian-web."""
    schedule = cron_schedule("0 3 * * *", zone_of("Europe/Berlin"))
    values: dict[str, Any] = {
        "recipe": "debian-web",
        "recipe_path": "/recipes/debian-web.yaml",
        "image": ImageName("debian-web"),
        "parent": "image:debian-base@1.x",
        "timing": Timing(schedule=schedule),
        "path": f"/pipelines/{name}.yaml",
        "text": "kind: Pipeline\n",
    } | more
    return Pipeline(name=PipelineName(name), **values)


def an_applied(pipeline: Pipeline | str = "nightly-web", **more: Any) -> AppliedPipeline:
    """Give a pipeline in force, applied on some day."""
    values: dict[str, Any] = {
        "first_applied_at": SOME_DAY,
        "applied_at": SOME_DAY,
        "applied_by": "eva",
        "cursor_at": SOME_DAY,
    } | more
    made = a_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
    return AppliedPipeline(pipeline=made, **values)


def a_kept_decision(run_id: str = "run-1", **more: Any) -> KeptDecision:
    """Give a decision for a slot of the night."""
    values: dict[str, Any] = {
        "pipeline": PipelineName("nightly-web"),
        "variant": "",
        "at": SOME_DAY,
        "slot_at": SOME_DAY,
        "verdict": "skip",
        "document": {"verdict": "skip", "version": "", "reasons": [], "passed_over": []},
    } | more
    return KeptDecision(run_id=RunId(run_id), **values)


def a_finding(id_: str = "CVE-2026-1", **more: Any) -> Finding:
    """Give a vulnerability of high severity in openssl."""
    values: dict[str, Any] = {
        "kind": FindingKind.VULNERABILITY,
        "scope": "openssl",
        "severity": Severity.HIGH,
    } | more
    return Finding(id=id_, **values)


def a_waiver(
    accepted: Accepted | None = None, *, days: float = 30, at: datetime = SOME_DAY, **more: Any
) -> Waiver:
    """Give a waiver of a CVE for web that lasts `days` from `at` on."""
    values: dict[str, Any] = {
        "id": "waiver-1",
        "image": "web",
        "versions": "",
        "reason": "not reachable",
        "ticket": "SEC-1",
        "owner": "ann",
        "approver": "bob",
        "created_at": at,
        "expires_at": at + timedelta(days=days),
    } | more
    if accepted is None:
        accepted = Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1")
    return Waiver(accepted=accepted, **values)


def an_advisory(cve: str = "CVE-2026-1", package: str = "nginx", **more: Any) -> Advisory:
    """Give what is said of a CVE: that a later version of a package has it no more."""
    values: dict[str, Any] = {
        "release": "debian:bookworm",
        "feed": Feed.DEBIAN_TRACKER,
        "state": FixState.FIXED,
        "affected": AffectedRange(fixed="99"),
    } | more
    return Advisory(cve=cve, package=package, **values)


def a_bill(release: str = "debian:bookworm") -> RecordedBill:
    """Give what a version's record says of its bill."""
    return RecordedBill(release=release, document=a_digest("bill"))
