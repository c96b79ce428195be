"""A build in parts: what each stage leaves to the next, and what happens when it is done again."""

from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.built import Built, RecipeChangedMeanwhile, StageDocumentUnusable
from imagebuilder.domain.content import ContentMissing
from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.evidence import Outcome, Stage, ValidationFailed
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import Run, RunInterrupted, StepState
from imagebuilder.domain.standing import NewestRevoked, ParentUnusable
from imagebuilder.ports.blobs import BlobMissing
from imagebuilder.ports.building import LayerMissing
from imagebuilder.ports.locks import STORE_LOCK, InProgress
from imagebuilder.ports.values import OutsideValue
from imagebuilder.services.pipelines.stages import Stages
from tests.build import SOME_DAY, a_control, a_revocation, a_run, an_added, an_upgrade
from tests.fakes.inspection import a_report
from tests.fakes.progress import FakeProgress
from tests.house import BASE, NGINX, WEB, House, a_component_text, a_recipe_text

TEST_FILE = "/w/recipes/tests/test_web.py"


class Line:
    """A run that goes from stage to stage, each with services of its own."""

    def __init__(self, house: House, path: str = WEB, run_id: str = "run-7", **asked: bool) -> None:
        house.clock.advance(60)
        self.house = house
        self.request = house.request(path, **asked)
        image = ImageName(Path(path).stem)
        self.run: Run = a_run(run_id, image=image, started_at=house.clock.now())
        house.runs.save(self.run)

    @property
    def stages(self) -> Stages:
        return self.house.stages

    def build(self) -> Digest:
        return self.stages.build(self.run, self.request, FakeProgress())

    def validate(self, built: Digest) -> Digest:
        return self.stages.validate(self.run, self.request, built, FakeProgress())

    def record(self, built: Digest, reports: Digest) -> ImageVersion:
        return self.stages.record(self.run, self.request, built, reports, FakeProgress())

    def through(self) -> ImageVersion:
        built = self.build()
        return self.record(built, self.validate(built))

    def read(self, built: Digest) -> Built:
        return self.stages.read(self.run, built)

    @property
    def steps(self) -> list[tuple[int, str, StepState]]:
        return [(s.number, s.name, s.state) for s in self.house.runs.steps(self.run.id)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.built(BASE)
    return house


@pytest.fixture
def other(tmp_path: Path) -> House:
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    other.built(BASE)
    return other


def with_tests(house: House, *outcomes: Outcome) -> None:
    house.documents.documents[TEST_FILE] = "def test_page(host): ..."
    house.documents.documents[WEB] += "tests: [tests]\n"
    house.tests.reports = {Stage.OFFLINE: a_report(Stage.OFFLINE, *outcomes)}


def revoke(house: House, version: ImageVersion) -> None:
    at = house.clock.now()
    act = Act(actor="ann", at=at, why="it leaks keys")
    house.standings.revoke(a_revocation(version.id, in_force_at=at, act=act))


def comparable(version: ImageVersion) -> ImageVersion:
    """Give a version without what tells two records of the same apart."""
    return replace(version, id=VersionId(""), run_id=RunId(""), created_at=SOME_DAY)


def test_stages_when_done_one_by_one_then_give_the_version_that_one_build_gives(
    house: House, other: House
) -> None:
    for each in (house, other):
        with_tests(each, Outcome.PASSED)
        each.pending = (an_upgrade("bash"),)
        each.packages = "ii |bash|5.2-1|amd64|bash|5.2-1\n"

    assert comparable(Line(house).through()) == comparable(other.built())
    assert house.versions.versions[-1].reference == "web@1.0.0/1"


def test_stages_when_done_then_nothing_is_open_or_held(house: House) -> None:
    Line(house).through()

    assert house.locks.held == {}
    assert house.locks.shared[STORE_LOCK] == []
    assert house.roots.open == set()
    assert house.disks.open_count == 0


def test_stages_when_the_shared_store_does_not_answer_then_it_is_in_the_log_and_none_fails(
    house: House,
) -> None:
    house.complaints = ("It does not answer.",)
    line = Line(house)

    line.through()

    told = [step for step in line.steps if step[1] == "shared store"]
    assert [state for _, _, state in told] == [StepState.SKIPPED] * 3
    logs = [house.run_files.log(line.run.id, number) for number, _, _ in told]
    assert logs == ["It does not answer.\n"] * 3


def test_stages_when_one_has_ended_then_what_it_made_is_settled(house: House) -> None:
    line = Line(house)
    line.build()

    assert house.layers.settled == house.layers.keys


def test_stage_when_somebody_works_on_the_image_then_is_refused(house: House) -> None:
    line = Line(house)
    built = line.build()
    reports = line.validate(built)

    for act in (line.build, lambda: line.validate(built), lambda: line.record(built, reports)):
        with house.locks.hold("image web", "process 99"), pytest.raises(InProgress):
            act()


def test_stages_when_they_run_then_each_holds_its_image(house: House) -> None:
    before = len(house.locks.taken)

    Line(house).through()

    assert house.locks.taken[before:] == ["image web"] * 3


def test_stages_when_each_follows_then_their_steps_count_on(house: House) -> None:
    line = Line(house)

    line.through()

    assert [number for number, _, _ in line.steps] == list(range(1, len(line.steps) + 1))
    assert [name for _, name, _ in line.steps][-2:] == ["boot through bios to a login", "record"]
    assert {state for _, _, state in line.steps} <= {StepState.SUCCEEDED, StepState.CACHED}


def test_build_when_it_was_killed_then_its_layers_are_found_and_its_open_step_has_ended(
    house: House,
) -> None:
    line = Line(house)
    house.fails["/etc/hostname"] = RunInterrupted()
    with pytest.raises(RunInterrupted):
        line.build()
    last = house.runs.steps(line.run.id)[-1]
    house.runs.save_step(line.run.id, replace(last, state=StepState.RUNNING, detail=""))
    house.fails.clear()
    sealed = len(house.roots.sealed)

    built = line.read(line.build())

    assert "nginx" not in house.roots.sealed[sealed:]
    assert "nginx" not in built.made
    assert (last.number, last.name, StepState.FAILED) in line.steps


def test_build_when_it_ended_well_and_is_done_again_then_no_layer_is_made_twice(
    house: House,
) -> None:
    line = Line(house)
    first = line.read(line.build())
    sealed = len(house.roots.sealed)

    again = line.read(line.build())

    assert house.roots.sealed[sealed:] == []
    assert again.draft == first.draft


def test_build_from_scratch_when_done_again_then_the_runs_own_layers_are_from_scratch(
    house: House,
) -> None:
    Line(house, run_id="run-before").through()
    line = Line(house, refresh=True)
    made = line.read(line.build()).made
    house.clock.advance(600)
    sealed = len(house.roots.sealed)

    line.build()

    assert sorted(made) == ["finish", "initramfs", "nginx"]
    assert house.roots.sealed[sealed:] == []


def test_build_when_nothing_changed_then_says_so_and_the_version_before_is_given(
    house: House,
) -> None:
    version = Line(house, run_id="run-before").through()
    opened, booted = len(house.workshop.opened_for), len(house.booter.booted)
    line = Line(house)
    built = line.build()

    assert line.read(built).is_unchanged
    assert line.read(built).before == version.id
    assert line.record(built, line.validate(built)) == version
    assert len(house.versions.versions) == 2
    assert (len(house.workshop.opened_for), len(house.booter.booted)) == (opened, booted)


def test_build_when_archives_changed_but_bring_nothing_new_then_it_is_unchanged(
    house: House,
) -> None:
    version = house.versions.versions[-1]
    house.sources.day = "tuesday"
    line = Line(house, BASE)

    built = line.build()

    assert line.read(built).is_unchanged
    assert line.record(built, line.validate(built)) == version


def test_build_when_the_recipe_makes_another_image_then_is_refused(house: House) -> None:
    line = Line(house)
    house.documents.documents[WEB] = a_recipe_text("shop", "image:base@1.x")

    with pytest.raises(RecipeChangedMeanwhile) as caught:
        line.build()

    assert caught.value.context == f"{WEB} makes shop now."


def test_validate_when_the_parent_was_published_meanwhile_then_the_one_built_on_counts(
    house: House,
) -> None:
    line = Line(house)
    base = house.versions.versions[-1]
    built = line.build()
    house.sources.day = "tuesday"
    house.pending = (an_upgrade("bash"),)
    assert house.built(BASE).id != base.id

    version = line.record(built, line.validate(built))

    assert version.parent.version_id == base.id
    assert {layer.content for layer in base.layers[:1]} < {x.content for x in version.layers}


def test_validate_when_the_archives_do_not_answer_then_it_does_not_matter(house: House) -> None:
    house.documents.documents[WEB] = a_recipe_text("web", "debian:bookworm", "[nginx, patches]")
    house.pending = (an_upgrade("bash"),)
    line = Line(house)
    built = line.build()
    house.sources.fails = ConnectionError()
    house.pending = ()

    assert line.record(built, line.validate(built)).reference == "web@1.0.0/1"


def test_validate_when_it_runs_then_nothing_is_made_of_layers_and_the_disk_is_at_hand(
    house: House,
) -> None:
    line = Line(house)
    built = line.build()
    sealed, requests = len(house.roots.sealed), len(house.disks.requests)

    line.validate(built)

    assert house.roots.sealed[sealed:] == []
    assert len(house.disks.requests) == requests
    assert house.disks.recalls == [("web", True)]
    assert house.booter.booted[-1] == "bios"


def test_validate_when_only_a_tar_was_built_then_no_disk_is_booted(house: House) -> None:
    house.documents.documents[WEB] += "artifacts: [tar]\n"
    line = Line(house)
    booted = len(house.booter.booted)

    version = line.through()

    assert [artifact.format for artifact in version.artifacts] == [ArtifactFormat.TAR]
    assert len(house.booter.booted) == booted
    assert house.disks.recalls == []


@pytest.mark.parametrize("what", ["component", "recipe", "test"])
def test_validate_when_a_document_changed_meanwhile_then_is_refused_with_a_way_out(
    house: House, what: str
) -> None:
    with_tests(house, Outcome.PASSED)
    line = Line(house)
    built = line.build()
    documents = house.documents.documents
    match what:
        case "component":
            documents[NGINX] = a_component_text("nginx", command="other")
        case "recipe":
            documents[WEB] = documents[WEB].replace("tests: [tests]\n", "")
        case _:
            documents[TEST_FILE] += "  # another one"

    with pytest.raises(RecipeChangedMeanwhile) as caught:
        line.validate(built)

    assert caught.value.context.startswith("Its recipe, a component,")
    assert caught.value.hint.startswith("Start a new run")
    assert len(house.versions.versions) == 1


def test_validate_when_an_outside_value_changed_meanwhile_then_is_refused(house: House) -> None:
    house.values.parameters = {"/web/port": OutsideValue(text="80")}
    text = a_component_text("nginx", command="listen {{ aws:ssm:/web/port }}")
    house.documents.documents[NGINX] = text
    line = Line(house)
    built = line.build()
    house.values.parameters = {"/web/port": OutsideValue(text="81")}

    with pytest.raises(RecipeChangedMeanwhile):
        line.validate(built)


@pytest.mark.parametrize("keep", [True, False])
def test_validate_when_a_test_fails_then_nothing_is_recorded_and_it_can_be_done_again(
    house: House, *, keep: bool
) -> None:
    with_tests(house, Outcome.FAILED)
    line = Line(house, keep=keep)
    built = line.build()

    with pytest.raises(ValidationFailed) as caught:
        line.validate(built)

    assert line.steps[-1][2] is StepState.FAILED
    assert ("--directory" in caught.value.hint) == keep
    house.tests.reports = {Stage.OFFLINE: a_report(Stage.OFFLINE, Outcome.PASSED)}
    assert line.record(built, line.validate(built)).reference == "web@1.0.0/1"


def test_validate_when_a_layer_is_gone_then_says_which(house: House) -> None:
    line = Line(house)
    built = line.build()
    house.layers.forget(house.layers.named("nginx"))

    with pytest.raises(LayerMissing):
        line.validate(built)


def test_validate_when_the_document_is_gone_then_says_so(house: House) -> None:
    line = Line(house)
    built = line.build()
    del house.blobs.contents[built]

    with pytest.raises(BlobMissing):
        line.validate(built)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"\xff", "codec can't decode", id="bytes"),
        pytest.param(b"[]", "no document of a stage", id="a list"),
        pytest.param(b"{}", "'form'", id="another document"),
        pytest.param(b'{"form": 1}', "It is in form 1, and 4", id="of another imagebuilder"),
        pytest.param(b'{"form": 1}', "It is in form 1, and", id="of another imagebuilder"),
    ],
)
def test_validate_when_given_something_else_then_says_what_is_wrong(
    house: House, content: bytes, said: str
) -> None:
    line = Line(house)

    with pytest.raises(StageDocumentUnusable) as caught:
        line.validate(house.blobs.put(content))

    assert said.lower() in caught.value.context.lower()


def test_validate_when_another_run_built_it_then_is_refused(house: House) -> None:
    built = Line(house, run_id="run-other").build()

    with pytest.raises(StageDocumentUnusable) as caught:
        Line(house).validate(built)

    assert caught.value.context == "It was written by run run-other."


def test_record_when_the_reports_are_of_another_build_then_is_refused(house: House) -> None:
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    again = line.build()

    with pytest.raises(StageDocumentUnusable) as caught:
        line.record(again, reports)

    assert caught.value.context == f"It speaks of {built.short}."
    assert len(house.versions.versions) == 1


def test_record_when_done_again_then_gives_the_version_that_was_recorded(house: House) -> None:
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    version = line.record(built, reports)
    steps = line.steps
    del house.blobs.contents[built]

    assert line.record(built, reports) == version
    assert house.versions.versions[-1] == version
    assert len(house.versions.versions) == 2
    assert line.steps == steps


def test_record_when_the_parent_was_revoked_meanwhile_then_is_refused(house: House) -> None:
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    base = house.versions.versions[-1]
    revoke(house, base)

    with pytest.raises(ParentUnusable):
        line.record(built, reports)

    assert line.steps[-1][1:] == ("record", StepState.FAILED)
    assert house.versions.versions == [base]


def test_record_when_it_was_recorded_before_the_parent_was_revoked_then_it_is_given(
    house: House,
) -> None:
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    base, version = house.versions.versions[-1], line.record(built, reports)
    revoke(house, base)

    assert line.record(built, reports) == version


def test_record_when_nothing_changed_since_what_was_revoked_meanwhile_then_is_refused(
    house: House,
) -> None:
    version = Line(house, run_id="run-before").through()
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    revoke(house, version)

    with pytest.raises(NewestRevoked):
        line.record(built, reports)


def test_stages_when_something_is_not_recorded_yet_then_it_is_claimed(house: House) -> None:
    with_tests(house, Outcome.PASSED)
    line = Line(house)
    built = line.build()
    reports = line.validate(built)
    version = line.record(built, reports)

    claimed = house.claims.claims()[line.run.id]

    evidence = {report.evidence for report in version.reports}
    artifacts = {artifact.digest for artifact in version.artifacts}
    assert version.bill is not None
    assert claimed.blobs == {built, reports, version.bill.document} | evidence | artifacts
    assert claimed.layers == {layer.content for layer in version.layers}
    assert claimed.disks == {version.disk_digest}


def test_stages_when_a_scan_is_asked_for_then_it_is_handed_on_and_its_files_are_claimed(
    house: House,
) -> None:
    house.packs = (an_added(digest=house.blobs.put(b"<data-stream/>")),)
    house.scanner.results = (a_control(), a_control("other", ControlOutcome.UNKNOWN))
    house.documents.documents[WEB] += "compliance: {profile: cis}\n"
    line = Line(house)
    built = line.build()
    reports = line.validate(built)

    (assessment,) = line.record(built, reports).assessments

    assert assessment.results == house.scanner.results
    assert assessment.blobs <= house.claims.claims()[line.run.id].blobs
    assert len(assessment.blobs) == 3


def test_stages_when_there_is_no_content_then_the_first_one_says_so(house: House) -> None:
    house.documents.documents[WEB] += "compliance: {profile: cis}\n"

    with pytest.raises(ContentMissing):
        Line(house).build()


def test_build_in_one_then_nothing_is_claimed(house: House) -> None:
    house.build()

    assert house.claims.claims() == {}
