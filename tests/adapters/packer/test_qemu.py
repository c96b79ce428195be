"""Machines on this machine: whatever ends their build, none is left running."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.packer.template import LocalHardware
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.live_builds import LiveBuildTimedOut, LiveOrder
from tests.packers import Bench, a_source, an_order, limited, no_work, packer_bench
from tests.roots import CHECKOUT, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300)]

BOOTED = "Waiting for SSH to become available"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with packer_bench() as bench:
        yield bench


@pytest.fixture
def order(tmp_path: Path) -> LiveOrder:
    return order_of(tmp_path)


def order_of(folder: Path) -> LiveOrder:
    """Give the order of a machine that finds nothing on its disk, and so lets nobody in."""
    disk = folder / "empty.qcow2"
    if not disk.exists():
        create = ["qemu-img", "create", "-f", "qcow2", str(disk), "16M"]
        subprocess.run(create, check=True, capture_output=True)
    source = a_source("qemu", "box", memory=64, ssh_password="env:OF_A_TEST")  # noqa: S106, RUF100 - a reference
    return replace(an_order(source), disk=disk)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_A_TEST", "nobody-asks")


def hardware(order: LiveOrder, _folder: Path) -> LocalHardware:
    return LocalHardware(accelerator="tcg", disk=order.disk)


def processes(bench: Bench, name: str) -> list[int]:
    """Give the processes of that name that were started for a bench."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = str(bench.work).encode() in (entry / "environ").read_bytes()
            if is_ours and (entry / "comm").read_text().startswith(name):
                found.append(int(entry.name))
    return found


def machines(bench: Bench) -> list[int]:
    return processes(bench, "qemu-system")


def test_built_when_it_is_cancelled_then_no_machine_and_no_file_is_left(
    bench: Bench, order: LiveOrder
) -> None:
    seen: list[list[int]] = []

    def cancelled(line: str) -> None:
        if BOOTED in line:
            seen.append(machines(bench))
            raise RunInterrupted

    with pytest.raises(RunInterrupted), bench.builder(hardware).built(order, no_work, cancelled):
        pass

    assert seen[0] != []
    assert (machines(bench), bench.left) == ([], [])


def test_built_when_it_takes_too_long_then_no_machine_and_no_file_is_left(
    bench: Bench, order: LiveOrder
) -> None:
    with (
        pytest.raises(LiveBuildTimedOut),
        bench.builder(hardware).built(limited(order, 2.0), no_work, bench.said.append),
    ):
        pass

    assert (machines(bench), bench.left) == ([], [])


_BUILD = """
import sys
from pathlib import Path
from tests.adapters.packer.test_qemu import BOOTED, hardware, order_of
from tests.packers import Bench, no_work

work, folder = Path(sys.argv[1]), Path(sys.argv[2])

def told(line):
    if BOOTED in line:
        (work / "booted").touch()

with Bench(work).builder(hardware).built(order_of(folder), no_work, told):
    pass
"""


@contextmanager
def started(bench: Bench, folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Give another process that builds, once its machine has started."""
    argv = [sys.executable, "-c", _BUILD, str(bench.work), str(folder)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as ours:
        try:
            wait_until((bench.work / "booted").exists, "the machine to start")
            yield ours
        finally:
            ours.kill()


def test_built_when_we_are_killed_then_packer_ends_the_machine_by_itself(
    bench: Bench, tmp_path: Path
) -> None:
    with started(bench, tmp_path) as ours:
        assert machines(bench) != []
        ours.kill()

    wait_until(lambda: machines(bench) == [], "the end of the machine")


def test_take_away_when_packer_was_killed_with_us_then_the_machine_is_ended(
    bench: Bench, tmp_path: Path
) -> None:
    with started(bench, tmp_path) as ours:
        ours.send_signal(signal.SIGSTOP)
        for pid in processes(bench, "packer"):
            os.kill(pid, signal.SIGKILL)
        ours.kill()

    taken = bench.traces.take_away()

    wait_until(lambda: machines(bench) == [], "the end of the machine")
    assert "qemu-system" in taken[0]
    assert taken[0].endswith("was ended")
    assert list((bench.work / "traces").iterdir()) == []
