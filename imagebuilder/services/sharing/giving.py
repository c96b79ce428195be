"""Giving: what this machine made is put into the shared store, beside the build.

A failure costs other machines time and this one nothing: it is told, and the build goes on.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import PurePath
from threading import Lock, Thread
from typing import TypeAlias

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.layer_record import LayerRecord, key_name, record_text
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.sharing import (
    LayerArchives,
    SharedKind,
    SharedName,
    SharedObjectDamaged,
    SharedObjectMissing,
    SharedStoreUnavailable,
)
from imagebuilder.services.sharing.exchange import Exchange, file_name

Scratch: TypeAlias = Callable[[], AbstractContextManager[PurePath]]
"""Gives a folder of this machine, for a context."""


class Giving:
    """Gives layers and files, one after another, by a thread that ends when all is given.

    The thread dies with the process: whatever it had not given is given by the next build that
    uses it, and an object that is half there is none.
    """

    def __init__(
        self,
        exchange: Exchange,
        archives: Callable[[], LayerArchives],
        blobs: BlobStore,
        scratch: Scratch,
    ) -> None:
        """Give the files of blobs, and the layers of archives, opened when there is one."""
        self._exchange = exchange
        self._store = exchange.store
        self._archives = archives
        self._blobs = blobs
        self.scratch = scratch
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._lost = 0

    def layer(self, layer: Layer, *, is_new: bool) -> None:
        """Give a layer that is kept here; a new one is found by its key from then on."""
        self._later(f"Layer {layer.name}", lambda: self._give_layer(layer, is_new=is_new))

    def file(self, digest: Digest) -> None:
        """Give a blob that is kept here."""
        self._later(f"File {digest.short}", lambda: self._give_file(digest))

    def settle(self) -> None:
        """Wait until all was given, or could not be."""
        while True:
            with self._lock:
                thread = self._thread
            if thread is None:
                break
            thread.join()
        if self._lost:
            self._exchange.tell(f"{self._lost} layers and files were not given to other machines.")
            self._lost = 0

    def _later(self, what: str, give: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append((what, give))
            if self._thread is None:
                self._thread = Thread(target=self._work, name="giving", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                what, give = self._waiting.popleft()
            self._attempt(what, give)

    def _attempt(self, what: str, give: Callable[[], None]) -> None:
        try:
            give()
        except SharedStoreUnavailable:
            self._lost += 1
        except ImageBuilderError as error:
            self._exchange.tell(f"{what} was not given to other machines: {error.message}")
        except Exception as error:  # noqa: BLE001 - whatever it is, no build fails of it
            self._exchange.tell(f"{what} was not given to other machines: {error!r}")

    def _give_layer(self, layer: Layer, *, is_new: bool) -> None:
        name = SharedName(kind=SharedKind.LAYER, digest=layer.content)
        there = self._record(name)
        is_whole = there is not None and self._keeps(layer.content) and self._keeps(there.archive)
        archive = there.archive if there and is_whole else self._give_archive(layer)
        for digest in layer.evidence.values():
            self._give_file(digest)
        own = record_text(LayerRecord(layer=layer, archive=archive))
        if not is_whole or not self._exchange.keeps(name):
            self._write(name, own)
        # Which of two layers a key means is for the machine to say that made one last.
        key = SharedName(kind=SharedKind.KEY, digest=key_name(layer.key, layer.parent_content))
        if is_new or not self._exchange.keeps(key):
            self._write(key, own)

    def _record(self, name: SharedName) -> LayerRecord | None:
        try:
            return self._exchange.record(name)
        except (SharedObjectMissing, SharedObjectDamaged):
            return None

    def _keeps(self, digest: Digest) -> bool:
        return self._exchange.keeps(file_name(digest))

    def _give_archive(self, layer: Layer) -> Digest:
        """Put all that a layer is made of, also in place of what may be damaged unseen."""
        self._write(file_name(layer.content), self._archives().manifest(layer.content))
        with self.scratch() as folder:
            file = folder / "archive"
            digest = self._archives().pack(layer.content, file)
            self._put(file_name(digest), file)
        return digest

    def _give_file(self, digest: Digest) -> None:
        if not self._keeps(digest):
            self._put(file_name(digest), self._blobs.path(digest))

    def _put(self, name: SharedName, file: PurePath) -> None:
        self._exchange.asked(lambda: self._store.put(name, file))
        self._exchange.mended(name)

    def _write(self, name: SharedName, content: bytes) -> None:
        self._exchange.asked(lambda: self._store.write(name, content))
        self._exchange.mended(name)
