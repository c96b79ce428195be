"""What several processes at once, and dead ones, mean for working folders."""

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from imagebuilder.adapters.local.workplace import short_folder, sweep, working_folder


def test_sweep_when_its_process_ended_before_it_locked_then_the_folder_is_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "build-abc").mkdir()
    (tmp_path / "build-abc/file").touch()

    sweep(tmp_path, "build-")

    assert list(tmp_path.iterdir()) == []


def test_sweep_when_there_is_no_such_place_then_does_nothing(tmp_path: Path) -> None:
    sweep(tmp_path / "work", "build-")

    assert list(tmp_path.iterdir()) == []


def test_sweep_leaves_folders_of_other_prefixes_and_of_the_living(tmp_path: Path) -> None:
    (tmp_path / "disk-abc").mkdir()
    with working_folder(tmp_path, "build-") as mine:
        sweep(tmp_path, "build-")

        assert {path.name for path in tmp_path.iterdir()} == {"disk-abc", mine.name}


def test_sweep_of_all_kinds_leaves_the_living_and_what_is_no_folder(tmp_path: Path) -> None:
    for name in ("ansible-abc", "transfer-abc", "imagebuilder-login-abc"):
        (tmp_path / name).mkdir()
    (tmp_path / "archive-1.tar").touch()
    with working_folder(tmp_path, "copy-") as mine:
        sweep(tmp_path)

        assert {path.name for path in tmp_path.iterdir()} == {"archive-1.tar", mine.name}


def test_working_folder_when_many_come_and_go_at_once_then_each_has_its_own(
    tmp_path: Path,
) -> None:
    failures: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(20):
                with working_folder(tmp_path, "layer-") as folder:
                    (folder / "file").write_text(folder.name)
                    assert (folder / "file").read_text() == folder.name
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [40, 55, 56, 63, 64, 100])
def test_short_folder_then_takes_the_socket_of_a_connection_however_long_the_parent(
    length: int,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        parent = Path(base) / ("p" * (length - len(base) - 1))
        with (
            short_folder(parent, "imagebuilder-boot-") as folder,
            socket.socket(socket.AF_UNIX) as listener,
        ):
            listener.bind(str(folder / "control.0123456789abcdef"))


_MOUNTED = """
import pathlib, subprocess, sys
from imagebuilder.adapters.local.workplace import working_folder
outside, place = map(pathlib.Path, sys.argv[1:])
def mount(*words): subprocess.run(["mount", *map(str, words)], check=True)
mount("--make-shared", "-t", "tmpfs", "tmpfs", outside)
(outside / "below").mkdir()
mount("-t", "tmpfs", "tmpfs", outside / "below")
for folder in (outside, outside / "below"):
    (folder / "kept").touch()
with working_folder(place, "build-") as folder:
    for name in ("bound twice", "new\\nline"):
        (folder / name).mkdir()
        mount("--rbind", outside, folder / name)
    mount("--rbind", outside, folder / "bound twice")
print(*sorted(str(p.relative_to(outside)) for p in outside.rglob("*")), *place.iterdir())
"""


@pytest.mark.root
def test_working_folder_when_something_is_mounted_below_then_nothing_of_that_is_removed(
    tmp_path: Path,
) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    outside.mkdir()
    argv = ["unshare", "--mount", sys.executable, "-c", _MOUNTED, str(outside), str(place)]

    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert (said.stdout, said.stderr) == ("below below/kept kept\n", "")
