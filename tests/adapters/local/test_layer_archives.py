"""Layers as files for other machines: the same on both sides, and nothing believed."""

import json
import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.layer_archives import FileLayerArchives
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import EntryKind, Layer, LayerTree
from imagebuilder.ports.building import LayerDamaged, LayerMissing
from imagebuilder.ports.sharing import LayerRefused
from tests.build import SOME_DAY, a_digest, an_entry

Manifest = dict[str, Any]


@pytest.fixture
def here(tmp_path: Path) -> FileLayerStore:
    return FileLayerStore(tmp_path / "here", "this boot")


@pytest.fixture
def there(tmp_path: Path) -> FileLayerStore:
    return FileLayerStore(tmp_path / "there", "another boot")


def kept(store: FileLayerStore, upper: Path) -> Layer:
    """Put a folder in the store."""
    manifest.set_latest_time(upper, 1_000_000)
    tree = manifest.scan(upper)
    layer = Layer(
        key=a_digest("key"),
        content=Digest.of_bytes(manifest.written(tree)),
        parent_content=None,
        name="nginx",
        created_at=SOME_DAY,
        size_bytes=4,
    )
    return store.adopt(upper, layer, tree)


def a_folder(folder: Path) -> Path:
    """Make a folder with some of all that any user may make."""
    upper = folder / "upper"
    (upper / "etc/deep/er").mkdir(parents=True)
    (upper / "etc/file").write_bytes(os.urandom(300_000))
    (upper / "etc/empty").touch()
    (upper / "etc/zeros").write_bytes(bytes(1 << 20))
    (upper / "etc/again").hardlink_to(upper / "etc/file")
    (upper / "etc/link").symlink_to("/../../out")
    (upper / "etc/link2").hardlink_to(upper / "etc/link")
    os.mkfifo(upper / "etc/pipe")
    name = b"caf\xe9"
    (upper / os.fsdecode(name)).write_text("not UTF-8")
    (upper / "etc/file").chmod(0o4750)
    (upper / "etc/deep").chmod(0o1777)
    os.utime(upper / "etc/file", (1000, 1000))
    return upper


def moved(layer: Layer, source: FileLayerStore, target: FileLayerStore, folder: Path) -> None:
    """Take a layer from one store to the other."""
    giving, taking = FileLayerArchives(source), FileLayerArchives(target)
    giving.pack(layer.content, folder / "archive")
    taking.note(layer.content, giving.manifest(layer.content))
    taking.unpack(layer, folder / "archive")


def test_a_layer_is_the_same_on_both_sides(
    here: FileLayerStore, there: FileLayerStore, tmp_path: Path
) -> None:
    layer = kept(here, a_folder(tmp_path))

    moved(layer, here, there, tmp_path)

    assert there.get(layer.content) == layer
    assert manifest.scan(there.tree_path(layer.content)) == here.noted(layer.content)
    etc = there.tree_path(layer.content) / "etc"
    assert (etc / "again").stat().st_ino == (etc / "file").stat().st_ino
    assert (etc / "zeros").stat().st_blocks == 0


@pytest.mark.root
def test_a_layer_with_all_that_root_may_make_is_the_same_on_both_sides(
    here: FileLayerStore, there: FileLayerStore, tmp_path: Path
) -> None:
    upper = a_folder(tmp_path)
    os.mknod(upper / "etc/gone", stat.S_IFCHR, os.makedev(0, 0))
    os.mknod(upper / "etc/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(upper / "etc/disk", stat.S_IFBLK | 0o660, os.makedev(8, 1))
    os.setxattr(upper / "etc/deep", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "etc/empty", "trusted.mine", b"\0\xff")
    # What `setcap cap_net_raw+ep` writes.
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.chown(upper / "etc/file", 1000, 33)
    (upper / "etc/file").chmod(0o4750)
    os.setxattr(upper / "etc/file", "security.capability", capability)
    os.chown(upper / "etc/link", 7, 8, follow_symlinks=False)
    with closing(socket.socket(socket.AF_UNIX)) as opened:
        opened.bind(str(upper / "sock"))
    layer = kept(here, upper)

    moved(layer, here, there, tmp_path)

    found = manifest.scan(there.tree_path(layer.content))
    assert found == here.noted(layer.content)
    assert (set(found.whiteouts), set(found.opaque)) == ({"/etc/gone"}, {"/etc/deep"})
    assert found.entries["/etc/file"].xattrs == (("security.capability", capability.hex()),)
    assert found.entries["/etc/file"].mode == 0o4750
    assert {e.kind for e in found.entries.values()} == set(EntryKind)


def test_pack_twice_then_the_bytes_are_the_same(here: FileLayerStore, tmp_path: Path) -> None:
    layer = kept(here, a_folder(tmp_path))
    archives = FileLayerArchives(here)

    digests = {archives.pack(layer.content, tmp_path / name) for name in ("a", "b")}

    assert digests == {Digest.of_bytes((tmp_path / "b").read_bytes())}


def test_pack_of_a_damaged_layer_gives_nothing(here: FileLayerStore, tmp_path: Path) -> None:
    layer = kept(here, a_folder(tmp_path))
    (here.tree_path(layer.content) / "etc/empty").write_text("x")

    with pytest.raises(LayerDamaged):
        FileLayerArchives(here).pack(layer.content, tmp_path / "archive")


def test_what_is_not_here_is_missing(here: FileLayerStore, tmp_path: Path) -> None:
    archives = FileLayerArchives(here)
    layer = kept(here, a_folder(tmp_path))
    lost = replace(layer, content=a_digest("lost"))

    with pytest.raises(LayerMissing):
        archives.manifest(lost.content)
    with pytest.raises(LayerMissing):
        archives.pack(lost.content, tmp_path / "archive")
    with pytest.raises(LayerMissing):
        archives.unpack(lost, tmp_path / "archive")


def test_note_then_the_tree_is_known_and_the_layer_is_not_there(
    here: FileLayerStore, there: FileLayerStore, tmp_path: Path
) -> None:
    layer = kept(here, a_folder(tmp_path))

    FileLayerArchives(there).note(layer.content, FileLayerArchives(here).manifest(layer.content))

    assert there.tree([layer.content]) == here.tree([layer.content])
    assert not there.has(layer.content)


def test_note_of_another_manifest_is_refused(here: FileLayerStore) -> None:
    with pytest.raises(LayerRefused, match="is not taken"):
        FileLayerArchives(here).note(a_digest("x"), b"{}")


ROOT, FOLDER = an_entry(EntryKind.DIRECTORY), an_entry(EntryKind.DIRECTORY)
FILE = an_entry(content=Digest.of_bytes(b""))
LINK = an_entry(EntryKind.SYMLINK, target="/")


def a_tree(**more: Any) -> LayerTree:
    entries = {"/": ROOT, "/a": FOLDER, "/file": FILE, "/link": LINK} | more.pop("entries", {})
    return LayerTree(entries=entries, **more)


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param(LayerTree(entries={"/file": FILE}), id="no root"),
        pytest.param(LayerTree(entries={"/": FILE}), id="a root that is no folder"),
        pytest.param(a_tree(entries={"/../out": FILE}), id="above"),
        pytest.param(a_tree(entries={"/a/../../out": FILE}), id="above from below"),
        pytest.param(a_tree(entries={"/a/.": FILE}), id="the folder itself"),
        pytest.param(a_tree(entries={"//out": FILE}), id="two slashes"),
        pytest.param(a_tree(entries={"/a/": FILE}), id="a slash at the end"),
        pytest.param(a_tree(entries={"out": FILE}), id="relative"),
        pytest.param(a_tree(entries={"": FILE}), id="nothing"),
        pytest.param(a_tree(entries={"/a\0b": FILE}), id="a zero byte"),
        pytest.param(a_tree(entries={"/link/etc": FILE}), id="through a link"),
        pytest.param(a_tree(entries={"/file/etc": FILE}), id="below a file"),
        pytest.param(a_tree(entries={"/b/c": FILE}), id="in no folder"),
        pytest.param(a_tree(entries={"/" + "d" * 4096: FILE}), id="too long"),
        pytest.param(a_tree(whiteouts=frozenset({"/link/etc"})), id="whiteout through a link"),
        pytest.param(a_tree(whiteouts=frozenset({"/../out"})), id="whiteout above"),
        pytest.param(a_tree(whiteouts=frozenset({"/file"})), id="there and not there"),
        pytest.param(a_tree(opaque=frozenset({"/file"})), id="opaque file"),
        pytest.param(a_tree(opaque=frozenset({"/b"})), id="opaque nothing"),
        pytest.param(
            a_tree(entries={"/z": replace(FILE, hard_link_of="/../../etc/shadow")}),
            id="another name of what is outside",
        ),
        pytest.param(a_tree(entries={"/z": replace(FILE, hard_link_of="/a")}), id="of a folder"),
        pytest.param(a_tree(entries={"/b": replace(FILE, hard_link_of="/file")}), id="of a later"),
        pytest.param(
            a_tree(
                entries={"/x": an_entry(EntryKind.CHARACTER_DEVICE, device=(0, 0))},
            ),
            id="whiteout as a file",
        ),
        pytest.param(a_tree(entries={"/x": an_entry(EntryKind.BLOCK_DEVICE)}), id="no number"),
        pytest.param(
            a_tree(entries={"/x": an_entry(EntryKind.BLOCK_DEVICE, device=(8, 2**20))}),
            id="no such number",
        ),
        pytest.param(
            a_tree(entries={"/x": replace(FOLDER, xattrs=(("trusted.overlay.redirect", "2f"),))}),
            id="redirect of an overlay",
        ),
        pytest.param(a_tree(entries={"/x": replace(FILE, size_bytes=-1)}), id="less than nothing"),
        pytest.param(a_tree(entries={"/x": replace(FILE, uid=-1)}), id="no owner"),
        pytest.param(a_tree(entries={"/x": replace(FILE, mode=0o10644)}), id="no mode"),
        pytest.param(a_tree(entries={"/x": replace(FILE, mtime=2**41)}), id="no time"),
        pytest.param(a_tree(entries={"/x": replace(FILE, content=None)}), id="no bytes"),
        pytest.param(a_tree(entries={"/x": replace(LINK, target=None)}), id="link to nothing"),
    ],
)
def test_note_of_what_may_not_be_made_is_refused(here: FileLayerStore, tree: LayerTree) -> None:
    text = manifest.written(tree)
    content = Digest.of_bytes(text)

    with pytest.raises(LayerRefused):
        FileLayerArchives(here).note(content, text)

    with pytest.raises(LayerMissing):
        here.noted(content)


def test_note_of_the_tree_that_those_begin_from_is_not_refused(here: FileLayerStore) -> None:
    text = manifest.written(a_tree())
    FileLayerArchives(here).note(Digest.of_bytes(text), text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'{"entries":[]}',
        b'{"entries":[["/"]],"whiteouts":[],"opaque":[]}',
        b'{"entries":[],"whiteouts":[7],"opaque":[]}',
        b"[" * 100_000,
    ],
)
def test_note_of_no_manifest_is_refused(here: FileLayerStore, text: bytes) -> None:
    with pytest.raises(LayerRefused):
        FileLayerArchives(here).note(Digest.of_bytes(text), text)


def test_note_of_a_name_twice_is_refused(here: FileLayerStore) -> None:
    rows = json.loads(manifest.written(a_tree()))
    rows["entries"].append(rows["entries"][1])
    text = json.dumps(rows, separators=(",", ":")).encode()

    with pytest.raises(LayerRefused):
        FileLayerArchives(here).note(Digest.of_bytes(text), text)


def cut(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def other(archive: bytes) -> bytes:
    return zstandard.compress(b"x" + zstandard.decompress(archive)[1:])


def more(archive: bytes) -> bytes:
    return zstandard.compress(zstandard.decompress(archive) + b"x")


def less(archive: bytes) -> bytes:
    return zstandard.compress(zstandard.decompress(archive)[:-1])


def nothing(archive: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [cut, other, more, less, nothing])
def test_unpack_of_what_is_no_archive_of_it_keeps_nothing(
    here: FileLayerStore,
    there: FileLayerStore,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    (upper / "file").write_bytes(b"some bytes")
    layer = kept(here, upper)
    FileLayerArchives(here).pack(layer.content, tmp_path / "archive")
    with (tmp_path / "archive").open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file).read()
    archive = tmp_path / "hostile"
    archive.write_bytes(change(zstandard.compress(plain)))
    taking = FileLayerArchives(there)
    taking.note(layer.content, FileLayerArchives(here).manifest(layer.content))

    with pytest.raises(LayerRefused):
        taking.unpack(layer, archive)

    assert not there.has(layer.content)
    assert list((tmp_path / "there/incoming").iterdir()) == []


def test_unpack_of_more_than_is_allowed_reads_nothing_of_it(
    here: FileLayerStore, there: FileLayerStore, tmp_path: Path
) -> None:
    layer = kept(here, a_folder(tmp_path))
    FileLayerArchives(here).pack(layer.content, tmp_path / "archive")
    taking = FileLayerArchives(there, largest_bytes=100_000)
    taking.note(layer.content, FileLayerArchives(here).manifest(layer.content))

    with pytest.raises(LayerRefused) as refused:
        taking.unpack(layer, tmp_path / "no such file")

    assert "97.7 KiB allowed" in refused.value.context
    assert not there.has(layer.content)


def test_unpack_of_a_bomb_ends_with_the_bytes_that_the_manifest_names(
    there: FileLayerStore, tmp_path: Path
) -> None:
    text = manifest.written(a_tree())
    layer = Layer(
        key=a_digest("key"),
        content=Digest.of_bytes(text),
        parent_content=None,
        name="bomb",
        created_at=SOME_DAY,
        size_bytes=0,
    )
    (tmp_path / "bomb").write_bytes(zstandard.compress(bytes(1 << 28)))
    archives = FileLayerArchives(there)
    archives.note(layer.content, text)

    with pytest.raises(LayerRefused, match="not taken"):
        archives.unpack(layer, tmp_path / "bomb")


def test_unpack_when_a_damaged_tree_is_there_then_the_sound_one_takes_its_place(
    here: FileLayerStore, there: FileLayerStore, tmp_path: Path
) -> None:
    layer = kept(here, a_folder(tmp_path))
    moved(layer, here, there, tmp_path)
    (there.tree_path(layer.content) / "etc/empty").write_text("x")
    (tmp_path / "archive").unlink()

    moved(layer, here, there, tmp_path)

    assert there.get(layer.content) == layer
