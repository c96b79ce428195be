"""Layers taken out of a FileLayerStore's folder; the store itself only ever adds.

A layer is taken in this order: the keys that lead to it, its record, its tree, the stamp. So a
crash in between leaves a tree that nobody finds, and the next one takes it. What is written of its
files stays: two versions can be compared when both are long gone.
"""

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.freeing import StoredLayer


class FileLayerShelf:
    """The layers below a folder."""

    def __init__(self, folder: Path) -> None:
        """Look into the folder of a FileLayerStore."""
        self._folder = folder

    def stored(self) -> Sequence[StoredLayer]:
        """Give every layer that is whole or partly there, by content."""
        used = self._last_used()
        trees = {path.name: path for path in (self._folder / "trees").glob("*")}
        found = []
        for name, tree in sorted(trees.items()):
            with suppress(ValueError):  # a name that is no digest is not ours
                found.append(self._layer(Digest(name), tree, used))
        return found

    def remove(self, contents: Collection[Digest]) -> int:
        """Take layers away but for what is written of their files, and give the bytes that took."""
        names = {content.hex for content in contents}
        if not names:
            return 0
        size_bytes = sum(layer.size_bytes for layer in self.stored() if layer.content in contents)
        for key, fields in self._keys():
            if str(fields.get("content")) in names:
                key.unlink(missing_ok=True)
        for name in sorted(names):
            (self._folder / "manifests" / f"{name}.layer").unlink(missing_ok=True)
            self._remove_tree(self._folder / "trees" / name)
            (self._folder / "stamps" / name).unlink(missing_ok=True)
        return size_bytes

    def _layer(self, content: Digest, tree: Path, used: dict[str, float]) -> StoredLayer:
        fields = _fields(self._folder / "manifests" / f"{content.hex}.layer")
        evidence = fields.get("evidence")
        moment = used.get(content.hex, tree.lstat().st_ctime)
        return StoredLayer(
            content=content,
            name=str(fields.get("name", "?")),
            size_bytes=int(str(fields.get("size_bytes", 0))),
            used_at=datetime.fromtimestamp(moment, UTC),
            blobs=frozenset(
                Digest(str(digest))
                for digest in (evidence.values() if isinstance(evidence, dict) else ())
            ),
        )

    def _last_used(self) -> dict[str, float]:
        """Give when each layer was last found. Shape: content -> seconds since 1970."""
        used: dict[str, float] = {}
        for key, fields in self._keys():
            content = str(fields.get("content"))
            used[content] = max(used.get(content, 0.0), key.stat().st_mtime)
        return used

    def _keys(self) -> Sequence[tuple[Path, dict[str, object]]]:
        return [(path, _fields(path)) for path in sorted((self._folder / "keys").glob("*"))]

    def _remove_tree(self, tree: Path) -> None:
        """Take a tree away; under its own name it is gone at once."""
        incoming = self._folder / "incoming"
        with working_folder(incoming, "layer-") as away, suppress(FileNotFoundError):
            tree.rename(away / "tree")


def _fields(path: Path) -> dict[str, object]:
    """Give what a record says; nothing when it cannot be read, as the store finds out as well."""
    try:
        fields = json.loads(path.read_bytes().partition(b"\n")[2])
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
