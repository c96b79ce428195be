from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.local.debugfs import ValueFiles
from imagebuilder.adapters.local.inplace import CannotFollow, edit_between
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Entry, EntryKind, Tree

ROOT = Path("/root-of-image")


def a_folder(**changes: Any) -> Entry:
    return an_entry(kind=EntryKind.DIRECTORY, mode=0o755, mtime=5, **changes)


def a_file(content: bytes = b"x", **changes: Any) -> Entry:
    digest = Digest.of_bytes(content)
    return an_entry(kind=EntryKind.FILE, size_bytes=len(content), content=digest, **changes)


def a_node(kind: EntryKind, **changes: Any) -> Entry:
    return an_entry(kind=kind, **changes)


def an_entry(**facts: Any) -> Entry:
    fields: dict[str, Any] = {"mode": 0o644, "uid": 0, "gid": 0, "mtime": 7}
    return Entry(**fields | facts)


OLD: Tree = {"/": a_folder(), "/etc": a_folder(), "/etc/a": a_file(), "/big": a_file(b"b" * 1000)}


def script(tmp_path: Path, new: Tree, old: Tree = OLD) -> list[bytes]:
    return list(edit_between(old, new, ROOT, ValueFiles(tmp_path / "values")).script)


def test_edit_of_the_same_tree_is_empty(tmp_path: Path) -> None:
    assert script(tmp_path, OLD) == []


def test_edit_of_a_changed_file_removes_and_writes_it_and_stamps_its_folder(tmp_path: Path) -> None:
    new = dict(OLD) | {"/etc/a": a_file(b"y", mtime=9, mode=0o4755, uid=3)}

    lines = script(tmp_path, new)

    assert lines[:2] == [b'rm "/etc/a"', b'write "/root-of-image/etc/a" "/etc/a"']
    assert b'sif "/etc/a" mode 0104755' in lines
    assert b'sif "/etc/a" uid 3' in lines
    assert b'sif "/etc/a" ctime @9' in lines
    assert lines[-4] == b'sif "/etc" mtime @5'


def test_edit_of_changed_metadata_leaves_the_bytes_alone(tmp_path: Path) -> None:
    lines = script(tmp_path, dict(OLD) | {"/etc/a": a_file(mode=0o600)})

    assert b'sif "/etc/a" mode 0100600' in lines
    assert not [line for line in lines if line.startswith((b"rm", b"write"))]


def test_edit_removes_what_is_in_a_folder_before_the_folder(tmp_path: Path) -> None:
    lines = script(tmp_path, {p: e for p, e in OLD.items() if not p.startswith("/etc")})

    assert lines[:2] == [b'rm "/etc/a"', b'rmdir "/etc"']


def test_edit_of_a_folder_that_became_a_link_empties_it_first(tmp_path: Path) -> None:
    link = a_node(EntryKind.SYMLINK, target="usr etc")
    new = {"/": OLD["/"], "/big": OLD["/big"], "/etc": link}

    assert script(tmp_path, new)[:3] == [
        b'rm "/etc/a"',
        b'rmdir "/etc"',
        b'symlink "/etc" "usr etc"',
    ]


def test_edit_that_adds_a_hard_link_counts_the_names(tmp_path: Path) -> None:
    lines = script(tmp_path, dict(OLD) | {"/etc/b": a_file(hard_link_of="/etc/a")})

    assert lines[0] == b'ln "/etc/a" "/etc/b"'
    assert b'sif "/etc/a" links_count 2' in lines


def test_edit_that_makes_a_device_does_so_from_within_its_folder(tmp_path: Path) -> None:
    device = a_node(EntryKind.BLOCK_DEVICE, device=(8, 1))

    lines = script(tmp_path, dict(OLD) | {"/etc/sda 1": device})

    assert lines[:3] == [b'cd "/etc"', b'mknod "sda 1" b 8 1', b"cd /"]


def test_edit_of_changed_attributes_takes_the_old_ones_away(tmp_path: Path) -> None:
    old = dict(OLD) | {"/etc/a": a_file(xattrs=(("user.old", "01"),))}
    new = dict(OLD) | {"/etc/a": a_file(xattrs=(("user.new", "00ff"),))}

    lines = script(tmp_path, new, old)

    assert b'ea_rm "/etc/a" "user.old"' in lines
    (setting,) = [line for line in lines if line.startswith(b"ea_set -f ")]
    assert Path(setting.split(b'"')[1].decode()).read_bytes() == b"\x00\xff"
    assert setting.endswith(b' "/etc/a" "user.new"')


def test_edit_of_more_than_a_quarter_of_the_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotFollow, match="% of the bytes"):
        script(tmp_path, dict(OLD) | {"/big": a_file(b"c" * 1000)})


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/etc/new\nline", a_file()),
        ("/etc/s", a_node(EntryKind.SOCKET)),
    ],
)
def test_edit_that_debugfs_cannot_do_is_refused(tmp_path: Path, path: str, entry: Entry) -> None:
    with pytest.raises(CannotFollow):
        script(tmp_path, dict(OLD) | {path: entry})


def test_edit_that_leaves_an_unspeakable_name_alone_is_possible(tmp_path: Path) -> None:
    old = dict(OLD) | {"/etc/new\nline": a_file()}

    assert script(tmp_path, dict(old) | {"/etc/a": replace(OLD["/etc/a"], mode=0o600)}, old)
