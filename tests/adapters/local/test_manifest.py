"""Manifests of folders that any user may make; devices and owners are in test_layers."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.workplace import remove_tree
from imagebuilder.domain.layer import Entry, EntryKind, LayerTree
from tests.build import a_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a").mkdir(parents=True)
    (root / "a/file").write_text("text")
    (root / "link").symlink_to("/nowhere")
    return root


def test_walk_gives_the_folder_itself_and_all_below_without_following_links(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)

    assert [path for path, _ in manifest.walk(folder)] == ["/", "/a", "/a/file", "/link", "/out"]


def test_walk_and_remove_of_folders_deeper_than_the_interpreter_recurses_reach_all(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path)
    for _ in range(1500):
        folder += "/d"
        os.mkdir(folder)  # noqa: PTH102 - pathlib itself recurses

    paths = sum(1 for _ in manifest.walk(tmp_path))
    remove_tree(tmp_path)

    assert paths == 1501
    assert not tmp_path.exists()


def test_scan_gives_bytes_modes_and_targets(folder: Path) -> None:
    (folder / "a/file").chmod(0o4751)

    entries = manifest.scan(folder).entries

    assert entries["/a/file"].content == a_digest("text")
    assert entries["/a/file"].mode == 0o4751
    assert entries["/a/file"].size_bytes == 4
    assert entries["/link"].target == "/nowhere"
    assert entries["/link"].kind is EntryKind.SYMLINK


def test_scan_of_hard_links_names_the_first_path_in_order_of_names(tmp_path: Path) -> None:
    # A folder's content comes after its name, but "a.b" is before "a/x" in byte order.
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_text("one")
    os.link(tmp_path / "a/x", tmp_path / "a.b")

    entries = manifest.scan(tmp_path).entries

    assert entries["/a.b"].hard_link_of is None
    assert entries["/a/x"].hard_link_of == "/a.b"


@pytest.mark.parametrize("name", [b"two words", b"new\nline", b"\xff\xfe", "ä€".encode(), b"'\"\\"])
def test_written_and_read_when_names_are_strange_then_give_the_same(
    tmp_path: Path, name: bytes
) -> None:
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as opened:  # noqa: PTH118, PTH123 - bytes
        opened.write(b"x")
    tree = manifest.scan(tmp_path)

    assert f"/{os.fsdecode(name)}" in tree.entries
    assert manifest.read(manifest.written(tree)) == tree
    assert len(manifest.stamp(tmp_path)) == 64


def test_set_latest_time_takes_later_times_back_and_leaves_earlier_ones(folder: Path) -> None:
    os.utime(folder / "a/file", (5, 5))

    manifest.set_latest_time(folder, 1_000_000)

    times = {path: entry.mtime for path, entry in manifest.scan(folder).entries.items()}
    assert times == {"/": 1_000_000, "/a": 1_000_000, "/a/file": 5, "/link": 1_000_000}


def _flip(folder: Path) -> None:
    (folder / "a/file").write_text("tExt")


def _chmod(folder: Path) -> None:
    (folder / "a/file").chmod(0o600)


def _remove(folder: Path) -> None:
    (folder / "a/file").unlink()


def _add(folder: Path) -> None:
    (folder / "a/new").touch()


def _retarget(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/elsewhere")


def _xattr(folder: Path) -> None:
    os.setxattr(folder / "a/file", "user.mark", b"1")


CHANGES = {
    "byte": (_flip, "/a/file"),
    "mode": (_chmod, "/a/file"),
    "removed": (_remove, "/a"),
    "added": (_add, "/a"),
    "target": (_retarget, "/"),
    "xattr": (_xattr, "/a/file"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_first_difference_and_stamp_when_something_was_touched_then_tell(
    folder: Path, change: str
) -> None:
    # Times in the past, as those of layers: what is written now changes that of its folder.
    manifest.set_latest_time(folder, 1_000_000)
    before, stamp = manifest.scan(folder), manifest.stamp(folder)
    touch, place = CHANGES[change]

    touch(folder)

    assert manifest.first_difference(before, manifest.scan(folder)) == place
    assert manifest.stamp(folder) != stamp


def test_stamp_when_nothing_was_touched_then_is_the_same(folder: Path) -> None:
    stamp = manifest.stamp(folder)
    manifest.scan(folder)

    assert manifest.stamp(folder) == stamp


def test_first_difference_tells_of_whiteouts_and_opaque_folders() -> None:
    plain = LayerTree(entries={})

    assert manifest.first_difference(plain, plain) is None
    gone = LayerTree(entries={}, whiteouts=frozenset({"/b"}))
    opaque = LayerTree(entries={}, opaque=frozenset({"/a"}))
    assert manifest.first_difference(plain, gone) == "/b"
    assert manifest.first_difference(gone, opaque) == "/a"


_names = st.text(min_size=1, max_size=8).map(lambda name: "/" + name.replace("/", "_"))
_entry = st.builds(
    Entry,
    kind=st.sampled_from(EntryKind),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**40), 2**40),
    size_bytes=st.integers(0, 2**60),
    content=st.none() | st.text().map(a_digest),
    target=st.none() | st.text(min_size=1),
    device=st.none() | st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)),
    xattrs=st.lists(st.tuples(st.text(min_size=1), st.binary().map(bytes.hex))).map(tuple),
    hard_link_of=st.none() | _names,
)


@given(st.dictionaries(_names, _entry), st.frozensets(_names), st.frozensets(_names))
def test_read_of_what_was_written_is_the_same(
    entries: dict[str, Entry], whiteouts: frozenset[str], opaque: frozenset[str]
) -> None:
    tree = LayerTree(entries=entries, whiteouts=whiteouts, opaque=opaque)

    text = manifest.written(tree)

    assert manifest.read(text) == tree
    assert manifest.written(manifest.read(text)) == text
