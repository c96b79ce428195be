"""A lock that many share: who wants it alone is told of all, and the killed count no more."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from imagebuilder.adapters.system.locks import FileLocks
from imagebuilder.ports.locks import InProgress

_SPAWN = multiprocessing.get_context("spawn")


def hold_until_killed(folder: Path, who: str, told: Connection) -> None:
    with FileLocks(folder).share("store", who):
        told.send("held")
        signal.pause()


def test_share_when_others_share_it_too_holds_at_once(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)

    with locks.share("store", "one"), locks.share("store", "two"), pytest.raises(InProgress) as no:
        locks.hold("store", "alone").__enter__()

    assert no.value.who == "one, two"


def test_hold_when_nobody_shares_it_any_more_is_had(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    with locks.share("store", "one"):
        pass

    with locks.hold("store", "alone"):
        assert list((tmp_path / "store.shared").iterdir()) == []


def test_hold_when_a_sharer_was_killed_is_had_and_its_name_gone(tmp_path: Path) -> None:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=hold_until_killed, args=(tmp_path, "a build", theirs))
    process.start()
    assert ours.recv() == "held"
    locks = FileLocks(tmp_path)
    with pytest.raises(InProgress) as busy:
        locks.hold("store", "alone").__enter__()

    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()

    assert busy.value.who == "a build"
    with locks.hold("store", "alone"):
        assert list((tmp_path / "store.shared").iterdir()) == []
