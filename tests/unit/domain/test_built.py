"""What one stage of a run leaves to the next is the same when it is read."""

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.built import (
    Built,
    Examined,
    Needs,
    Seen,
    built_document,
    built_of,
    examined_document,
    examined_of,
)
from imagebuilder.domain.control import Assessment, ControlOutcome, ControlResult
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import DocumentText, ParentEdge, RecordedLayer, VersionDraft
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.versions import RecipeVersion
from tests.build import a_digest, a_draft, a_layer, a_report, an_artifact, an_assessment

texts = st.text(max_size=12)
names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
digests = st.binary(max_size=4).map(Digest.of_bytes)
numbers = st.integers(0, 999)
sizes = st.integers(0, 2**50)
seconds = st.floats(0, 1e6)
version_ids = st.none() | names.map(VersionId)
documents = st.recursive(
    st.none() | st.booleans() | sizes | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
artifacts = st.builds(
    Artifact,
    format=st.sampled_from(ArtifactFormat),
    digest=digests,
    size_bytes=sizes,
    virtual_size_bytes=sizes,
)
layers = st.builds(
    RecordedLayer,
    name=texts,
    key=digests,
    content=digests,
    size_bytes=sizes,
    component_version=texts,
    component_digest=st.none() | digests,
    parameters=st.dictionaries(texts, texts, max_size=2),
)
packages = st.builds(
    InstalledPackage,
    name=texts,
    version=texts,
    architecture=texts,
    source=texts,
    source_version=texts,
)
results = st.builds(
    TestResult, name=texts, outcome=st.sampled_from(Outcome), seconds=seconds, detail=texts
)


def several(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=3).map(tuple)


reports = st.builds(
    TestReport,
    stage=st.sampled_from(Stage),
    results=several(results),
    seconds=seconds,
    crash=texts,
    evidence=st.none() | digests,
)
drafts = st.builds(
    VersionDraft,
    image=names.map(ImageName),
    asked=st.builds(RecipeVersion, numbers, numbers, st.none() | numbers),
    run_id=names.map(RunId),
    plan_digest=digests,
    definition_digest=digests,
    plan=documents,
    parent=st.builds(ParentEdge, asked=texts, identity=texts, version_id=version_ids),
    disk_digest=digests,
    artifacts=several(artifacts),
    layers=several(layers),
    packages=several(packages),
    reports=st.just(()),
    documents=several(st.builds(DocumentText, kind=texts, name=texts, text=texts, digest=digests)),
    indexes=st.dictionaries(texts, digests, max_size=2),
    copied_from=st.none(),
)
builts = st.builds(
    Built,
    draft=st.none() | drafts,
    before=version_ids,
    made=several(texts),
    reason=texts,
    warnings=several(texts),
)


controls = st.builds(
    ControlResult,
    rule=texts,
    outcome=st.sampled_from(ControlOutcome),
    severity=st.sampled_from(Severity),
    title=texts,
    controls=several(texts),
    evidence=texts,
)
assessments = st.builds(
    Assessment,
    profile=texts,
    benchmark=texts,
    stage=st.sampled_from(Stage),
    engine=texts,
    content=texts,
    content_digest=digests,
    tailoring=st.none() | digests,
    scanned_at=st.datetimes(timezones=st.just(UTC)),
    seconds=seconds,
    results=several(controls),
    report=st.none() | digests,
    raw=st.none() | digests,
)
seens = st.builds(Seen, reports=several(reports), assessments=several(assessments))


@given(builts)
def test_built_when_written_and_read_then_is_the_same(built: Built) -> None:
    text = canonical_json(built_document(built))

    assert built_of(json.loads(text)) == built
    assert canonical_json(built_document(built_of(json.loads(text)))) == text


@given(digests, seens)
def test_examined_when_written_and_read_then_is_the_same(built: Digest, seen: Seen) -> None:
    examined = Examined(built=built, seen=seen)

    assert examined_of(json.loads(canonical_json(examined_document(examined)))) == examined


def test_built_when_a_name_is_no_unicode_then_is_read_as_it_was() -> None:
    draft = replace(a_draft(reports=()), plan={"path": "/caf\udce9"})
    built = Built(draft=draft, before=None)

    assert built_of(json.loads(canonical_json(built_document(built)))) == built


@pytest.mark.parametrize(
    "change", [{"form": 0}, {"draft": {}}, {"draft": []}, {"warnings": None}, {"before": None}]
)
def test_built_when_its_document_is_another_then_is_refused(change: dict[str, object]) -> None:
    document = json.loads(canonical_json(built_document(Built(draft=None, before=None))))
    changed = document | change
    if change == {"before": None}:
        del changed["before"]

    with pytest.raises(ValueError, match="it "):
        built_of(changed)


def test_examined_when_its_document_is_another_then_is_refused() -> None:
    document = built_document(Built(draft=None, before=None))

    with pytest.raises(ValueError, match="it does not tell what was validated"):
        examined_of(json.loads(canonical_json(document)))


def test_needs_then_are_files_layers_disk_and_evidence() -> None:
    draft = a_draft(
        reports=(),
        artifacts=(an_artifact(seed="one"), an_artifact(ArtifactFormat.RAW, seed="two")),
        layers=(a_layer("root"), a_layer("nginx")),
        disk_digest=a_digest("disk"),
    )
    seen = Seen(
        reports=(a_report(), replace(a_report(), evidence=None)),
        assessments=(an_assessment(), an_assessment(report=None, raw=None)),
    )
    examined = Examined(built=a_digest("built"), seen=seen)
    files = ("one", "two", "junit", "report.html", "arf", "ssg")

    assert (Built(draft=draft, before=None).needs | examined.needs) == Needs(
        blobs=frozenset(map(a_digest, files)),
        layers=frozenset({a_digest("content of root"), a_digest("content of nginx")}),
        disks=frozenset({a_digest("disk")}),
    )
    assert Built(draft=None, before=None).needs == Needs()
