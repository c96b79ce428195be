"""Digests of files that may be anything."""

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest

from imagebuilder.adapters.system.file_digests import SystemFileDigests
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.traces import FileUnreadable

CONTENT = b"a disk" * 300_000


def told(path: Path) -> list[tuple[Digest, str]]:
    return [(each.digest, each.through) for each in SystemFileDigests().digests(path)]


def test_digests_of_a_plain_file_then_is_its_own_and_bytes_are_told(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(CONTENT)
    counts: list[int] = []

    (found,) = SystemFileDigests().digests(file, counts.append)

    assert (found.digest, found.through) == (Digest.of_bytes(CONTENT), "")
    assert sum(counts) == len(CONTENT)


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(CONTENT)),
        ("xz", lzma.compress(CONTENT)),
        ("bzip2", bz2.compress(CONTENT)),
    ],
)
def test_digests_of_a_compressed_file_then_also_is_that_of_what_it_holds(
    tmp_path: Path, name: str, packed: bytes
) -> None:
    file = tmp_path / "disk"
    file.write_bytes(packed)

    assert told(file) == [
        (Digest.of_bytes(packed), ""),
        (Digest.of_bytes(CONTENT), f"{name} undone"),
    ]


@pytest.mark.parametrize("begins", [b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh9"])
@pytest.mark.parametrize("more", [b"", b"\x08\0 nothing that was compressed"])
def test_digests_when_a_file_only_begins_like_a_compressed_one_then_is_its_own(
    tmp_path: Path, begins: bytes, more: bytes
) -> None:
    file = tmp_path / "disk"
    file.write_bytes(begins + more)

    assert told(file) == [(Digest.of_bytes(begins + more), "")]


def test_digests_of_what_is_no_plain_file_then_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", tmp_path / "gone"):
        with pytest.raises(FileUnreadable):
            told(path)
