"""Locks that are files, between processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagebuilder.adapters.system.locks import FileLocks
from imagebuilder.ports.locks import InProgress
from tests.architecture.house import ROOT

_HOLDER = """
import sys
from pathlib import Path
from imagebuilder.adapters.system.locks import FileLocks
with FileLocks(Path(sys.argv[1])).hold("image web", "process 7"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_hold_when_it_is_free_then_it_is_held_until_the_end(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path / "new/folder")
    assert not locks.is_held("image web")
    with locks.hold("image web", "process 7"):
        assert locks.is_held("image web")
        assert not locks.is_held("image base")
    assert not locks.is_held("image web")


def test_hold_when_it_ends_with_an_error_then_it_is_free(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    with pytest.raises(KeyboardInterrupt), locks.hold("a", "x"):
        raise KeyboardInterrupt
    assert not locks.is_held("a")


def test_hold_when_it_is_held_here_already_then_says_by_whom(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    with locks.hold("image web", "a long name of process 7"):
        pass
    with (
        locks.hold("image web", "process 8"),
        pytest.raises(InProgress) as busy,
        locks.hold("image web", "process 9"),
    ):
        pass
    assert busy.value.message == "Image web is already being worked on."
    assert busy.value.context == "By process 8."


def test_is_held_when_asked_then_takes_nothing_away(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    with locks.hold("a", "x"):
        assert locks.is_held("a")
        assert locks.is_held("a")
    with locks.hold("a", "y"):
        pass


def test_lock_when_its_holder_is_killed_then_is_free_at_once(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    argv = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert locks.is_held("image web")
        with (
            pytest.raises(InProgress, match="already being worked on"),
            locks.hold("image web", "x"),
        ):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert not locks.is_held("image web")
    with locks.hold("image web", "process 8"):
        pass
