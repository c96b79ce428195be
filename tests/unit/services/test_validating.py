"""What an image must go through before it may be recorded."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import pytest

from imagebuilder.domain.evidence import Outcome, Stage, TestResult, ValidationFailed
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import SuiteEntry, TestSuite, TestsUnusable
from imagebuilder.ports.machine import Machine, MachineLost
from imagebuilder.services.validating import Examination, Validating
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.inspection import FakeBooter, FakeTestRunner, a_report
from tests.fakes.machine import FakeMachine
from tests.fakes.progress import FakeProgress

OFFLINE = FakeMachine()


@contextmanager
def a_root() -> Iterator[PurePath]:
    yield PurePath("/root-folder")


EXAMINATION = Examination(
    image="debian-web",
    tests=TestSuite(entries=(SuiteEntry(path=PurePath("/tests/web")),)),
    offline=OFFLINE,
    container_root=a_root,
    disk=PurePath("/disk.qcow2"),
    firmware=(Firmware.BIOS, Firmware.UEFI),
    consoles=PurePath("/run"),
)


@dataclass(slots=True)
class House:
    tests: FakeTestRunner = field(default_factory=FakeTestRunner)
    booter: FakeBooter = field(default_factory=FakeBooter)
    blobs: FakeBlobStore = field(default_factory=FakeBlobStore)
    progress: FakeProgress = field(default_factory=FakeProgress)

    @property
    def validating(self) -> Validating:
        return Validating(self.tests, self.booter, self.blobs, self.progress)


@pytest.fixture
def house() -> House:
    house = House()
    house.tests.reports[Stage.OFFLINE] = a_report(Stage.OFFLINE, Outcome.PASSED)
    return house


def test_validate_when_all_stages_have_tests_then_each_runs_on_its_own_machine(
    house: House,
) -> None:
    for stage in (Stage.BOOTED, Stage.MACHINE):
        house.tests.reports[stage] = a_report(stage, Outcome.PASSED)
    reports = house.validating.validate(EXAMINATION)
    assert [r.stage for r in reports] == [Stage.OFFLINE, Stage.BOOTED, Stage.MACHINE]
    assert house.tests.ran == [
        (Stage.OFFLINE, OFFLINE),
        (Stage.BOOTED, house.booter.in_container),
        (Stage.MACHINE, house.booter.on_disk),
    ]
    assert house.booter.ended == ["container", "bios"]


def test_validate_without_tests_then_a_boot_to_login_is_proven_and_recorded(house: House) -> None:
    reports = house.validating.validate(replace(EXAMINATION, tests=TestSuite(entries=())))
    assert [r.stage for r in reports] == [Stage.MACHINE]
    (boot,) = reports[0].results
    assert boot == TestResult(
        name="boot through bios to a login",
        outcome=Outcome.PASSED,
        seconds=30.0,
        detail="under tcg",
    )
    assert house.tests.ran == []


def test_validate_when_only_offline_tests_exist_then_no_container_is_booted(house: House) -> None:
    house.validating.validate(EXAMINATION)
    assert house.booter.booted == ["bios"]


def test_validate_when_every_firmware_is_asked_for_then_each_is_booted(house: House) -> None:
    house.validating.validate(replace(EXAMINATION, boots_every_firmware=True))
    assert house.booter.booted == ["bios", "uefi"]


def test_validate_when_there_is_no_disk_then_no_machine_is_booted(house: House) -> None:
    house.validating.validate(replace(EXAMINATION, disk=None))
    assert house.booter.booted == []


def test_validate_when_a_test_passed_on_a_retry_then_the_step_says_so(house: House) -> None:
    report = a_report(Stage.OFFLINE, Outcome.PASSED, Outcome.PASSED)
    again = replace(report.results[0], attempts=2)
    house.tests.reports[Stage.OFFLINE] = replace(report, results=(again, report.results[1]))
    house.validating.validate(EXAMINATION)
    assert house.progress.steps[0] == (
        "test files at rest",
        "succeeded",
        "2 passed, 1 of them on a retry",
    )


def test_validate_when_components_have_tests_then_they_run_in_the_container(house: House) -> None:
    seen: list[Machine] = []

    def component_tests(machine: Machine) -> tuple[TestResult, ...]:
        seen.append(machine)
        return (TestResult(name="nginx: answers", outcome=Outcome.PASSED, seconds=0.5),)

    reports = house.validating.validate(replace(EXAMINATION, component_tests=component_tests))
    assert seen == [house.booter.in_container]
    booted = next(r for r in reports if r.stage is Stage.BOOTED)
    assert [r.name for r in booted.results] == ["boot in a container", "nginx: answers"]


def test_validate_when_an_offline_test_fails_then_nothing_is_booted(house: House) -> None:
    house.tests.reports[Stage.OFFLINE] = a_report(Stage.OFFLINE, Outcome.PASSED, Outcome.FAILED)
    with pytest.raises(ValidationFailed) as failure:
        house.validating.validate(EXAMINATION)
    assert failure.value.message == "1 of 2 offline tests of debian-web failed."
    assert "--keep" in failure.value.hint
    assert house.booter.booted == []
    assert house.progress.steps == [("test files at rest", "failed", failure.value.message)]


@pytest.mark.parametrize(
    ("stage", "booted"),
    [(Stage.OFFLINE, []), (Stage.BOOTED, ["container"]), (Stage.MACHINE, ["bios"])],
)
def test_validate_when_a_stage_fails_then_its_evidence_is_kept(
    house: House, stage: Stage, booted: list[str]
) -> None:
    house.tests.reports[stage] = a_report(stage, crash="killed by signal 11")
    with pytest.raises(ValidationFailed) as failure:
        house.validating.validate(EXAMINATION)
    evidence = failure.value.report.evidence
    assert evidence is not None
    kept = json.loads(house.blobs.read(evidence))
    assert "killed by signal 11" in kept["junit"]
    assert kept["output"] == f"{stage} output"
    assert house.booter.booted == booted == house.booter.ended


def test_validate_when_the_disk_does_not_boot_then_the_console_is_evidence(house: House) -> None:
    house.booter.fails = {"bios"}
    with pytest.raises(ValidationFailed) as failure:
        house.validating.validate(EXAMINATION)
    assert "Kernel panic" in failure.value.context
    assert failure.value.report.stage is Stage.MACHINE
    assert failure.value.report.evidence is not None
    kept = json.loads(house.blobs.read(failure.value.report.evidence))
    assert kept["console"] == "Linux version 6\nlogin:"


def test_validate_when_the_container_does_not_boot_then_it_is_a_failed_result(
    house: House,
) -> None:
    house.tests.reports[Stage.BOOTED] = a_report(Stage.BOOTED, Outcome.PASSED)
    house.booter.fails = {"container"}
    with pytest.raises(ValidationFailed) as failure:
        house.validating.validate(EXAMINATION)
    (boot,) = failure.value.report.results
    assert (boot.name, boot.outcome) == ("boot in a container", Outcome.FAILED)


def test_validate_when_the_test_folder_is_empty_then_it_is_refused(house: House) -> None:
    house.tests.reports.clear()
    with pytest.raises(TestsUnusable):
        house.validating.validate(EXAMINATION)


def test_validate_when_a_component_test_raises_then_the_machine_is_ended(house: House) -> None:
    def component_tests(_machine: Machine) -> tuple[TestResult, ...]:
        raise MachineLost("container", "gone")

    with pytest.raises(MachineLost):
        house.validating.validate(replace(EXAMINATION, component_tests=component_tests))
    assert house.booter.ended == ["container"]
    assert house.progress.steps[-1][:2] == ("test booted in a container", "failed")


def test_validate_when_it_goes_well_then_steps_tell_counts_and_time_to_login(house: House) -> None:
    house.tests.reports[Stage.OFFLINE] = a_report(Stage.OFFLINE, Outcome.PASSED, Outcome.SKIPPED)
    house.validating.validate(EXAMINATION)
    assert house.progress.steps == [
        ("test files at rest", "succeeded", "1 passed, 1 skipped"),
        (
            "boot through bios to a login",
            "succeeded",
            "1 passed, login after 30 s under tcg",
        ),
    ]
    assert "Linux version 6" in house.progress.lines
