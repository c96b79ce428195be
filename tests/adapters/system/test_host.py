"""The facts of the machine the tests run on, and of one that cannot do a thing."""

import os
from pathlib import Path

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.host import SystemHost
from imagebuilder.adapters.system.process import SystemCommandRunner
from tests.fakes.process import FakeCommandRunner, a_result


@pytest.fixture
def host() -> SystemHost:
    """Give this machine."""
    return SystemHost(SystemCommandRunner(SystemClock()))


def test_has_program_finds_what_is_there_and_only_that(host: SystemHost) -> None:
    assert host.has_program("sh")
    assert not host.has_program("no-such-program-here")


def test_has_file_finds_files_and_not_folders(host: SystemHost, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert host.has_file(tmp_path / "file")
    assert not host.has_file(tmp_path)


def test_is_root_is_true_for_root_only(host: SystemHost) -> None:
    assert host.is_root() == (os.geteuid() == 0)


def test_free_bytes_of_a_folder_that_is_not_made_yet_is_that_of_its_place(
    host: SystemHost, tmp_path: Path
) -> None:
    statistics = os.statvfs(tmp_path)

    free = host.free_bytes(tmp_path / "not/yet")

    assert 0 < free <= statistics.f_blocks * statistics.f_frsize


def test_why_no_overlay_when_mounting_fails_then_gives_what_was_said(tmp_path: Path) -> None:
    runner = FakeCommandRunner({"unshare": a_result(32, stderr=b"unknown filesystem type\n")})

    assert SystemHost(runner).why_no_overlay(tmp_path) == "unknown filesystem type"


def test_why_no_overlay_leaves_nothing_behind(tmp_path: Path) -> None:
    SystemHost(FakeCommandRunner({"unshare": a_result()})).why_no_overlay(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_why_no_user_namespace_when_the_program_is_missing_then_says_so() -> None:
    reason = SystemHost(FakeCommandRunner()).why_no_user_namespace()

    assert reason == "The program unshare is not installed on this machine."


@pytest.mark.root
def test_why_no_overlay_as_root_tries_a_real_mount_that_is_gone_afterwards(
    host: SystemHost, tmp_path: Path
) -> None:
    before = Path("/proc/self/mounts").read_text()

    host.why_no_overlay(tmp_path)

    assert Path("/proc/self/mounts").read_text() == before
    assert list(tmp_path.iterdir()) == []
