"""A SharedStore in memory, and layers of a fake store as files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.layer import Layer, LayerTree
from imagebuilder.ports.building import LayerMissing
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.sharing import (
    LayerRefused,
    SharedKind,
    SharedName,
    SharedObject,
    SharedObjectMissing,
    SharedStoreUnavailable,
    refuse_large,
    refuse_other,
)
from tests.fakes.building import FakeLayerStore, a_file
from tests.fakes.clock import FakeClock


class FakeSharedStore:
    """Keeps objects in a dictionary; while it is `silent` it does not answer, and counts that."""

    place = "fake://store"

    def __init__(self, clock: Clock | None = None) -> None:
        self.contents: dict[SharedName, bytes] = {}
        self.stored_at: dict[SharedName, datetime] = {}
        self.silent = False
        self.asked_in_vain = 0
        self.puts: list[SharedName] = []
        self._clock = clock or FakeClock()

    def check(self) -> None:
        self._answer()

    def find(self, name: SharedName) -> SharedObject | None:
        self._answer()
        if name not in self.contents:
            return None
        size_bytes = len(self.contents[name])
        return SharedObject(name=name, size_bytes=size_bytes, stored_at=self.stored_at[name])

    def put(self, name: SharedName, file: PurePath) -> None:
        self.write(name, Path(file).read_bytes())

    def write(self, name: SharedName, content: bytes) -> None:
        self._answer()
        self.puts.append(name)
        self.contents[name] = content
        self.stored_at[name] = self._clock.now()

    def get(self, digest: Digest, into: PurePath, largest_bytes: int) -> None:
        name = SharedName(kind=SharedKind.FILE, digest=digest)
        Path(into).write_bytes(self.read(name, largest_bytes))

    def read(self, name: SharedName, largest_bytes: int) -> bytes:
        self._answer()
        if name not in self.contents:
            raise SharedObjectMissing(self.place, name)
        content = self.contents[name]
        refuse_large(self.place, name, len(content), largest_bytes)
        if name.kind is SharedKind.FILE:
            refuse_other(self.place, name, Digest.of_bytes(content))
        return content

    def renew(self, name: SharedName) -> None:
        self._answer()
        if name in self.contents:
            self.stored_at[name] = self._clock.now()

    def objects(self, kind: SharedKind) -> Iterator[SharedObject]:
        self._answer()
        for name in sorted(self.contents, key=str):
            found = self.find(name)
            if name.kind is kind and found is not None:
                yield found

    def remove(self, name: SharedName) -> None:
        self._answer()
        self.contents.pop(name, None)

    def sweep(self, unfinished_since: datetime) -> int:
        self._answer()
        return 0

    def _answer(self) -> None:
        if self.silent:
            self.asked_in_vain += 1
            raise SharedStoreUnavailable(self.place, "Connection refused.")


class FakeLayerArchives:
    """Layers of a fake store; `fails` is raised when one is to be packed.

    Shape: the manifest is the list of what a FakeRoot sealed, whose digest is its content.
    """

    def __init__(self, store: FakeLayerStore) -> None:
        self.store = store
        self.fails: Exception | None = None

    def manifest(self, content: Digest) -> bytes:
        if content not in self.store.manifests:
            raise LayerMissing("a layer", content)
        entries = self.store.manifests[content].entries
        return canonical_json({path: str(entry.content) for path, entry in entries.items()})

    def note(self, content: Digest, manifest: bytes) -> None:
        if Digest.of_bytes(manifest) != content:
            raise LayerRefused(content, "Its manifest is that of another layer.")
        files = json.loads(manifest)
        self.store.manifests[content] = LayerTree(
            entries={p: replace(a_file(), content=_digest(c)) for p, c in files.items()}
        )

    def pack(self, content: Digest, into: PurePath) -> Digest:
        if self.fails is not None:
            raise self.fails
        if not self.store.has(content):
            raise LayerMissing("a layer", content)
        Path(into).write_bytes(b"files of " + content.hex.encode())
        return Digest.of_bytes(b"files of " + content.hex.encode())

    def unpack(self, layer: Layer, archive: PurePath) -> None:
        if Path(archive).read_bytes() != b"files of " + layer.content.hex.encode():
            raise LayerRefused(layer.content, "Its archive is that of another layer.")
        self.store.adopt(layer, self.store.manifests[layer.content])


def _digest(text: str) -> Digest | None:
    return None if text == "None" else Digest.parse(text)


@contextmanager
def a_scratch_folder() -> Iterator[PurePath]:
    with TemporaryDirectory(prefix="fake-scratch-") as folder:
        yield Path(folder)
