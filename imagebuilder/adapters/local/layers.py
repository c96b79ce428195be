"""FileLayerStore: layers as folders, named by content, found by key.

layers/trees/<content>       what the layer changed, as an overlay's lower folder
layers/manifests/<content>   what it should hold; the digest of this file is the content digest
layers/stamps/<content>      the fingerprint under which it was last found whole, and in which boot
layers/keys/<key>            which content the key was last built to, and on what

A layer is copied here from scratch space while the build goes on, and is used from there meanwhile.
A key is written last and atomically, so a half-written layer has no name. Nothing is synced to the
disk: whatever a crash of the machine cost is found by the first look after its start, which reads
every byte, and a layer can always be made again.
"""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.beside import Beside
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Layer, LayerTree, Tree, merged, stack_content
from imagebuilder.domain.layer_record import layer_document, layer_of
from imagebuilder.ports.building import LayerDamaged, LayerMissing, LayersUnusable, Lookup


class FileLayerStore:
    """Keeps layers below a folder."""

    def __init__(self, folder: Path, boot_id: str) -> None:
        """Use folder, which is made when it is not there; boot_id names this start.

        Raises: LayersUnusable: it cannot be made.
        """
        self._folder = folder
        self._boot_id = boot_id
        self._manifests: dict[Digest, LayerTree] = {}
        self._trees: dict[tuple[Digest, ...], Tree] = {}
        self._scratch: dict[Digest, Path] = {}
        self._unpublished: set[Digest] = set()
        self._beside = Beside("layers")
        try:
            for part in ("trees", "manifests", "stamps", "keys", "locks"):
                (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayersUnusable(str(folder), error.strerror or str(error)) from error

    def find(self, key: Digest, on: Sequence[Layer], not_before: datetime | None = None) -> Lookup:
        """Look for a sound layer of that key, made on those layers, not before a moment."""
        if key in self._unpublished:
            self._beside.wait()
        try:
            layer = _read_record(self._folder / "keys" / key.hex)
        except ValueError:
            return Lookup(layer=None, reason="damaged: its record is not as it was written")
        if layer is None:
            return Lookup(layer=None, reason="never built")
        reason = self._unfitness(layer, on, not_before)
        if not reason:
            # What was used is kept longest; a store that cannot be written is only read from.
            with contextlib.suppress(OSError):
                os.utime(self._folder / "keys" / key.hex)
        return Lookup(layer=None if reason else layer, reason=reason)

    def _unfitness(self, layer: Layer, on: Sequence[Layer], not_before: datetime | None) -> str:
        """Say why a layer cannot be used; nothing when it can."""
        if layer.parent_content != stack_content(on):
            return "built on another build of the layers below"
        if not_before is not None and layer.created_at < not_before:
            return f"built {layer.created_at:%Y-%m-%d %H:%M}, too old"
        damage = self._damage(layer)
        if damage is not None:
            self._forget(layer)
            return f"damaged: {damage} differs"
        return ""

    def get(self, content: Digest) -> Layer:
        """Give a layer by its content, verified.

        Raises: LayerMissing; LayerDamaged.
        """
        try:
            layer = _read_record(self._folder / "manifests" / f"{content.hex}.layer")
        except ValueError as damaged:
            raise LayerDamaged(content.short, "its record") from damaged
        if layer is None or not self.has(content):
            raise LayerMissing(layer.name if layer else "?", content)
        damage = self._damage(layer)
        if damage is not None:
            raise LayerDamaged(layer.name, damage)
        return layer

    def has(self, content: Digest) -> bool:
        """Whether a layer of that content is there; it is not verified."""
        return self.tree_path(content).is_dir()

    @contextlib.contextmanager
    def building(self, key: Digest) -> Iterator[None]:
        """Hold the right to build a key, until what was published is settled.

        Waits while another process has it.
        """
        with contextlib.ExitStack() as held:
            lock = held.enter_context((self._folder / "locks" / key.hex).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
            # Whoever waits for it would look for a key that is still to be written.
            self._beside.then(held.pop_all().close)

    def tree(self, contents: Sequence[Digest]) -> Tree:
        """Give the file system that layers of these contents make together, lowest first.

        A build asks for the same few trees again and again, so they are remembered.
        Raises: LayerMissing: nothing sound is written of one of them.
        """
        asked = tuple(contents)
        if asked not in self._trees:
            self._trees[asked] = merged(map(self.noted, asked))
        return self._trees[asked]

    def tree_path(self, content: Digest) -> Path:
        """Give the folder that an overlay takes as a lower one."""
        return self._scratch.get(content, self.kept_path(content))

    def kept_path(self, content: Digest) -> Path:
        """Give the folder that a layer is kept in, whatever is used meanwhile."""
        return self._folder / "trees" / content.hex

    def incoming(self) -> contextlib.AbstractContextManager[Path]:
        """Give a folder on the store's file system to make a tree in; gone with its process."""
        return working_folder(self._folder / "incoming", "layer-")

    def keep(
        self, upper: Path, layer: Layer, tree: LayerTree, copy: Callable[[Path, Path], None]
    ) -> None:
        """Keep a copy of a folder as a layer; the folder itself is used until `settle`."""
        self._manifests[layer.content] = tree
        self._scratch[layer.content] = upper
        self._beside.then(lambda: self._copied(upper, layer, tree, copy))

    def _copied(
        self, upper: Path, layer: Layer, tree: LayerTree, copy: Callable[[Path, Path], None]
    ) -> None:
        with self.incoming() as folder:
            copy(upper, folder / "tree")
            self.adopt(folder / "tree", layer, tree)

    def adopt(self, upper: Path, layer: Layer, tree: LayerTree) -> Layer:
        """Keep a folder as a layer, taking the folder itself away."""
        target = self.kept_path(layer.content)
        self._write(self._folder / "manifests" / layer.content.hex, manifest.written(tree))
        # A folder of that name may be from before a crash of the machine: it is not believed.
        if target.exists() and self._damage(layer) is not None:
            self._remove_tree(target)
        if not target.exists():
            self._rename_unless_there(upper, target)
            self._write_stamp(layer.content)
        self._write(self._folder / "manifests" / f"{layer.content.hex}.layer", _layer_text(layer))
        return layer

    def _rename_unless_there(self, upper: Path, target: Path) -> None:
        try:
            upper.rename(target)
        except OSError as error:
            # Another process made the same meanwhile, from another key.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def publish(self, layer: Layer) -> None:
        """Let a sealed layer be found by its key, as soon as it is here."""
        self._unpublished.add(layer.key)
        self._beside.then(lambda: self._published(layer))

    def _published(self, layer: Layer) -> None:
        self._write(self._folder / "keys" / layer.key.hex, _layer_text(layer))
        self._unpublished.discard(layer.key)

    def afterwards(self, piece: Callable[[], None]) -> None:
        """Do a piece of work once all that was published before is here."""
        self._beside.then(piece)

    def settle(self) -> None:
        """See that all that was kept and published is here; no scratch folder is used after it.

        Durable: our own death costs nothing after it. Raises: whatever kept a layer from the store.
        """
        self._beside.wait()
        self._scratch.clear()

    def forget_scratch(self) -> None:
        """Use no scratch folder any more, whatever came of what was to be kept.

        A failure to keep it is no news then: either it was told, or another one is on its way.
        """
        with contextlib.suppress(Exception):
            self._beside.wait()
        self._scratch.clear()

    def _damage(self, layer: Layer) -> str | None:
        """Give the first path that is not as recorded, or None when the layer is whole."""
        folder = self.kept_path(layer.content)
        try:
            text = self._manifest_text(layer.content)
        except (FileNotFoundError, ValueError):
            return "the manifest"
        if folder.is_symlink() or not folder.is_dir():
            return "/"
        try:
            stamp = json.loads((self._folder / "stamps" / layer.content.hex).read_text())
        except (FileNotFoundError, ValueError):
            stamp = None
        if stamp == {"boot": self._boot_id, "stamp": manifest.stamp(folder)}:
            return None
        recorded = manifest.read(text)
        damage = manifest.first_difference(recorded, manifest.scan(folder))
        if damage is None:
            self._write_stamp(layer.content)
        return damage

    def _forget(self, layer: Layer) -> None:
        """Take a damaged layer away; its name first, so that nobody starts to use it."""
        (self._folder / "keys" / layer.key.hex).unlink(missing_ok=True)
        (self._folder / "manifests" / f"{layer.content.hex}.layer").unlink(missing_ok=True)
        self._remove_tree(self.kept_path(layer.content))

    def _remove_tree(self, folder: Path) -> None:
        """Take a tree away; under its own name it is gone at once."""
        # Another process may have found the same damage and be faster.
        with self.incoming() as away, contextlib.suppress(FileNotFoundError):
            folder.rename(away / "tree")

    def manifest_text(self, content: Digest) -> bytes:
        """Give what is written of a layer's files. Raises: LayerMissing: nothing sound is."""
        try:
            return self._manifest_text(content)
        except (FileNotFoundError, ValueError) as error:
            raise LayerMissing(content.short, content) from error

    def note(self, content: Digest, tree: LayerTree) -> None:
        """Keep what the files of a layer should be, which are not here."""
        self._write(self._folder / "manifests" / content.hex, manifest.written(tree))

    def noted(self, content: Digest) -> LayerTree:
        """Give what the files of a layer should be. Raises: LayerMissing."""
        if content not in self._manifests:
            self._manifests[content] = manifest.read(self.manifest_text(content))
        return self._manifests[content]

    def _manifest_text(self, content: Digest) -> bytes:
        text = (self._folder / "manifests" / content.hex).read_bytes()
        if Digest.of_bytes(text) != content:
            raise ValueError(f"the manifest of {content} is damaged")
        return text

    def _write_stamp(self, content: Digest) -> None:
        text = {"boot": self._boot_id, "stamp": manifest.stamp(self.kept_path(content))}
        self._write(self._folder / "stamps" / content.hex, json.dumps(text).encode())

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that is there whole or not at all."""
        with self.incoming() as folder:
            temporary = folder / "file"
            temporary.write_bytes(content)
            temporary.replace(path)


def _read_record(path: Path) -> Layer | None:
    """Give the layer that a file records, None when there is no such file.

    Raises: ValueError: the file is not as it was written.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    check, _, body = text.partition(b"\n")
    if check.decode(errors="replace") != Digest.of_bytes(body).hex:
        raise ValueError(f"{path} is damaged")
    return layer_of(json.loads(body))


def _layer_text(layer: Layer) -> bytes:
    """Write a layer's record: the digest of what follows, a line end, the fields."""
    body = json.dumps(layer_document(layer), indent=1).encode()
    return f"{Digest.of_bytes(body).hex}\n".encode() + body
