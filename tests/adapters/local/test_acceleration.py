"""Whether KVM is believed: only when a guest was seen to end."""

import json
from pathlib import Path

import pytest

from imagebuilder.adapters.local.acceleration import BOOT_SECTOR, Acceleration, Accelerator
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.process import Command, CommandResult
from tests.fakes.process import FakeCommandRunner, a_result

QEMU = "qemu-system-x86_64"


def an_acceleration(
    tmp_path: Path, answer: CommandResult, *, boot_id: str = "one"
) -> tuple[Acceleration, FakeCommandRunner]:
    (tmp_path / "boot_id").write_text(f"{boot_id}\n")
    (tmp_path / "kvm").touch()
    runner = FakeCommandRunner({QEMU: answer})
    acceleration = Acceleration(
        runner,
        tmp_path / "state" / "kvm.json",
        device=tmp_path / "kvm",
        boot_id=tmp_path / "boot_id",
    )
    return acceleration, runner


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (a_result(33), Accelerator.KVM),
        (a_result(0), Accelerator.TCG),
        (a_result(1), Accelerator.TCG),
        (a_result(-6), Accelerator.TCG),
        (a_result(33, has_timed_out=True), Accelerator.TCG),
    ],
)
def test_verdict_of_a_probe_then_only_the_right_exit_is_believed(
    tmp_path: Path, answer: CommandResult, verdict: Accelerator
) -> None:
    acceleration, _ = an_acceleration(tmp_path, answer)
    assert acceleration.verdict() is verdict


def test_verdict_when_asked_again_then_it_is_remembered(tmp_path: Path) -> None:
    acceleration, runner = an_acceleration(tmp_path, a_result(33))
    acceleration.verdict()
    again, second = an_acceleration(tmp_path, a_result(0))
    assert again.verdict() is Accelerator.KVM
    assert (len(runner.commands), len(second.commands)) == (1, 0)


def test_verdict_after_a_restart_of_the_machine_then_it_is_found_out_again(tmp_path: Path) -> None:
    an_acceleration(tmp_path, a_result(33))[0].verdict()
    again, _ = an_acceleration(tmp_path, a_result(0), boot_id="two")
    assert again.verdict() is Accelerator.TCG


@pytest.mark.parametrize("memory", ["", "{", "[]", "{}", '{"boot_id": "one"}', '"x"'])
def test_verdict_when_the_memory_is_damaged_then_it_is_found_out_again(
    tmp_path: Path, memory: str
) -> None:
    acceleration, runner = an_acceleration(tmp_path, a_result(33))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kvm.json").write_text(memory)
    assert acceleration.verdict() is Accelerator.KVM
    assert len(runner.commands) == 1


def test_verdict_without_the_device_then_nothing_is_run(tmp_path: Path) -> None:
    acceleration, runner = an_acceleration(tmp_path, a_result(33))
    (tmp_path / "kvm").unlink()
    assert acceleration.verdict() is Accelerator.TCG
    assert runner.commands == []


def test_distrust_when_a_guest_did_not_live_then_emulation_is_used_from_now_on(
    tmp_path: Path,
) -> None:
    acceleration, _ = an_acceleration(tmp_path, a_result(33))
    acceleration.verdict()
    acceleration.distrust()
    assert acceleration.verdict() is Accelerator.TCG
    assert json.loads((tmp_path / "state" / "kvm.json").read_text())["accelerator"] == "tcg"


@pytest.mark.qemu
def test_sector_when_emulated_then_it_ends_its_machine_with_the_awaited_status(
    tmp_path: Path,
) -> None:
    image = tmp_path / "sector"
    image.write_bytes(BOOT_SECTOR)
    argv = (
        "qemu-system-x86_64 -nodefaults -accel tcg -m 16 -display none -no-reboot"
        " -device isa-debug-exit,iobase=0xf4,iosize=0x04"
        f" -drive file={image},format=raw,if=ide"
    )
    result = SystemCommandRunner(SystemClock()).run(Command(argv=argv.split(), timeout_seconds=20))
    assert (result.exit_status, len(BOOT_SECTOR)) == (33, 512)
