"""A real Debian, booted in a container and through both kinds of firmware."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite
from imagebuilder.adapters.local.acceleration import Acceleration
from imagebuilder.adapters.local.booting import LocalBooter
from imagebuilder.adapters.local.container import Containers
from imagebuilder.adapters.local.containment import MOST_PROCESSES
from imagebuilder.adapters.local.manifest import scan
from imagebuilder.adapters.local.qemu import BootLimits, VirtualMachines
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.openscap.scanner import OpenScapScanner
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.control import ControlOutcome, ScanFailed
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.disk import esp_uuid, fstab, grub_config, root_uuid
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.recipe import ArtifactFormat, Firmware
from imagebuilder.domain.units import GIB
from imagebuilder.ports.disks import Predecessor
from imagebuilder.ports.inspection import BootFailed, SuiteEntry, TestSuite
from imagebuilder.ports.machine import Machine, MachineLost, Script
from imagebuilder.ports.process import OutputFile
from imagebuilder.ports.scanning import Scanned, ScanRequest
from tests.disks import a_request, local_disks, output_of, tree_of
from tests.roots import wait_until
from tests.scap import data_stream

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(900)]

RUNNER = SystemCommandRunner(SystemClock())
PACKAGES = (
    "linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,udev,dbus,openssh-server,iproute2"
)
NETWORK = "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"
TESTS = """
import pytest
def test_kernel(host):
    assert host.package("linux-image-cloud-amd64").is_installed
@pytest.mark.booted
def test_service(host):
    assert host.service("systemd-journald").is_running
    assert not host.service("ssh.socket").is_running
@pytest.mark.machine
def test_mounted(host):
    assert host.mount_point("/").filesystem == "ext4"
    assert host.service("ssh").is_running
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("system") / "root"
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)],
        check=True,
        timeout=600,
    )
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    release = kernel.name.removeprefix("vmlinuz-")
    (root / "boot/grub").mkdir()
    (root / "boot/grub/grub.cfg").write_text(
        grub_config(kernel_release=release, root_uuid=root_uuid("web"))
    )
    (root / "etc/fstab").write_text(fstab(root_uuid("web"), esp_uuid("web")))
    (root / "etc/systemd/network/80-any.network").write_text(NETWORK)
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("booted\n")
    subprocess.run(
        ["systemctl", f"--root={root}", "enable", "systemd-networkd"], check=True, timeout=60
    )
    return root


@dataclass(frozen=True)
class Made:
    """A disk: raw, and packed as it is handed out."""

    raw: Path
    qcow2: Path


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Give a disk that follows a first one. One made anew is booted by the test of the main job."""
    folder = tmp_path_factory.mktemp("disk")
    disks, tree = local_disks(folder), tree_of(root)
    layout: dict[str, Any] = {"size_bytes": 2 * GIB, "firmware": tuple(Firmware)}
    with disks.assemble(a_request(root, tree=tree, **layout)) as first:
        artifact = shutil.move(disks.package(first, root, ArtifactFormat.QCOW2), folder / "1.qcow2")
        disks.remember("web", first)
    (root / "etc/issue").write_text("the second disk \\n\n")
    before = Predecessor(disk_digest=first.digest, tree=tree, artifact=Path(artifact))
    with disks.assemble(a_request(root, predecessor=before, **layout)) as second:
        assert second.anew_because == ""
        packed = disks.package(second, root, ArtifactFormat.QCOW2)
        yield Made(raw=Path(second.raw), qcow2=Path(packed))


@pytest.fixture
def disk(made: Made) -> Path:
    return made.raw


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    return Containers(RUNNER, SystemClock(), tmp_path / "work")


@pytest.fixture
def machines(tmp_path: Path) -> VirtualMachines:
    return _machines(tmp_path)


def _machines(folder: Path, limits: BootLimits | None = None) -> VirtualMachines:
    acceleration = Acceleration(RUNNER, folder / "acceleration.json")
    return VirtualMachines(RUNNER, SystemClock(), acceleration, folder / "w", limits=limits)


@pytest.fixture
def tests_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_system.py").write_text(TESTS)
    return folder


def said(machine: Machine, text: str) -> str:
    result = machine.run(Script(text=text, timeout_seconds=120))
    assert result.exit_status == 0, result.last_lines
    return result.stdout.decode().strip()


def is_restarted(machine: Machine) -> None:
    """Restart a machine and see that it did, and lost nothing by it."""
    asked = "cat /proc/sys/kernel/random/boot_id"
    before = said(machine, f"echo kept > /etc/kept; sync; {asked}")
    machine.restart(0.2)
    assert said(machine, asked) != before
    assert said(machine, "cat /etc/kept") == "kept"


def refused(machine: Machine, text: str) -> bool:
    return machine.run(Script(text=text, timeout_seconds=60)).exit_status != 0


def digest_of_file(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def traces(mark: str) -> list[str]:
    """Give what is left of a boot whose folder has mark in its name."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if mark in line]
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in text and str(os.getpid()) != cmdline.parent.name:
            found.append(text)
    return found


def kill_in_the_middle(
    context: Callable[[], AbstractContextManager[object]], mark: str, is_reached: Callable[[], bool]
) -> None:
    """Enter a context in a process of its own, and kill that with no chance to clean up."""
    child = os.fork()
    if child == 0:
        try:
            with context():
                signal.pause()
        finally:
            os._exit(1)
    try:
        wait_until(is_reached, seconds=120)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    wait_until(lambda: traces(mark) == [])


def groups() -> set[Path]:
    return {p for p in Path("/sys/fs/cgroup").glob("**/imagebuilder-*") if p.is_dir()}


class TestContainer:
    def test_boot_when_a_script_forks_without_end_then_others_run_and_this_machine_stands(
        self, containers: Containers, root: Path
    ) -> None:
        forking = (
            f"n=0; while [ $n -lt {2 * MOST_PROCESSES} ]; do "
            "sleep 60 >/dev/null 2>&1 & n=$((n+1)); done; echo none"
        )
        memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
        with containers.boot(root) as machine:
            forked = machine.run(Script(text=forking, timeout_seconds=60))
            assert forked.exit_status != 0
            assert b"fork" in forked.stderr
            # Those it left are killed; its init takes a moment to let go of all of them.
            wait_until(lambda: not refused(machine, "true"), "room for another process")
            assert said(machine, "echo well") == "well"
            # What is written is in memory, and of that a part.
            assert int(said(machine, "df --output=size / | tail -n 1")) <= memory_kib // 4 + 1024

    def test_boot_then_services_run_and_tests_see_them(
        self, containers: Containers, root: Path, tests_folder: Path, tmp_path: Path
    ) -> None:
        with containers.boot(root) as machine:
            assert said(machine, "systemctl is-system-running || true") in {"running", "degraded"}
            suite = ConfinedSuite(RUNNER, partial(working_folder, tmp_path / "suite"))
            report = suite.run(
                TestSuite(entries=(SuiteEntry(path=tests_folder),)), Stage.BOOTED, machine, None
            ).report
        assert [(r.name, str(r.outcome)) for r in report.results] == [
            ("tests/test_system.py::test_service", "passed")
        ]

    def test_boot_then_the_root_it_was_given_is_not_changed(
        self, containers: Containers, root: Path
    ) -> None:
        before = scan(root)
        with containers.boot(root) as machine:
            said(machine, "rm /etc/hostname; echo x > /etc/new; chown daemon /etc/passwd; sync")
        assert scan(root) == before

    def test_restart_then_it_is_another_boot_of_what_was_there(
        self, containers: Containers, root: Path
    ) -> None:
        with containers.boot(root) as machine:
            is_restarted(machine)

    def test_boot_then_root_inside_can_do_nothing_outside(
        self, containers: Containers, root: Path
    ) -> None:
        before = Path("/proc/sys/kernel/core_pattern").read_text()
        with containers.boot(root) as machine:
            assert refused(machine, "mknod /tmp/disk b 254 0")
            assert refused(machine, "mount -t devtmpfs none /mnt")
            assert refused(
                machine,
                "mount -o remount,rw /proc/sys; echo pwned > /proc/sys/kernel/core_pattern",
            )
            assert refused(machine, f"kill -0 {os.getpid()}")
            assert said(machine, "ls /sys/class/net") == "lo"
            assert said(machine, "cat /proc/self/uid_map").split()[1] != "0"
        assert Path("/proc/sys/kernel/core_pattern").read_text() == before

    def test_boot_then_scripts_get_input_and_environment_and_a_time_limit(
        self, containers: Containers, root: Path
    ) -> None:
        with containers.boot(root) as machine:
            script = Script(
                text="cat; echo $WORD; exit 3", stdin=b"in ", environment={"WORD": "a'b c"}
            )
            result = machine.run(script)
            assert (result.exit_status, result.stdout) == (3, b"in a'b c\n")
            assert machine.run(Script(text="sleep 99", timeout_seconds=0.5)).has_timed_out

    def test_boot_then_files_are_streamed_in_and_out(
        self, containers: Containers, root: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "in").write_bytes(b"x" * 300_000)
        target = OutputFile(path=tmp_path / "out", limit_bytes=200_000)
        with containers.boot(root) as machine:
            script = Script(text="cat", stdin_file=tmp_path / "in", stdout_file=target)
            result = machine.run(script)
        assert (result.exit_status, result.dropped_bytes) == (0, 100_000)
        assert (tmp_path / "out").stat().st_size == 200_000

    def test_boot_of_two_at_once_then_both_come_up(
        self, containers: Containers, root: Path
    ) -> None:
        with containers.boot(root) as one, containers.boot(root) as other:
            said(one, "systemctl stop ssh && ! systemctl is-active ssh")
            assert said(other, "systemctl is-active ssh") == "active"

    def test_boot_when_the_container_switches_itself_off_then_the_machine_is_lost(
        self, containers: Containers, root: Path
    ) -> None:
        script = Script(text="systemctl poweroff --force --force; sleep 60")
        with containers.boot(root) as machine, pytest.raises(MachineLost) as loss:
            machine.run(script)
        assert "multi-user" in loss.value.context

    def test_boot_when_it_has_ended_then_nothing_is_left(
        self, containers: Containers, root: Path, tmp_path: Path
    ) -> None:
        before = groups()
        with containers.boot(root):
            assert traces(tmp_path.name)
        assert traces(tmp_path.name) == []
        assert groups() == before
        assert list((tmp_path / "work").iterdir()) == []

    def test_boot_when_we_are_killed_then_only_empty_groups_stay_until_the_next(
        self, root: Path, tmp_path: Path
    ) -> None:
        before = groups()
        work = tmp_path / f"killed-{os.getpid()}"
        containers = Containers(RUNNER, SystemClock(), work)
        kill_in_the_middle(
            lambda: containers.boot(root), work.name, lambda: bool(traces(work.name))
        )
        with containers.boot(root):
            pass
        assert groups() == before


@pytest.mark.qemu
class TestMachine:
    @pytest.mark.parametrize("firmware", list(Firmware))
    def test_boot_through_firmware_then_root_can_log_in_and_tests_run(
        self,
        machines: VirtualMachines,
        disk: Path,
        firmware: Firmware,
        tests_folder: Path,
        tmp_path: Path,
    ) -> None:
        before = digest_of_file(disk)
        booter = LocalBooter(Containers(RUNNER, SystemClock(), tmp_path / "w"), machines)
        lines: list[str] = []
        console = tmp_path / "console.log"
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            booter.machine(disk, firmware, console, lines.append) as booted,
        ):
            machine = booted.machine
            port = listener.getsockname()[1]
            assert (
                said(machine, "test -d /sys/firmware/efi && echo uefi || echo bios")
            ) == firmware
            assert refused(machine, f"timeout 5 bash -c '</dev/tcp/10.0.2.2/{port}'")
            script = Script(
                text="cat; echo $WORD; exit 3", stdin=b"in ", environment={"WORD": "a'b c"}
            )
            result = machine.run(script)
            assert (result.exit_status, result.stdout) == (3, b"in a'b c\n")
            assert machine.run(Script(text="sleep 98", timeout_seconds=1)).has_timed_out
            assert refused(machine, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep 'slee[p] 98'")
            suite = ConfinedSuite(RUNNER, partial(working_folder, tmp_path / "suite"))
            report = suite.run(
                TestSuite(entries=(SuiteEntry(path=tests_folder),)), Stage.MACHINE, machine, None
            ).report
            assert [r.outcome for r in report.results] == ["passed"], report
            with pytest.raises(MachineLost):
                machine.run(Script(text="systemctl poweroff --force --force", timeout_seconds=60))
        assert any("Linux version" in line for line in lines)
        shown = console.read_text(errors="replace")
        assert "the second disk booted" in shown
        assert "booted login:" in shown
        assert "EXT4-fs error" not in shown
        assert digest_of_file(disk) == before
        assert traces(tmp_path.name) == []
        assert list((tmp_path / "w").iterdir()) == []

    def test_restart_then_it_is_another_boot_of_what_was_there(
        self, machines: VirtualMachines, disk: Path, tmp_path: Path
    ) -> None:
        console = tmp_path / "console.log"
        with machines.boot(disk, Firmware.BIOS, console, None) as booted:
            is_restarted(booted.machine)
        assert console.read_bytes().count(b"Linux version") == 2
        assert traces(tmp_path.name) == []

    def test_boot_when_there_is_nothing_to_boot_then_it_fails_with_the_console(
        self, tmp_path: Path
    ) -> None:
        empty = tmp_path / "empty.raw"
        empty.touch()
        os.truncate(empty, 1 << 20)
        machines = _machines(tmp_path, BootLimits(login_seconds=4.0))
        with (
            pytest.raises(BootFailed, match=r"through BIOS under .* within 4 s"),
            machines.boot(empty, Firmware.BIOS, tmp_path / "console.log", None),
        ):
            pytest.fail("it came up")
        assert traces(tmp_path.name) == []

    def test_boot_when_we_are_killed_then_no_machine_stays(
        self, disk: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / f"killed-{os.getpid()}"
        console = folder / "console.log"
        machines = _machines(folder)
        kill_in_the_middle(
            lambda: machines.boot(disk, Firmware.BIOS, console, None),
            folder.name,
            lambda: console.exists() and console.stat().st_size > 0,
        )


def test_artifact_of_a_disk_that_boots_then_stands_alone_and_holds_the_same(made: Made) -> None:
    info = output_of("qemu-img", "info", made.qcow2)

    assert "backing" not in info
    assert "zstd" in info
    assert "identical" in output_of("qemu-img", "compare", made.qcow2, made.raw)


def scanned(machine: Machine, folder: Path) -> Scanned:
    """Scan a booted machine for the words that its files should hold."""
    content = folder / "content.xml"
    content.write_text(data_stream(platforms=()))
    scanner = OpenScapScanner(RUNNER, partial(working_folder, folder / "work"))
    pack = scanner.describe(content, Digest.of_bytes(content.read_bytes()))
    asked = Compliance(profile="cis_words", variables={"word": "mine"}, is_booted=True)
    return scanner.scan_booted(machine, ScanRequest(compliance=asked, pack=pack, file=content))


def test_container_when_scanned_then_the_engine_sees_what_runs_and_leaves_nothing(
    root: Path, containers: Containers, tmp_path: Path
) -> None:
    with containers.boot(root) as machine:
        machine.run(Script(text="echo word=mine > /run/word; ln -s /run/word /etc/word"))
        found = scanned(machine, tmp_path)
        left = machine.run(Script(text="ls -d /run/imagebuilder-scan"))

    outcomes = {result.rule: result.outcome for result in found.results}
    assert outcomes == {"has_word": ControlOutcome.PASS, "has_other": ControlOutcome.FAIL}
    assert found.tailoring is not None
    assert found.raw
    assert left.exit_status != 0


def test_container_when_the_image_gives_no_tar_or_a_forged_result_then_nothing_is_known(
    root: Path, containers: Containers, tmp_path: Path
) -> None:
    with containers.boot(root) as machine:
        machine.run(Script(text="printf '#!/bin/sh\\ncat > arf.xml; exit 2' > /usr/bin/tar"))
        with pytest.raises(ScanFailed):
            scanned(machine, tmp_path)
        machine.run(Script(text="rm /usr/bin/tar"))
        with pytest.raises(ScanFailed, match="exit status 127"):
            scanned(machine, tmp_path)
