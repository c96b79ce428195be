from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.local.debugfs import (
    Debugfs,
    FileSystemEditFailed,
    Place,
    Unspeakable,
    quoted,
)
from tests.fakes.process import FakeCommandRunner, a_result

BANNER = b"debugfs 1.47.0 (5-Feb-2023)\n"


def a_debugfs(tmp_path: Path, **result: Any) -> Debugfs:
    runner = FakeCommandRunner({"debugfs": a_result(**result)})
    return Debugfs(runner, Place(raw=tmp_path / "disk.raw", offset_bytes=1024), {"LC_ALL": "C"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/a b", b'"/a b"'),
        ('/say "hi"', b'"/say ""hi"""'),
        ("/caf\udce9", b'"/caf\xe9"'),
        ("/snow\u2603", '"/snow\u2603"'.encode()),
        ("/<12>", b'"/<12>"'),
    ],
)
def test_quoted_name_is_written_as_debugfs_reads_it(name: str, said: bytes) -> None:
    assert quoted(name) == said


@pytest.mark.parametrize("name", ["/new\nline", "/return\r", "/" + "x" * 5000])
def test_quoted_name_that_no_line_can_hold_is_refused(name: str) -> None:
    with pytest.raises(Unspeakable):
        quoted(name)


def test_apply_when_debugfs_says_only_its_name_is_good(tmp_path: Path) -> None:
    a_debugfs(tmp_path, stderr=BANNER).apply([b"rm /a"])


def test_apply_when_debugfs_complains_and_exits_with_0_fails_with_its_words(tmp_path: Path) -> None:
    complaint = b"rm: File not found by ext2_lookup while trying to resolve filename\n"

    with pytest.raises(FileSystemEditFailed) as caught:
        a_debugfs(tmp_path, stderr=BANNER + complaint).apply([b"rm /a"])

    assert "File not found" in caught.value.context


def test_apply_of_nothing_runs_nothing(tmp_path: Path) -> None:
    Debugfs(FakeCommandRunner(), Place(raw=tmp_path / "x", offset_bytes=0), {}).apply([])


def test_listing_with_unusual_names_is_read_name_by_name(tmp_path: Path) -> None:
    printed = (
        b'debugfs: ls -p "/"\n'
        b"/2/040755/0/0/.//\n/2/040755/0/0/..//\n/0/000000/0/0//0/\n"
        b"/12/100644/5/6/new\nline/7/\n/13/040700/0/0/d d//\n\n"
    )

    found = a_debugfs(tmp_path, stdout=printed, stderr=BANNER).list_folders(["/"])

    assert sorted(found) == ["/", "/d d", "/new\nline"]
    listed = found["/new\nline"]
    assert (listed.inode, listed.mode, listed.uid, listed.gid, listed.size_bytes) == (
        *(12, 0o100644, 5, 6),
        7,
    )
    assert found["/d d"].is_folder
