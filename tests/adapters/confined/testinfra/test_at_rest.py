"""At rest nothing runs: what asks for it is an error, whatever a program in the image answers."""

from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite, SuiteLimits
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.evidence import Outcome, Stage, TestResult
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import SuiteEntry, TestSuite
from imagebuilder.ports.machine import Script
from tests.fakes.machine import Answer, FakeMachine

pytestmark = pytest.mark.root

LIMITS = SuiteLimits(suite_seconds=60.0, test_seconds=20.0)


def results(
    tmp_path: Path,
    text: str,
    machine: FakeMachine,
    stage: Stage = Stage.OFFLINE,
    firmware: Firmware | None = None,
) -> tuple[TestResult, ...]:
    folder = tmp_path / "web"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(text)
    suite = ConfinedSuite(
        SystemCommandRunner(SystemClock()), partial(working_folder, tmp_path / "w"), limits=LIMITS
    )
    given = TestSuite(entries=(SuiteEntry(path=folder),), firmware=firmware)
    report = suite.run(given, stage, machine, None).report
    assert report.crash == ""
    return report.results


def an_image(script: Script) -> Answer:
    """Say yes to everything, as systemctl in a chroot does; but nothing shows that it runs."""
    is_sign = "/run/systemd/system" in script.text
    return Answer(exit_status=1 if is_sign else 0, stdout=_said(script))


def a_running_system(script: Script) -> Answer:
    return Answer(stdout=_said(script))


def _said(script: Script) -> bytes:
    return b"Linux\n" if "uname" in script.text else b"systemd\n"


QUESTIONS = """
import pytest
def test_running(host):
    try: assert host.service("ssh").is_running
    except Exception: pass
def test_not_running(host): assert not host.service("ssh").is_running
@pytest.mark.parametrize("name", ["process", "socket", "sysctl", "interface", "mount_point"])
def test_module(host, name): getattr(host, name)
"""


def test_run_at_rest_when_a_test_asks_what_runs_then_it_fails_whatever_the_image_says(
    tmp_path: Path,
) -> None:
    found = results(tmp_path, QUESTIONS, FakeMachine(an_image))
    assert [result.outcome for result in found] == [Outcome.FAILED] * 7
    assert all("Nothing runs at rest" in result.detail for result in found)
    assert "service('ssh').is_running" in found[0].detail


def test_run_where_the_system_runs_then_the_questions_are_answered(tmp_path: Path) -> None:
    text = 'def test_it(host):\n    assert host.service("ssh").is_running\n'
    (result,) = results(tmp_path, text, FakeMachine(a_running_system))
    assert result.outcome is Outcome.PASSED, result.detail


@pytest.mark.parametrize(
    "said",
    [
        b"Running in chroot, ignoring command 'is-active'\n",
        b"System has not been booted with systemd as init system (PID 1). Can't operate.\n",
    ],
)
def test_run_when_systemctl_says_that_nothing_runs_then_its_exit_status_is_no_answer(
    tmp_path: Path, said: bytes
) -> None:
    machine = FakeMachine(lambda _s: Answer(stderr=said))
    text = "def test_it(host): assert host.run('systemctl is-active x').rc == 0\n"
    (result,) = results(tmp_path, text, machine)
    assert result.outcome is Outcome.FAILED
    assert "mark it booted or machine (systemctl is-active x)" in result.detail


FIRMWARE = """
import pytest
@pytest.mark.machine
def test_known(firmware): assert firmware == "uefi"
@pytest.mark.firmware("uefi")
def test_uefi(host): pass
@pytest.mark.firmware("bios")
def test_bios(host): assert 0
def test_rest(firmware): pass
"""


def test_run_on_a_machine_then_tests_know_its_firmware_and_those_for_another_are_skipped(
    tmp_path: Path,
) -> None:
    found = results(tmp_path, FIRMWARE, FakeMachine(), Stage.MACHINE, Firmware.UEFI)
    known, uefi, bios = found
    assert (known.outcome, uefi.outcome) == (Outcome.PASSED, Outcome.PASSED)
    assert bios.outcome is Outcome.SKIPPED
    assert "started with uefi" in bios.detail


def test_run_at_rest_when_a_test_asks_for_firmware_then_it_fails(tmp_path: Path) -> None:
    (result,) = results(tmp_path, FIRMWARE, FakeMachine())
    assert result.outcome is Outcome.ERROR
    assert "Only a machine has firmware" in result.detail
