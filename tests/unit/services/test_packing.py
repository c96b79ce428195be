"""Images that Packer makes, through the whole journey over fakes."""

from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, Stage, ValidationFailed
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.packer import SourceUnknown, stand_in
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import RunStage, RunState
from imagebuilder.ports.live_builds import LiveBuildFailed, LivePlace, LiveProduct
from imagebuilder.services.pipelines.elsewhere import ParentNotStarted, recorded_images
from imagebuilder.services.pipelines.parentage import ParentHasNoLayers
from imagebuilder.services.pipelines.performing import Performing
from imagebuilder.services.pipelines.shipping import Shipping
from imagebuilder.services.provisioning.failing import ComponentFailed
from tests.build import a_run, an_order
from tests.fakes.inspection import a_report
from tests.fakes.machine import Answer
from tests.fakes.progress import FakeProgress
from tests.house import BASE, WEB, House, a_recipe_text

CLOUD = "/w/recipes/cloud.yaml"
QEMU = "builder: packer\npacker: {type: qemu, memory: 512}\n"
AMAZON = "builder: packer\npacker: {type: amazon-ebs, region: eu-central-1}\n"
BOTH = "builder: packer\npacker:\n  - {type: amazon-ebs, region: eu-central-1}\n  - {type: qemu}\n"
PARENT = "ami:eu-central-1/ami-0123456789abcdef0"
AMI = LiveProduct(
    source="amazon-ebs",
    places=(LivePlace(region="eu-central-1", id="ami-1", target="aws:1/eu-central-1"),),
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    write(house, QEMU)
    return house


def write(house: House, more: str, parent: str = "packer:debian-12") -> None:
    house.documents.documents[CLOUD] = a_recipe_text("cloud", parent, "[nginx]", more)


class Line:
    """A run that goes from stage to stage."""

    def __init__(self, house: House) -> None:
        house.clock.advance(60)
        self.house = house
        self.request = house.request(CLOUD)
        self.run = a_run("run-7", image=ImageName("cloud"), started_at=house.clock.now())
        house.runs.save(self.run)

    def validated(self) -> tuple[Digest, Digest]:
        progress, stages = FakeProgress(), self.house.stages
        built = stages.build(self.run, self.request, progress)
        return built, stages.validate(self.run, self.request, built, progress)

    def record(self, built: Digest, reports: Digest) -> ImageVersion:
        return self.house.stages.record(self.run, self.request, built, reports, FakeProgress())


def test_build_when_packer_makes_a_disk_then_it_is_worked_on_booted_and_recorded(
    house: House,
) -> None:
    version = house.build(CLOUD).version

    assert version is not None
    assert [artifact.format for artifact in version.artifacts] == [ArtifactFormat.QCOW2]
    assert (version.layers, version.parent.asked) == ((), "packer:debian-12")
    assert [login.port for login in house.live.machines.logins] == [2200]
    assert any("install" in script.text for script in house.live.machines.machine.scripts)
    assert house.booter.booted == ["bios"]
    assert house.live.importer.read == [("disk", ArtifactFormat.QCOW2)]
    assert (house.live.importer.open_count, house.live.machines.open) == (0, [])


def test_build_when_nothing_changed_then_no_machine_is_started(house: House) -> None:
    house.build(CLOUD)

    assert house.build(CLOUD).is_unchanged
    assert len(house.live.builder.orders) == 1


def test_build_when_what_the_source_says_changed_then_it_is_built_again(house: House) -> None:
    house.build(CLOUD)
    write(house, QEMU.replace("512", "1024"))

    result = house.build(CLOUD)

    assert not result.is_unchanged
    assert "packer" in result.reason


def test_build_when_there_are_tests_then_all_run_on_the_machine_and_on_a_fresh_boot(
    house: House,
) -> None:
    house.documents.documents["/w/recipes/t/test_web.py"] = ""
    house.tests.reports = {s: a_report(s, Outcome.PASSED) for s in (Stage.OFFLINE, Stage.MACHINE)}
    write(house, f"{QEMU}tests: [t]\n")

    version = house.build(CLOUD).version

    live, fresh = house.live.machines.machine, house.booter.on_disk
    assert house.tests.ran == [
        (Stage.OFFLINE, live),
        (Stage.MACHINE, live),
        (Stage.OFFLINE, fresh),
        (Stage.MACHINE, fresh),
    ]
    assert version is not None
    assert [len(report.results) for report in version.reports] == [1, 1, 1]


def test_build_when_a_test_fails_on_the_machine_then_no_image_is_made_of_it(house: House) -> None:
    house.documents.documents["/w/recipes/t/test_web.py"] = ""
    house.tests.reports = {Stage.OFFLINE: a_report(Stage.OFFLINE, Outcome.FAILED)}
    write(house, f"{QEMU}tests: [t]\n")

    with pytest.raises(ValidationFailed):
        house.build(CLOUD)

    assert house.booter.booted == []


def test_build_when_the_parent_is_an_image_then_the_machine_starts_from_its_disk(
    house: House,
) -> None:
    parent = house.build(BASE).version
    write(house, QEMU, "image:base@1.x")

    version = house.build(CLOUD).version

    (order,) = house.live.builder.orders
    assert parent is not None
    assert version is not None
    assert order.disk == house.blobs.path(parent.artifacts[0].digest)
    assert version.parent.version_id == parent.id


def test_build_when_the_parent_is_an_ami_then_the_machine_starts_from_it_and_nothing_is_fetched(
    house: House,
) -> None:
    write(house, "builder: packer\npacker: {type: amazon-ebs}\n", PARENT)
    house.live.builder.products["amazon-ebs"] = AMI

    version = house.build(CLOUD).version

    assert version is not None
    assert (version.parent.asked, version.parent.identity) == (PARENT, PARENT)
    starts = {"source_ami": "ami-0123456789abcdef0", "region": "eu-central-1"}
    assert house.live.builder.orders[0].sources[0].settings == starts
    assert house.amis.asked == []
    assert house.build(CLOUD).is_unchanged


@pytest.mark.parametrize(
    ("parent", "reason", "origin"),
    [
        (PARENT, "Error querying AMI: InvalidAMIID.NotFound", f"{CLOUD}:4:9"),
        (PARENT, "VcpuLimitExceeded", "None"),
        ("packer:debian-12", "Error querying AMI: InvalidAMIID.NotFound", "None"),
    ],
)
def test_build_when_the_ami_of_the_parent_is_not_there_then_its_place_in_the_recipe_is_told(
    house: House, parent: str, reason: str, origin: str
) -> None:
    write(house, AMAZON, parent)
    house.live.builder.failing = {"amazon-ebs": reason}

    with pytest.raises(LiveBuildFailed) as caught:
        house.build(CLOUD)

    assert str(caught.value.origin) == origin
    assert ("region, eu-central-1" in caught.value.hint) is (origin != "None")


def test_build_when_the_image_is_elsewhere_then_it_is_a_placement_of_the_version(
    house: House,
) -> None:
    write(house, AMAZON)
    house.live.builder.products["amazon-ebs"] = AMI

    version = house.build(CLOUD).version

    assert version is not None
    assert version.artifacts == ()
    assert version.disk_digest == stand_in(version.plan)
    (placement,) = house.live.placements.of([version.id])
    assert placement.subject == "aws:1/eu-central-1 ami-1"
    assert house.booter.booted == []


def test_build_when_the_image_is_elsewhere_then_a_fresh_machine_of_it_is_looked_at(
    house: House,
) -> None:
    house.documents.documents["/w/recipes/t/test_web.py"] = ""
    house.tests.reports = {Stage.MACHINE: a_report(Stage.MACHINE, Outcome.PASSED)}
    filtered = "{type: amazon-ebs, region: eu-central-1, source_ami_filter: {owners: [self]}}"
    write(house, f"builder: packer\npacker: {filtered}\ntests: [t]\n")
    house.live.builder.products["amazon-ebs"] = AMI

    version = house.build(CLOUD).version

    (look,) = house.live.builder.looks
    assert look.sources[0].settings["source_ami"] == "ami-1"
    assert "source_ami_filter" not in look.sources[0].settings
    assert [login.port for login in house.live.machines.logins] == [2200, 2300]
    assert [stage for stage, _ in house.tests.ran] == [Stage.MACHINE, Stage.MACHINE]
    assert version is not None
    assert [len(report.results) for report in version.reports] == [1, 1]


def test_stages_when_a_fresh_machine_fails_then_what_was_made_elsewhere_is_taken_away(
    house: House,
) -> None:
    house.documents.documents["/w/recipes/t/test_web.py"] = ""
    house.tests.reports = {Stage.MACHINE: a_report(Stage.MACHINE, Outcome.PASSED)}
    write(house, f"{AMAZON}tests: [t]\n")
    house.live.builder.products["amazon-ebs"] = AMI
    line = Line(house)
    built = house.stages.build(line.run, line.request, FakeProgress())
    house.tests.reports = {Stage.MACHINE: a_report(Stage.MACHINE, Outcome.FAILED)}

    with pytest.raises(ValidationFailed):
        house.stages.validate(line.run, line.request, built, FakeProgress())

    assert house.live.places.withdrawn == ["ami-1"]


def test_build_when_the_parent_is_placed_then_the_next_starts_from_its_image_there(
    house: House,
) -> None:
    write(house, AMAZON)
    house.live.builder.products["amazon-ebs"] = AMI
    house.build(CLOUD)
    child = "/w/recipes/child.yaml"
    house.documents.documents[child] = a_recipe_text("child", "image:cloud", "[]", AMAZON)
    house.live.builder.products["amazon-ebs"] = LiveProduct(
        source="amazon-ebs",
        places=(LivePlace(region="eu-central-1", id="ami-2", target="aws:1/eu-central-1"),),
    )

    house.build(child)

    assert house.live.builder.orders[-1].sources[0].settings["source_ami"] == "ami-1"


def test_build_when_the_parent_is_not_in_the_region_then_says_so(house: House) -> None:
    house.build(BASE)
    write(house, AMAZON, "image:base")

    with pytest.raises(ParentNotStarted, match="no placement in eu-central-1"):
        house.build(CLOUD)


def test_build_when_layers_are_to_be_put_onto_what_packer_made_then_it_is_refused(
    house: House,
) -> None:
    house.build(CLOUD)
    house.documents.documents[WEB] = a_recipe_text("web", "image:cloud")

    with pytest.raises(ParentHasNoLayers):
        house.build(WEB)


def test_build_when_a_component_fails_then_nothing_is_recorded_and_the_machine_is_left(
    house: House,
) -> None:
    house.live.machines.machine.answer = lambda _script: Answer(exit_status=1)

    with pytest.raises(ComponentFailed):
        house.build(CLOUD)

    assert house.versions.newest(ImageName("cloud")) is None
    assert house.live.machines.open == []
    assert [run.state for run in house.runs.runs.values()] == [RunState.FAILED]


def test_build_when_one_source_fails_then_the_good_half_is_recorded_and_the_rest_is_owed(
    house: House,
) -> None:
    write(house, BOTH)
    house.live.builder.failing["amazon-ebs"] = "no capacity"

    result = house.build(CLOUD)

    assert result.version is not None
    assert any("amazon-ebs failed: no capacity" in warning for warning in result.warnings)
    house.live.builder.failing.clear()
    house.live.builder.products["amazon-ebs"] = AMI
    assert "nothing was made of source amazon-ebs" in house.build(CLOUD).reason
    assert house.build(CLOUD).is_unchanged


def test_build_when_all_sources_fail_then_the_run_failed(house: House) -> None:
    house.live.builder.failing["qemu"] = "no disk"

    with pytest.raises(LiveBuildFailed):
        house.build(CLOUD)


def test_build_when_the_fresh_boot_fails_then_what_was_made_elsewhere_goes_too(
    house: House,
) -> None:
    write(house, BOTH)
    house.live.builder.products["amazon-ebs"] = AMI
    house.booter.fails.add("bios")

    with pytest.raises(ValidationFailed):
        house.build(CLOUD)

    assert house.live.builder.withdrawn == ["amazon-ebs", "qemu"]
    assert house.live.placements.kept == {}


def test_build_when_only_files_are_wanted_then_nothing_stays_elsewhere(house: House) -> None:
    write(house, AMAZON)
    house.live.builder.products["amazon-ebs"] = AMI

    with pytest.raises(ImageBuilderError, match="nothing was to be recorded"):
        house.build(CLOUD, until_artifact=True)

    assert house.live.builder.withdrawn == ["amazon-ebs"]


def test_stages_when_packer_makes_a_disk_then_the_version_is_that_of_one_build(
    house: House,
) -> None:
    whole = house.build(CLOUD).version
    assert whole is not None
    house.documents.documents[CLOUD] = house.documents.documents[CLOUD].replace("512", "513")

    line = Line(house)
    version = line.record(*line.validated())

    assert version.disk_digest == whole.disk_digest
    assert [report.stage for report in version.reports] == [r.stage for r in whole.reports]


def test_stages_when_the_image_is_elsewhere_then_its_tests_and_place_are_recorded(
    house: House,
) -> None:
    write(house, AMAZON)
    house.live.builder.products["amazon-ebs"] = AMI
    line = Line(house)
    left = line.validated()

    version, again = line.record(*left), line.record(*left)

    assert version == again
    assert [p.external_id for p in house.live.placements.of([version.id])] == ["ami-1"]


def test_stages_when_what_failed_cannot_be_taken_away_then_the_failure_is_what_is_raised(
    house: House,
) -> None:
    house.documents.documents["/w/recipes/t/test_web.py"] = ""
    house.tests.reports = {Stage.MACHINE: a_report(Stage.MACHINE, Outcome.PASSED)}
    write(house, f"{AMAZON}tests: [t]\n")
    house.live.builder.products["amazon-ebs"] = AMI
    line = Line(house)
    built = house.stages.build(line.run, line.request, FakeProgress())
    house.tests.reports = {Stage.MACHINE: a_report(Stage.MACHINE, Outcome.FAILED)}
    house.live.places.is_away = True

    with pytest.raises(ValidationFailed):
        house.stages.validate(line.run, line.request, built, FakeProgress())


@pytest.mark.parametrize(("more", "is_elsewhere"), [(AMAZON, True), (QEMU, False)])
def test_perform_when_the_build_is_done_then_its_result_says_whether_the_image_is_elsewhere(
    house: House, more: str, *, is_elsewhere: bool
) -> None:
    write(house, more)
    house.live.builder.products["amazon-ebs"] = AMI
    order = replace(an_order(), recipe_path=CLOUD)
    house.runs.save(a_run("run-7", image=ImageName("cloud"), order=order))

    def shipping() -> Shipping:
        raise AssertionError("nothing is shipped")

    performing = Performing(house.runs, lambda: house.stages, lambda _r, _p: None, shipping)
    result = performing.perform("run-7", RunStage.BUILD, FakeProgress())

    assert isinstance(result, dict)
    assert result["is_elsewhere"] is is_elsewhere


def test_recorded_images_when_the_run_has_a_version_then_they_are_those_of_its_plan(
    house: House,
) -> None:
    write(house, AMAZON)
    house.live.builder.products["amazon-ebs"] = AMI
    line = Line(house)
    left = line.validated()
    assert recorded_images(house.runs, house.versions, line.run.id) is None

    line.record(*left)
    house.runs.save(replace(line.run, state=RunState.FAILED))

    assert recorded_images(house.runs, house.versions, line.run.id) == {"ami-1"}


@pytest.mark.parametrize("state", list(RunState))
def test_recorded_images_when_there_is_no_version_then_none_is_known_until_the_run_ended_badly(
    house: House, state: RunState
) -> None:
    house.runs.save(a_run("run-7", state=state))
    is_over = state in (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)

    found = recorded_images(house.runs, house.versions, RunId("run-7"))

    assert found == (() if is_over else None)
    assert recorded_images(house.runs, house.versions, RunId("run-")) is None
    house.runs.save(a_run("run-7", state=state, version_id=VersionId("deleted-since")))
    assert recorded_images(house.runs, house.versions, RunId("run-7")) is None


def test_recorded_images_when_the_run_is_of_another_catalogue_then_nothing_is_known(
    house: House,
) -> None:
    assert recorded_images(house.runs, house.versions, RunId("run-8")) is None


def test_build_when_only_one_source_is_wanted_then_the_others_are_owed(house: House) -> None:
    write(house, BOTH)

    house.build(CLOUD, only=("qemu",))

    assert house.live.builder.orders[0].only == ("qemu",)
    house.live.builder.products["amazon-ebs"] = AMI
    assert "nothing was made of source amazon-ebs" in house.build(CLOUD).reason


@pytest.mark.parametrize("path", [CLOUD, BASE])
def test_build_when_a_source_is_wanted_that_is_not_there_then_no_run_begins(
    house: House, path: str
) -> None:
    with pytest.raises(SourceUnknown, match="no source quemu"):
        house.build(path, only=("quemu",))

    assert house.runs.runs == {}
