"""The whole journey: what is built, what is recorded, and what is left when it ends badly."""

from pathlib import Path

import pytest

from imagebuilder.domain.bill import PackageListMalformed
from imagebuilder.domain.evidence import Outcome, Stage, ValidationFailed
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.recipe import ArtifactFormat, CircularParents
from imagebuilder.domain.run import Run, RunInterrupted, RunState, StepState
from imagebuilder.ports.building import MirrorUnreachable
from imagebuilder.ports.disks import DiskTooSmall
from imagebuilder.ports.locks import InProgress
from imagebuilder.services.building.stacking import StackRequest
from imagebuilder.services.provisioning.failing import ComponentFailed
from tests.build import a_run, an_upgrade
from tests.fakes.inspection import a_report
from tests.fakes.machine import Answer
from tests.house import BASE, NGINX, WEB, House, a_component_text, a_recipe_text

TEST_FILE = "/w/recipes/tests/test_web.py"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def last_run(house: House) -> Run:
    return house.runs.newest(1)[0]


def references(house: House) -> list[str]:
    return [version.reference for version in house.versions.versions]


def test_build_when_the_parent_image_is_missing_then_it_is_built_first(house: House) -> None:
    result = house.build(WEB)
    base, web = house.versions.versions
    assert references(house) == ["base@1.0.0/1", "web@1.0.0/1"]
    assert result.version == web
    assert web.parent.version_id == base.id
    assert base.parent.version_id is None
    assert [run.state for run in house.runs.newest(9)] == [RunState.SUCCEEDED] * 2


def test_build_when_the_parent_is_there_then_it_is_left_alone(house: House) -> None:
    house.build(BASE)
    house.build(WEB)
    assert references(house) == ["base@1.0.0/1", "web@1.0.0/1"]


def test_build_of_a_variant_makes_an_image_of_its_own(house: House) -> None:
    house.build(WEB)

    built = house.build(WEB, variant="arm64")
    again = house.build(WEB, variant="arm64")

    assert references(house) == ["base@1.0.0/1", "web@1.0.0/1", "web-arm64@1.0.0/1"]
    assert (built.is_unchanged, again.is_unchanged) == (False, True)
    assert last_run(house).image == "web-arm64"
    assert [d.name for d in house.versions.versions[-1].documents if d.kind == "recipe"] == ["web"]


def test_build_when_no_recipe_makes_the_parent_then_says_what_to_do(house: House) -> None:
    del house.documents.documents[BASE]
    with pytest.raises(VersionNotFound) as failure:
        house.build(WEB)
    assert failure.value.hint == "Build base first; no recipe of that name is beside this one."
    assert house.runs.runs == {}


@pytest.mark.parametrize("middle", ["image:web", "image:base"])
def test_build_when_parents_lead_in_a_circle_then_is_refused(house: House, middle: str) -> None:
    house.documents.documents[BASE] = a_recipe_text("base", middle)
    with pytest.raises(CircularParents) as failure:
        house.build(WEB)
    chain = (
        "web is built on base is built on web" if middle == "image:web" else "base is built on base"
    )
    assert failure.value.context == chain
    assert house.versions.versions == []
    assert house.locks.held == {}


def test_build_when_nothing_changed_then_nothing_is_recorded_or_opened(house: House) -> None:
    first = house.built()
    opened = len(house.workshop.opened_for)
    result = house.build()
    assert result.is_unchanged
    assert result.version == first
    assert len(house.versions.versions) == 2
    assert len(house.workshop.opened_for) == opened
    assert last_run(house).state is RunState.UNCHANGED
    assert last_run(house).version_id == first.id


def test_build_when_the_shared_store_does_not_answer_then_it_is_told_and_recorded_all_the_same(
    house: House,
) -> None:
    house.complaints = ("It does not answer.",)

    result = house.build()

    assert result.warnings == ("It does not answer.",)
    assert result.version is not None


def test_build_when_archives_changed_but_bring_nothing_new_then_it_is_unchanged(
    house: House,
) -> None:
    house.pending = (an_upgrade("bash"),)
    first = house.built(BASE)
    house.sources.day = "tuesday"
    result = house.build(BASE)
    assert result.is_unchanged
    assert result.version == first
    assert references(house) == ["base@1.0.0/1"]
    assert last_run(house).state is RunState.UNCHANGED


def test_build_when_archives_bring_upgrades_then_the_next_build_is_recorded(house: House) -> None:
    house.built(BASE)
    house.sources.day = "tuesday"
    house.pending = (an_upgrade("bash"),)
    result = house.build(BASE)
    assert references(house) == ["base@1.0.0/1", "base@1.0.0/2"]
    assert result.reason.startswith("the package archives changed: what is new in them, only apt")
    assert result.built == ("patches", "finish")


def test_build_when_a_component_changed_then_only_from_there_on_and_the_next_patch(
    house: House,
) -> None:
    house.build()
    house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    result = house.build()
    assert references(house)[-1] == "web@1.0.1/1"
    assert result.built == ("nginx", "finish")


def test_build_when_refreshed_then_all_own_layers_are_made_and_a_build_is_recorded(
    house: House,
) -> None:
    house.build()
    result = house.build(refresh=True)
    assert sorted(result.built) == ["finish", "initramfs", "nginx"]
    assert references(house)[-1] == "web@1.0.0/2"


def test_build_when_recorded_then_layers_are_told_with_their_components(house: House) -> None:
    house.pending = ()
    version = house.built(BASE)
    assert [(r.name, r.component_version) for r in version.layers] == [
        ("debian:bookworm", ""),
        ("finish", ""),
        ("initramfs", ""),
    ]
    web = house.built(WEB)
    assert [(r.name, r.component_version) for r in web.layers] == [
        ("debian:bookworm", ""),
        ("nginx", "1.0.0"),
        ("finish", ""),
        ("initramfs", ""),
    ]


def test_build_when_an_empty_layer_follows_then_the_one_below_keeps_its_component(
    house: House,
) -> None:
    house.documents.documents[WEB] = a_recipe_text(
        "web", "debian:bookworm", "[{component: nginx}, patches]"
    )
    nginx = next(r for r in house.built().layers if r.name == "nginx")
    component = house.prepare().ingredients.components[0][0]
    assert nginx.component_digest == component.digest


def test_build_when_recorded_then_packages_are_those_that_are_really_there(house: House) -> None:
    house.packages = (
        "ii |bash|5.2-1|amd64|bash|5.2-1\n"
        "hi |linux|6.1-1|amd64|linux-signed|6.1+1\n"
        "rc |gone|1-1|amd64|gone|1-1\n"
        "iU |halfway|1-1|amd64|halfway|1-1\n"
    )
    packages = house.built(BASE).packages
    assert [(p.name, p.source, p.source_version) for p in packages] == [
        ("bash", "bash", "5.2-1"),
        ("linux", "linux-signed", "6.1+1"),
    ]


def test_build_when_packages_cannot_be_listed_then_nothing_is_recorded(house: House) -> None:
    house.contents.fails = PackageListMalformed("/var/lib/dpkg/status", "Line 1 is no field.")
    with pytest.raises(PackageListMalformed):
        house.build(BASE)
    assert house.versions.versions == []


def test_build_when_recorded_then_indexes_are_those_of_the_day(house: House) -> None:
    version = house.built(BASE)
    assert version.indexes == house.sources.indexes(house.prepare(BASE).archives)


def test_build_when_the_archives_do_not_answer_then_it_ends_before_the_disk(house: House) -> None:
    house.built(BASE)
    house.sources.fails = MirrorUnreachable("http://deb.example.org/debian", "no route")
    disks = len(house.disks.requests)
    with pytest.raises(MirrorUnreachable):
        house.build(WEB)
    assert len(house.disks.requests) == disks


def test_build_when_there_is_a_version_before_then_its_disk_is_followed_and_that_is_recorded(
    house: House,
) -> None:
    first = house.built()
    house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    second = house.built()
    predecessor = house.disks.requests[-1].predecessor
    assert predecessor is not None
    assert predecessor.disk_digest == first.disk_digest
    assert isinstance(second.plan, dict)
    assert second.plan["follows"] == str(first.disk_digest)
    assert house.disks.remembered["web"] == second.disk_digest


def test_build_when_the_disk_before_is_gone_then_none_is_followed_nor_said_to_be(
    house: House,
) -> None:
    house.build()
    house.blobs.contents.clear()
    second = house.built()
    assert house.disks.requests[-1].predecessor is None
    assert isinstance(second.plan, dict)
    assert second.plan["follows"] is None


def test_build_when_the_disk_before_is_damaged_then_none_of_its_blocks_are_taken_over(
    house: House,
) -> None:
    first = house.built()
    disk = first.artifacts[0].digest
    house.blobs.contents[disk] = bytes(byte ^ 1 for byte in house.blobs.contents[disk])
    house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    second = house.built()
    assert house.disks.requests[-1].predecessor is None
    assert second.artifacts


def test_build_when_a_layer_is_damaged_then_it_is_made_anew_and_the_build_goes_on(
    house: House,
) -> None:
    house.built()
    house.layers.damaged.add(house.layers.named("nginx").content)
    house.documents.documents[WEB] += "disk: {size: 9GiB}\n"
    assert house.build().built == ("nginx",)


def with_tests(house: House, *outcomes: Outcome) -> None:
    house.documents.documents[TEST_FILE] = "def test_page(host): ..."
    house.documents.documents[WEB] += "tests: [tests]\n"
    house.tests.reports = {Stage.OFFLINE: a_report(Stage.OFFLINE, *outcomes)}


def test_build_when_tests_pass_then_their_reports_are_recorded(house: House) -> None:
    with_tests(house, Outcome.PASSED)
    assert [report.stage for report in house.built().reports] == [Stage.OFFLINE, Stage.MACHINE]


@pytest.mark.parametrize("keep", [True, False])
def test_build_when_a_test_fails_then_no_version_and_the_run_says_why(
    house: House, *, keep: bool
) -> None:
    with_tests(house, Outcome.FAILED)
    with pytest.raises(ValidationFailed) as failure:
        house.build(WEB, keep=keep)
    run = last_run(house)
    assert references(house) == ["base@1.0.0/1"]
    assert (run.state, run.error_code) == (RunState.FAILED, "validation-failed")
    assert run.error == failure.value.message
    assert house.runs.steps(run.id)[-1].state is StepState.FAILED
    assert "web" not in house.disks.remembered
    assert len(house.roots.kept) == keep
    assert ("--directory" in failure.value.hint) == keep


def test_build_when_a_component_fails_then_its_step_failed_and_has_its_log(house: House) -> None:
    house.fails["install\n"] = Answer(exit_status=1, stdout=b"E: broken\n")
    with pytest.raises(ComponentFailed):
        house.build()
    run = last_run(house)
    step = house.runs.steps(run.id)[-1]
    assert (run.state, run.error_code) == (RunState.FAILED, "component-failed")
    assert (step.name, step.state) == ("nginx", StepState.FAILED)
    assert "E: broken\n" in house.run_files.log(run.id, step.number)
    del house.fails["install\n"]
    assert house.build().built[0] == "nginx"


def test_build_when_the_disk_is_too_small_then_that_is_the_runs_error(house: House) -> None:
    house.disks.fails = DiskTooSmall(asked_bytes=1, needed_bytes=2**30)
    with pytest.raises(DiskTooSmall):
        house.build(BASE)
    assert last_run(house).error_code == "disk-too-small"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RunInterrupted()])
def test_build_when_it_is_stopped_then_the_run_is_cancelled(
    house: House, stop: BaseException
) -> None:
    house.fails["install"] = stop
    with pytest.raises(type(stop)):
        house.build()
    run = last_run(house)
    assert (run.state, run.error_code) == (RunState.CANCELLED, "")
    assert run.ended_at is not None
    assert house.runs.steps(run.id)[-1].state is StepState.FAILED
    assert house.locks.held == {}


def test_build_when_the_fault_is_ours_then_the_run_says_so(house: House) -> None:
    house.fails["install"] = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        house.build()
    run = last_run(house)
    assert (run.state, run.error_code) == (RunState.FAILED, "unexpected")
    assert "ours" in run.error


def test_build_when_the_image_is_being_built_then_says_by_whom(house: House) -> None:
    with house.locks.hold("image base", "process 99"), pytest.raises(InProgress) as failure:
        house.build(BASE)
    assert failure.value.message == "Image base is already being worked on."
    assert failure.value.context == "By process 99."
    assert house.runs.runs == {}


def test_build_when_it_runs_then_its_image_and_run_are_locked(house: House) -> None:
    result = house.build(BASE)
    assert house.locks.taken == ["image base", f"run-{result.run_id}"]


def test_build_when_another_run_was_killed_then_it_is_said_to_be_interrupted(
    house: House,
) -> None:
    house.runs.save(a_run("run-lost"))
    house.build(BASE)
    assert house.runs.get("run-lost").state is RunState.INTERRUPTED


def test_build_until_artifact_then_files_are_given_and_nothing_is_recorded(house: House) -> None:
    result = house.build(BASE, until_artifact=True)
    assert result.version is None
    assert [format_ for format_, _ in result.files] == [ArtifactFormat.QCOW2]
    assert all(Path(file).read_bytes() for _, file in result.files)
    assert house.versions.versions == []
    assert house.disks.remembered == {}
    assert house.booter.booted == []
    assert last_run(house).state is RunState.SUCCEEDED
    assert house.built(BASE).reference == "base@1.0.0/1"


def test_build_until_artifact_when_nothing_changed_then_files_are_given_all_the_same(
    house: House,
) -> None:
    house.build(BASE)
    result = house.build(BASE, until_artifact=True)
    assert result.files
    assert references(house) == ["base@1.0.0/1"]


def test_build_when_only_a_tar_is_wanted_then_no_disk_is_made_or_booted(house: House) -> None:
    house.documents.documents[BASE] += "artifacts: [tar]\n"
    version = house.built(BASE)
    assert [a.format for a in version.artifacts] == [ArtifactFormat.TAR]
    assert version.disk_digest == version.artifacts[0].digest
    assert house.disks.requests == []
    assert house.booter.booted == []


def test_build_when_components_have_tests_then_they_run_in_the_booted_container(
    house: House,
) -> None:
    house.documents.documents[NGINX] += (
        "  - {name: test, steps: [{name: Probe, action: ExecuteBash, "
        "inputs: {commands: [probe]}}]}\n"
    )
    version = house.built()
    booted = next(report for report in version.reports if report.stage is Stage.BOOTED)
    assert [r.name for r in booted.results] == ["boot in a container", "nginx: Probe"]
    assert [s.text for s in house.booter.in_container.scripts] == ["probe\n"]


def test_preview_then_nothing_is_made_or_recorded(house: House) -> None:
    house.build(BASE)
    runs = dict(house.runs.runs)
    rows = house.stacking.preview(StackRequest(ingredients=house.prepare().ingredients))
    assert [(row.name, row.is_cached) for row in rows] == [("nginx", False)]
    assert house.runs.runs == runs
