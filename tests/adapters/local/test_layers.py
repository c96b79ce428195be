"""Layers in the store: sound or not found; and stacks that are what the kernel shows."""

import os
import random
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import EntryKind, Layer, LayerTree, stack_content
from imagebuilder.domain.plan import DEFAULT_SOURCE_DATE_EPOCH
from imagebuilder.ports.building import LayerDamaged, LayerMissing, NewLayer
from tests.build import SOME_DAY, a_digest
from tests.roots import CHECKOUT
from tests.workshops import Shop, said, shop


@pytest.fixture
def store(tmp_path: Path) -> FileLayerStore:
    return FileLayerStore(tmp_path / "layers", "this boot")


def adopted(
    store: FileLayerStore, folder: Path, *, key: str = "key", on: tuple[Layer, ...] = ()
) -> Layer:
    """Put a folder with one file in the store, unpublished."""
    upper = folder / f"upper-{key}"
    (upper / "etc").mkdir(parents=True)
    (upper / "etc/file").write_text("text")
    manifest.set_latest_time(upper, 1000)
    tree = manifest.scan(upper)
    layer = Layer(
        key=a_digest(key),
        content=Digest.of_bytes(manifest.written(tree)),
        parent_content=stack_content(on),
        name="nginx",
        created_at=SOME_DAY,
        size_bytes=4,
        evidence={"upgrades": a_digest("list")},
    )
    return store.adopt(upper, layer, tree)


@pytest.fixture
def layer(store: FileLayerStore, tmp_path: Path) -> Layer:
    layer = adopted(store, tmp_path)
    store.publish(layer)
    store.settle()
    return layer


def unkept(folder: Path) -> tuple[Path, Layer, LayerTree]:
    """Give a folder with one file, and what it would be as a layer."""
    upper = folder / "scratch"
    upper.mkdir()
    (upper / "file").write_text("text")
    tree = manifest.scan(upper)
    layer = Layer(
        key=a_digest("kept"),
        content=Digest.of_bytes(manifest.written(tree)),
        parent_content=stack_content(()),
        name="kept",
        created_at=SOME_DAY,
        size_bytes=4,
    )
    return upper, layer, tree


class TestKeep:
    """What is kept beside the build is used from scratch space meanwhile."""

    def test_keep_when_it_is_being_copied_then_the_scratch_folder_is_used(
        self, store: FileLayerStore, tmp_path: Path
    ) -> None:
        upper, layer, tree = unkept(tmp_path)
        may_copy = threading.Event()

        def copy(source: Path, target: Path) -> None:
            assert may_copy.wait(10)
            shutil.copytree(source, target, copy_function=shutil.copy2)

        store.keep(upper, layer, tree, copy)
        store.publish(layer)
        assert store.tree_path(layer.content) == upper
        assert store.tree([layer.content]) == tree.entries
        may_copy.set()
        assert store.find(layer.key, ()).layer == layer
        store.settle()
        assert store.tree_path(layer.content) != upper
        assert store.has(layer.content)

    def test_settle_when_a_layer_could_not_be_copied_then_says_so_and_publishes_nothing(
        self, store: FileLayerStore, tmp_path: Path
    ) -> None:
        upper, layer, tree = unkept(tmp_path)

        def copy(source: Path, target: Path) -> None:
            raise OSError(28, f"no space for {target} of {source}")

        store.keep(upper, layer, tree, copy)
        store.publish(layer)
        with pytest.raises(OSError, match="no space"):
            store.settle()
        store.forget_scratch()
        again = FileLayerStore(tmp_path / "layers", "this boot")
        assert again.find(layer.key, ()).layer is None
        assert not again.has(layer.content)


class TestFind:
    def test_find_of_a_published_layer_gives_it_as_it_was(
        self, store: FileLayerStore, layer: Layer
    ) -> None:
        assert store.find(layer.key, ()).layer == layer
        assert store.get(layer.content) == layer

    def test_find_when_it_was_sealed_but_not_published_then_is_never_built(
        self, store: FileLayerStore, tmp_path: Path
    ) -> None:
        sealed = adopted(store, tmp_path)

        lookup = store.find(sealed.key, ())

        assert (lookup.layer, lookup.reason) == (None, "never built")
        assert store.get(sealed.content) == sealed

    def test_find_when_it_was_made_on_other_layers_then_says_so(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path
    ) -> None:
        lookup = store.find(layer.key, (adopted(store, tmp_path, key="below"),))

        assert lookup.layer is None
        assert lookup.reason == "built on another build of the layers below"

    def test_find_when_only_a_layer_far_below_was_rebuilt_then_it_does_not_fit(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path
    ) -> None:
        # An empty layer between them is the same on whatever it lies.
        empty = Layer(
            key=a_digest("empty"),
            content=a_digest("nothing"),
            parent_content=None,
            name="empty",
            created_at=SOME_DAY,
            size_bytes=0,
        )
        top = adopted(store, tmp_path, key="top", on=(layer, empty))
        store.publish(top)
        rebuilt = Layer(
            key=layer.key,
            content=a_digest("rebuilt"),
            parent_content=None,
            name=layer.name,
            created_at=SOME_DAY,
            size_bytes=0,
        )

        assert store.find(top.key, (layer, empty)).layer == top
        assert store.find(top.key, (rebuilt, empty)).layer is None

    def test_find_when_it_is_older_than_allowed_then_says_so(
        self, store: FileLayerStore, layer: Layer
    ) -> None:
        lookup = store.find(layer.key, (), datetime(2027, 1, 1, tzinfo=UTC))

        assert lookup.layer is None
        assert lookup.reason == "built 2026-03-01 12:30, too old"

    @pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"x\n{}"])
    def test_find_when_the_record_of_its_key_is_garbage_then_says_so(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "layers/keys" / layer.key.hex).write_bytes(content)

        assert store.find(layer.key, ()).reason == "damaged: its record is not as it was written"

    def test_find_when_one_byte_of_its_record_flipped_then_says_so(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path
    ) -> None:
        record = tmp_path / "layers/keys" / layer.key.hex
        record.write_bytes(record.read_bytes().replace(b"nginx", b"nginy"))

        assert store.find(layer.key, ()).reason == "damaged: its record is not as it was written"

    def test_has_and_get_when_there_is_no_such_layer_then_say_so(
        self, store: FileLayerStore
    ) -> None:
        assert not store.has(a_digest("none"))
        with pytest.raises(LayerMissing):
            store.get(a_digest("none"))


def _flip(tree: Path) -> None:
    path = tree / "etc/file"
    status = path.stat()
    path.write_text("tExt")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _chmod(tree: Path) -> None:
    (tree / "etc/file").chmod(0o4755)


def _xattr(tree: Path) -> None:
    os.setxattr(tree / "etc/file", "user.mark", b"1")


def _remove(tree: Path) -> None:
    (tree / "etc/file").unlink()


def _add(tree: Path) -> None:
    (tree / "etc/more").touch()


def _take_all(tree: Path) -> None:
    tree.rename(tree.with_name("elsewhere"))


def _link(tree: Path) -> None:
    tree.rename(tree.with_name("elsewhere"))
    tree.symlink_to(tree.with_name("elsewhere"))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "byte": (_flip, "/etc/file"),
    "mode": (_chmod, "/etc/file"),
    "xattr": (_xattr, "/etc/file"),
    "removed": (_remove, "/etc"),
    "added": (_add, "/etc"),
    "everything": (_take_all, "/"),
    "link": (_link, "/"),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGE)
    def test_find_when_the_tree_was_touched_then_says_where_and_forgets_it(
        self, store: FileLayerStore, layer: Layer, damage: str
    ) -> None:
        touch, place = DAMAGE[damage]
        touch(store.tree_path(layer.content))

        assert store.find(layer.key, ()).reason == f"damaged: {place} differs"
        assert store.find(layer.key, ()).reason == "never built"
        assert not store.has(layer.content)

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_get_when_the_tree_was_touched_then_is_refused(
        self, store: FileLayerStore, layer: Layer, damage: str
    ) -> None:
        DAMAGE[damage][0](store.tree_path(layer.content))

        with pytest.raises((LayerDamaged, LayerMissing)):
            store.get(layer.content)

    @pytest.mark.root
    def test_find_when_an_owner_changed_then_says_where(
        self, store: FileLayerStore, layer: Layer
    ) -> None:
        os.chown(store.tree_path(layer.content) / "etc/file", 7, 7)

        assert store.find(layer.key, ()).reason == "damaged: /etc/file differs"

    @pytest.mark.parametrize("content", [None, b"", b"{}"])
    def test_find_when_the_manifest_was_touched_then_says_so(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "layers/manifests" / layer.content.hex
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

        assert store.find(layer.key, ()).reason == "damaged: the manifest differs"

    @pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff"])
    def test_find_when_the_stamp_was_touched_then_every_byte_is_read(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "layers/stamps" / layer.content.hex
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

        assert store.find(layer.key, ()).layer == layer

    def test_find_after_a_restart_of_the_machine_then_every_byte_is_read_once(
        self, layer: Layer, tmp_path: Path
    ) -> None:
        stamp = tmp_path / "layers/stamps" / layer.content.hex
        before = stamp.read_text()
        rebooted = FileLayerStore(tmp_path / "layers", "next boot")

        assert rebooted.find(layer.key, ()).layer == layer
        assert stamp.read_text() == before.replace("this boot", "next boot")

    def test_adopt_when_a_crash_left_half_a_tree_of_that_name_then_it_is_replaced(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path
    ) -> None:
        # As after a loss of power: the tree has its name, its bytes never came to the disk.
        path = store.tree_path(layer.content) / "etc/file"
        path.write_bytes(b"")
        rebooted = FileLayerStore(tmp_path / "layers", "next boot")

        again = adopted(rebooted, tmp_path, key="again")
        rebooted.publish(again)
        rebooted.settle()

        assert again.content == layer.content
        assert path.read_text() == "text"
        assert rebooted.find(again.key, ()).layer == again
        assert rebooted.find(layer.key, ()).layer == layer

    def test_adopt_leaves_nothing_but_the_layer(
        self, store: FileLayerStore, layer: Layer, tmp_path: Path
    ) -> None:
        adopted(store, tmp_path, key="again")

        assert list((tmp_path / "layers/incoming").iterdir()) == []
        assert [p.name for p in (tmp_path / "layers/trees").iterdir()] == [layer.content.hex]


class TestBuilding:
    def test_building_when_a_thread_has_the_key_then_another_waits_and_finds_it(
        self, store: FileLayerStore, tmp_path: Path
    ) -> None:
        made: list[str] = []
        all_ready = threading.Barrier(4)

        def build(name: str) -> None:
            all_ready.wait()
            with store.building(a_digest("key")):
                if store.find(a_digest("key"), ()).layer is None:
                    made.append(name)
                    store.publish(adopted(store, tmp_path))

        threads = [threading.Thread(target=build, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(made) == 1

    def test_building_when_its_process_is_killed_then_the_key_is_free(
        self, store: FileLayerStore, tmp_path: Path
    ) -> None:
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from imagebuilder.adapters.local.layers import FileLayerStore\n"
            "from imagebuilder.domain.digest import Digest\n"
            "store = FileLayerStore(Path(sys.argv[1]), 'this boot')\n"
            "with store.building(Digest(sys.argv[2])):\n"
            "    print('mine', flush=True)\n    sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "layers", a_digest("key").hex],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(CHECKOUT)},
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"mine\n"
            holder.kill()
            holder.wait()

        with store.building(a_digest("key")):
            assert store.find(a_digest("key"), ()).reason == "never built"


@pytest.fixture(scope="class")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


def shown(place: Shop, stack: list[Layer]) -> LayerTree:
    with place.roots.scratch(stack) as root:
        return manifest.scan(root.path)


@pytest.mark.root
class TestStack:
    def test_seal_when_sealed_then_everything_kept_of_files_survives(self, open_shop: Shop) -> None:
        base = open_shop.base()
        with open_shop.roots.scratch([base]) as root:
            path = root.path
            (path / "set-uid").write_text("x")
            os.chown(path / "set-uid", 12, 34)
            (path / "set-uid").chmod(0o6755)
            (path / "capable").write_text("x")
            # Version 2, effective, cap_net_bind_service. Source: linux/capability.h
            capability = bytes.fromhex("0100000200040000000000000000000000000000")
            os.setxattr(path / "capable", "security.capability", capability)
            os.link(path / "capable", path / "also capable")
            os.setxattr(path / "etc", "user.mark", b"\0\xff")
            os.mkfifo(path / "pipe")
            os.mknod(path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.utime(path / "etc/passwd", (1000, 1000))
            layer = open_shop.sealed(root, "attributes")

        entries = open_shop.tree([base, layer])
        mounted = shown(open_shop, [base, layer]).entries

        assert (entries["/set-uid"].mode, entries["/set-uid"].uid, entries["/set-uid"].gid) == (
            0o6755,
            12,
            34,
        )
        assert entries["/capable"].xattrs == (("security.capability", capability.hex()),)
        assert entries["/capable"].hard_link_of == "/also capable"
        assert ("user.mark", "00ff") in entries["/etc"].xattrs
        assert entries["/pipe"].kind is EntryKind.FIFO
        assert entries["/null"].device == (1, 3)
        assert entries["/etc/passwd"].mtime == 1000
        assert entries["/set-uid"].mtime == DEFAULT_SOURCE_DATE_EPOCH
        assert mounted == entries

    def test_seal_when_the_root_folder_itself_changed_then_it_stays_so(
        self, open_shop: Shop
    ) -> None:
        base = open_shop.base()
        with open_shop.roots.scratch([base]) as root:
            root.path.chmod(0o711)
            os.chown(root.path, 3, 4)
            os.setxattr(root.path, "user.root", b"1")
            changed = open_shop.sealed(root, "root folder")
        with open_shop.roots.scratch([base, changed]) as root:
            (root.path / "more").touch()
            above = open_shop.sealed(root, "above")

        entry = shown(open_shop, [base, changed, above]).entries["/"]

        assert (entry.mode, entry.uid, entry.gid) == (0o711, 3, 4)
        assert entry.xattrs == (("user.root", "31"),)

    def test_seal_when_names_are_taken_away_and_made_again_then_the_stack_shows_it(
        self, open_shop: Shop
    ) -> None:
        base = open_shop.base()
        with open_shop.roots.scratch([base]) as root:
            said(root, "mkdir /d && echo 1 > /d/old && echo 1 > /f && echo 1 > /gone")
            one = open_shop.sealed(root, "names 1")
        with open_shop.roots.scratch([base, one]) as root:
            said(root, "rm -r /d && mkdir /d && echo 2 > /d/new && rm /gone /f && mkdir /f")
            two = open_shop.sealed(root, "names 2")

        tree = manifest.scan(open_shop.store.tree_path(two.content))
        mounted = shown(open_shop, [base, one, two]).entries

        assert tree.opaque >= {"/d"}
        assert tree.whiteouts == {"/gone"}
        assert "/d/new" in mounted
        assert "/d/old" not in mounted
        assert mounted == open_shop.tree([base, one, two])

    def test_scratch_when_equal_layers_lie_in_one_stack_then_it_mounts_and_shows_the_same(
        self, open_shop: Shop
    ) -> None:
        base = open_shop.base()
        stack = [base]
        for number, text in enumerate(("echo a > /f", "rm /f", "echo a > /f", "true", "true")):
            with open_shop.roots.scratch(stack) as root:
                said(root, text)
                stack.append(open_shop.sealed(root, f"equal {number}"))

        assert stack[1].content == stack[3].content
        assert stack[4].content == stack[5].content
        assert shown(open_shop, stack).entries == open_shop.tree(stack)

    def test_scratch_when_there_are_many_layers_then_all_are_there(self, open_shop: Shop) -> None:
        stack = [open_shop.base()]
        for number in range(80):
            with open_shop.roots.scratch(stack) as root:
                (root.path / f"file-{number}").write_text(str(number))
                layer = root.seal(NewLayer(key=a_digest(f"many {number}"), name="many"))
            stack.append(layer)

        with open_shop.roots.scratch(stack) as root:
            assert len(list(root.path.glob("file-*"))) == 80

    @pytest.mark.parametrize("seed", range(8))
    def test_tree_of_random_changes_is_what_the_kernel_shows(
        self, open_shop: Shop, seed: int
    ) -> None:
        chance = random.Random(seed)
        stack = [open_shop.base()]
        for number in range(5):
            with open_shop.roots.scratch(stack) as root:
                for _ in range(25):
                    change_something(root.path, chance)
                stack.append(open_shop.sealed(root, f"random {seed} {number}"))

        assert shown(open_shop, stack).entries == open_shop.tree(stack)


NAMES = ("a", "a.b", "b c", "d\n", os.fsdecode(b"\xff"), "é", "e", "f")


def change_something(root: Path, chance: random.Random) -> None:
    """Make, change or take away one thing, often where something is already."""
    folders = [root, *(p for p in root.rglob("*") if p.is_dir() and not p.is_symlink())]
    ours = [f for f in folders if f == root or f.name in NAMES]
    path = chance.choice(ours) / chance.choice(NAMES)
    exists = os.path.lexists(path)
    is_folder = path.is_dir() and not path.is_symlink()
    match chance.randrange(8):
        case 0 | 1 if not exists:
            path.mkdir()
        case 0 | 1 | 2 if not is_folder and not path.is_symlink():
            path.write_text(chance.choice("xyz"))
        case 3 if exists:
            remove(path)
        case 4 if exists and not path.is_symlink():
            path.chmod(chance.choice((0o700, 0o755, 0o4755)))
            os.chown(path, chance.randrange(3), 0)
        case 5 if not exists:
            path.symlink_to(chance.choice(NAMES))
        case 6:
            files = [p for f in ours for p in f.iterdir() if p.is_file() and p.name in NAMES]
            if files and not exists:
                os.link(chance.choice(files), path, follow_symlinks=False)
        case 7 if is_folder:
            remove(path)
            path.mkdir()
        case _:
            path.parent.chmod(0o751)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for below in path.iterdir():
            remove(below)
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.root
@pytest.mark.parametrize("kind", ["build-", "ansible-", "copy-", "tests-", "transfer-"])
def test_workshop_when_a_killed_process_left_a_folder_then_it_is_gone(
    tmp_path: Path, kind: str
) -> None:
    left = tmp_path / "work" / f"{kind}left"
    left.mkdir(parents=True)
    (left / "alive").touch()

    with shop(tmp_path):
        assert not left.exists()
