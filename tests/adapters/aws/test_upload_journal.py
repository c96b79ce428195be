"""The journal of an upload is believed as far as it is whole, and goes on from there."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.snapshots.journal import UploadJournal

IDENTITY = {"token": "t1"}
DONE = {index: sha256(bytes([index])).digest() for index in range(4)}


def opened(path: Path) -> UploadJournal:
    return UploadJournal(path, IDENTITY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a journal of an upload that came to four blocks."""
    path = tmp_path / "journal"
    with closing(opened(path)) as journal:
        journal.start_over()
        journal.begin("snap-1")
        for index, digest in DONE.items():
            journal.note(index, digest)
    return path


def test_opened_again_then_all_that_was_noted_is_there(path: Path) -> None:
    with closing(opened(path)) as journal:
        assert (journal.attempt, journal.snapshot, journal.done) == (1, "snap-1", DONE)


def test_opened_when_it_is_of_another_upload_then_nothing_is_believed(path: Path) -> None:
    with closing(UploadJournal(path, {"token": "t2"})) as journal:
        assert (journal.attempt, journal.snapshot, journal.done) == (0, "", {})


@pytest.mark.parametrize("cut_bytes", [1, 4, 63, 66])
def test_opened_when_the_last_line_was_cut_off_then_what_is_noted_next_is_believed(
    path: Path, cut_bytes: int
) -> None:
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    with closing(opened(path)) as journal:
        assert journal.done == {index: DONE[index] for index in range(3)}
        journal.note(3, DONE[3])
    with closing(opened(path)) as journal:
        assert journal.done == DONE


@pytest.mark.parametrize(
    "line",
    [b"1 ", b"1 ab", b"-1 " + b"a" * 64, b"1 " + b"a" * 62 + b"  ", b"\xff" * 9, b"9" * 999, b""],
    ids=["no digest", "short", "below zero", "blanks", "no text", "a huge number", "empty"],
)
def test_opened_when_a_line_is_damaged_then_it_and_all_behind_is_not_believed(
    path: Path, line: bytes
) -> None:
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[4:]]))
    with closing(opened(path)) as journal:
        assert journal.done == {index: DONE[index] for index in range(2)}


@pytest.mark.parametrize(
    "head", [b"{}", b"[]", b"no JSON", b"\xff", b'{"for": {"token": "t1"}, "attempt": "x"}']
)
def test_opened_when_the_head_is_damaged_then_nothing_is_believed(path: Path, head: bytes) -> None:
    path.write_bytes(b"\n".join([head, *path.read_bytes().split(b"\n")[1:]]))
    with closing(opened(path)) as journal:
        assert (journal.attempt, journal.snapshot, journal.done) == (0, "", {})
