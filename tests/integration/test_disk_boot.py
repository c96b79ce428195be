"""Disks boot: a real Debian root, made into a disk anew, then followed, through both firmwares."""

import shutil
import time
from pathlib import Path

import pytest

from imagebuilder.domain.disk import esp_uuid, fstab, grub_config, root_uuid
from imagebuilder.domain.recipe import ArtifactFormat, Firmware
from imagebuilder.domain.units import GIB
from imagebuilder.ports.disks import Predecessor
from imagebuilder.ports.process import Command, RunningProcess
from tests.disks import a_request, commands, local_disks, output_of, tree_of

pytestmark = [
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.qemu,
    pytest.mark.timeout(1200),
]

PACKAGES = "linux-image-cloud-amd64,systemd-sysv,udev,initramfs-tools,zstd"
FIRMWARE = (Firmware.BIOS, Firmware.UEFI)
UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
LOGIN_SECONDS = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debian") / "root"
    argv = ("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder))
    commands().check(Command(argv=argv, timeout_seconds=600))
    (folder / "etc/hostname").write_text("booted\n")
    (kernel,) = (folder / "lib/modules").iterdir()
    (folder / "boot/grub").mkdir()
    (folder / "boot/grub/grub.cfg").write_text(
        grub_config(kernel_release=kernel.name, root_uuid=root_uuid("web"))
    )
    (folder / "etc/fstab").write_text(fstab(root_uuid("web"), esp_uuid("web")))
    return folder


@pytest.fixture(scope="module")
def image(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A qcow2 file of the disk that follows a first one."""
    folder = tmp_path_factory.mktemp("disks")
    disks = local_disks(folder)
    tree = tree_of(root)
    with disks.assemble(a_request(root, tree=tree, size_bytes=3 * GIB, firmware=FIRMWARE)) as first:
        artifact = shutil.move(disks.package(first, root, ArtifactFormat.QCOW2), folder / "1.qcow2")
        disks.remember("web", first)
    (root / "etc/issue").write_text("the second disk \\n\n")
    before = Predecessor(disk_digest=first.digest, tree=tree, artifact=Path(artifact))
    following = a_request(root, predecessor=before, size_bytes=3 * GIB, firmware=FIRMWARE)
    with disks.assemble(following) as second:
        assert second.anew_because == ""
        made = disks.package(second, root, ArtifactFormat.QCOW2)
        return str(shutil.move(str(made), folder / "2.qcow2"))


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_disk_that_follows_boots_to_its_login_prompt(
    image: str, firmware: Firmware, tmp_path: Path
) -> None:
    console = tmp_path / "console"
    argv = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
        *("-m", "1024", "-machine", "q35", "-display", "none", "-no-reboot", "-nic", "none"),
        *("-serial", f"file:{console}"),
        *("-drive", f"file={image},if=virtio,format=qcow2,snapshot=on,cache=unsafe"),
    ]
    if firmware is Firmware.UEFI:
        variables = shutil.copy(UEFI_VARIABLES, tmp_path / "variables")
        argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={UEFI_CODE}"]
        argv += ["-drive", f"if=pflash,format=raw,file={variables}"]

    with commands().start(Command(argv=argv, timeout_seconds=LOGIN_SECONDS)) as machine:
        said = said_until(console, b"booted login:", machine)

    assert b"the second disk booted" in said
    assert b"booted login:" in said
    assert b"EXT4-fs error" not in said


def said_until(console: Path, words: bytes, machine: RunningProcess) -> bytes:
    deadline = time.monotonic() + LOGIN_SECONDS
    said = b""
    while words not in said and time.monotonic() < deadline and machine.poll() is None:
        time.sleep(0.2)
        said = console.read_bytes() if console.exists() else b""
    return said


def test_artifacts_of_a_disk_that_boots_stand_alone(image: str) -> None:
    info = output_of("qemu-img", "info", image)

    assert "backing" not in info
    assert "zstd" in info
