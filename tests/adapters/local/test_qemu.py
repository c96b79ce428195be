"""Virtual machines: their hardware as arguments, and boots that do not go well."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from imagebuilder.adapters.local.acceleration import Acceleration, Accelerator
from imagebuilder.adapters.local.hardware import FirmwareMissing, Hardware, qemu_argv
from imagebuilder.adapters.local.qemu import BootLimits, VirtualMachines
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import BootFailed
from imagebuilder.ports.process import Command, CommandResult, RunningProcess
from tests.fakes.clock import FakeClock
from tests.fakes.process import FakeCommandRunner, a_result

KEY = "ssh-ed25519 AAAA test\n"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "disk.qcow2"
    file.write_bytes(b"QFI\xfb" + bytes(508))
    return file


def hardware(disk: Path, **changes: object) -> Hardware:
    values = {
        "disk": disk,
        "firmware": Firmware.BIOS,
        "accelerator": Accelerator.TCG,
        "public_key": KEY,
        "forwards": ((2222, 22),),
        "serial": "stdio",
        **changes,
    }
    return Hardware(**values)  # type: ignore[arg-type]


def option(argv: list[str], name: str) -> list[str]:
    return [value for key, value in pairwise(argv) if key == name]


def test_argv_then_the_guest_is_cut_off_but_for_its_forwards(disk: Path) -> None:
    argv = qemu_argv(hardware(disk, forwards=((2222, 22), (8080, 80))))
    assert option(argv, "-netdev") == [
        "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80"
    ]


def test_argv_then_the_disk_forgets_what_is_written(disk: Path) -> None:
    (drive,) = option(qemu_argv(hardware(disk)), "-drive")
    assert "snapshot=on" in drive.split(",")
    assert "format=qcow2" in drive.split(",")


def test_argv_of_a_disk_that_only_claims_to_be_qcow2_then_it_is_raw(tmp_path: Path) -> None:
    file = tmp_path / "disk.qcow2"
    file.write_bytes(bytes(512))
    (drive,) = option(qemu_argv(hardware(file)), "-drive")
    assert "format=raw" in drive.split(",")


def test_argv_of_a_path_with_commas_then_it_is_escaped(tmp_path: Path) -> None:
    file = tmp_path / "a,readonly=on"
    file.write_bytes(bytes(512))
    (drive,) = option(qemu_argv(hardware(file)), "-drive")
    assert drive.startswith(f"file={tmp_path}/a,,readonly=on,format=raw")


def test_argv_then_the_key_is_handed_over_as_a_credential(disk: Path) -> None:
    (smbios,) = option(qemu_argv(hardware(disk)), "-smbios")
    prefix = "type=11,value=io.systemd.credential.binary:ssh.authorized_keys.root="
    assert smbios.startswith(prefix)
    assert base64.b64decode(smbios.removeprefix(prefix)).decode() == KEY


def test_argv_for_uefi_then_firmware_is_read_only_and_its_variables_are_forgotten(
    disk: Path, tmp_path: Path
) -> None:
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        (tmp_path / name).touch()
    code, variables, _ = option(
        qemu_argv(hardware(disk, firmware=Firmware.UEFI), tmp_path), "-drive"
    )
    assert "readonly=on" in code
    assert "snapshot=on" in variables


def test_argv_for_uefi_when_the_firmware_is_not_installed_then_it_says_so(
    disk: Path, tmp_path: Path
) -> None:
    with pytest.raises(FirmwareMissing, match=r"OVMF_CODE_4M\.fd"):
        qemu_argv(hardware(disk, firmware=Firmware.UEFI), tmp_path)


@dataclass(slots=True)
class FakeQemu(FakeCommandRunner):
    """A runner whose virtual machines end at once, or live without a word while time passes."""

    clock: FakeClock = field(default_factory=FakeClock)
    said: bytes = b""
    ends: bool = True
    accelerators: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        FakeCommandRunner.__init__(self, {"ssh-keygen": self._keygen})

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        (accelerator,) = option(list(command.argv), "-accel")
        self.accelerators.append(accelerator.split(",")[0])
        yield FakeGuest(self)

    def _keygen(self, command: Command) -> CommandResult:
        Path(f"{command.argv[-1]}.pub").write_text(KEY)
        return a_result(0)


@dataclass(slots=True)
class FakeGuest:
    """A guest that is looked at once a second."""

    qemu: FakeQemu
    pid: int = 1

    def poll(self) -> int | None:
        self.qemu.clock.advance(1.0)
        return 1 if self.qemu.ends else None

    def output(self) -> bytes:
        return self.qemu.said


def machines(qemu: FakeQemu, tmp_path: Path, verdict: Accelerator) -> VirtualMachines:
    device, boot_id = tmp_path / "kvm", tmp_path / "boot_id"
    device.touch()
    boot_id.write_text("one")
    state = tmp_path / "kvm.json"
    state.write_text(f'{{"boot_id": "one", "accelerator": "{verdict}"}}')
    return VirtualMachines(
        qemu,
        qemu.clock,
        Acceleration(qemu, state, device=device, boot_id=boot_id),
        tmp_path / "work",
        limits=BootLimits(login_seconds=20.0, life_seconds=5.0),
    )


def boot(qemu: FakeQemu, disk: Path, verdict: Accelerator) -> BootFailed:
    console = disk.parent / "console.log"
    with (
        pytest.raises(BootFailed) as failure,
        machines(qemu, disk.parent, verdict).boot(disk, Firmware.BIOS, console, None),
    ):
        pytest.fail("it came up")
    return failure.value


def test_boot_when_the_machine_ends_then_its_words_are_told(disk: Path) -> None:
    failure = boot(FakeQemu(said=b"qemu: no such thing"), disk, Accelerator.TCG)
    assert "qemu: no such thing" in failure.message


def test_boot_when_no_login_comes_then_it_fails_in_time(disk: Path) -> None:
    failure = boot(FakeQemu(ends=False), disk, Accelerator.TCG)
    assert failure.message == (
        "The image did not come up through BIOS under TCG within 20 s: "
        "no SSH login as root (no SSH server answered)."
    )


def test_boot_under_kvm_without_a_sign_of_life_then_it_is_emulated_and_kvm_distrusted(
    disk: Path,
) -> None:
    qemu = FakeQemu(ends=False)
    failure = boot(qemu, disk, Accelerator.KVM)
    assert qemu.accelerators == ["kvm", "tcg"]
    assert "under TCG" in failure.message
    assert '"tcg"' in (disk.parent / "kvm.json").read_text()


def test_boot_when_others_take_each_port_then_it_is_tried_three_times(disk: Path) -> None:
    qemu = FakeQemu(said=b"qemu: Could not set up host forwarding rule")
    failure = boot(qemu, disk, Accelerator.TCG)
    assert len(qemu.accelerators) == 3
    assert "no free port" in failure.message


def test_boot_when_it_failed_then_the_key_is_gone(disk: Path) -> None:
    boot(FakeQemu(), disk, Accelerator.TCG)
    assert list((disk.parent / "work").iterdir()) == []


def test_interactive_then_serial_is_the_terminal_and_the_key_lives_with_it(disk: Path) -> None:
    prepared = machines(FakeQemu(), disk.parent, Accelerator.TCG)
    with prepared.interactive(disk, Firmware.BIOS, ((8080, 80),), 2048) as found:
        argv = list(found.argv)
        assert option(argv, "-serial") == ["mon:stdio"]
        assert option(argv, "-m") == ["2048"]
        assert "127.0.0.1:8080-:80" in option(argv, "-netdev")[0]
        assert found.ssh_argv[-1] == "root@127.0.0.1"
        (key,) = map(Path, option(list(found.ssh_argv), "-i"))
        assert key.parent.is_dir()
    assert not key.parent.exists()
