"""SharedLayers: a machine's own layers, and those of others once they are asked for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Layer, Tree, stack_content
from imagebuilder.domain.layer_record import LayerRecord, key_name
from imagebuilder.ports.building import LayerDamaged, LayerMissing, LayerStore, Lookup
from imagebuilder.ports.sharing import (
    LayerArchives,
    LayerRefused,
    SharedKind,
    SharedName,
    SharedObjectDamaged,
    SharedObjectMissing,
    SharedStoreUnavailable,
)
from imagebuilder.services.sharing.exchange import Exchange, file_name
from imagebuilder.services.sharing.giving import Giving, Scratch

_LARGEST_MANIFEST_BYTES = 256 << 20
_LARGEST_ARCHIVE_BYTES = 64 << 30


class SharedLayers:
    """A LayerStore that looks on this machine first, then in the shared store.

    What comes from there is kept here. What is used here is there when it was settled.
    """

    def __init__(
        self, local: LayerStore, archives: LayerArchives, giving: Giving, exchange: Exchange
    ) -> None:
        """Keep layers in local, and make them from archives of the exchange's store."""
        self._local = local
        self._archives = archives
        self._giving = giving
        self._exchange = exchange
        self._scratch: Scratch = giving.scratch
        self._used: dict[Digest, Layer] = {}

    def find(self, key: Digest, on: Sequence[Layer], not_before: datetime | None = None) -> Lookup:
        """Look for a sound layer of that key, made on those layers, not before a moment."""
        lookup = self._local.find(key, on, not_before)
        if lookup.layer is None:
            lookup = self._found_elsewhere(key, on, not_before, lookup)
        if lookup.layer is not None:
            self._used[lookup.layer.content] = lookup.layer
        return lookup

    def _found_elsewhere(
        self, key: Digest, on: Sequence[Layer], not_before: datetime | None, here: Lookup
    ) -> Lookup:
        if self._exchange.is_left_alone:
            return here
        try:
            record = self._record_of(key, stack_content(on))
            if not_before is not None and record.layer.created_at < not_before:
                return here
            self._fetch(record)
        except SharedObjectMissing:
            return here
        except (SharedStoreUnavailable, SharedObjectDamaged, LayerRefused) as error:
            return Lookup(layer=None, reason=f"{here.reason}; {error.message} {error.context}")
        self._local.publish(record.layer)
        return replace(self._local.find(key, on, not_before), source=self._exchange.store.place)

    def publish(self, layer: Layer) -> None:
        """Let a sealed layer be found by its key, here at once and by others soon."""
        self._local.publish(layer)
        self._local.afterwards(lambda: self._giving.layer(layer, is_new=True))

    def afterwards(self, piece: Callable[[], None]) -> None:
        """Do a piece of work once all that was published before is kept here."""
        self._local.afterwards(piece)

    def settle(self) -> None:
        """See that all that was published is kept, and that others have it and what was used.

        That others have it may fail, which is told.
        """
        self._local.settle()
        used, self._used = self._used, {}
        for layer in used.values():
            self._giving.layer(layer, is_new=False)
        self._giving.settle()

    def get(self, content: Digest) -> Layer:
        """Give a layer by its content.

        Raises: LayerMissing; LayerDamaged; SharedStoreUnavailable: it is not here sound, and
        nobody can tell whether it is there.
        """
        try:
            layer = self._local.get(content)
        except (LayerMissing, LayerDamaged) as lost:
            try:
                self._fetch(self._record(content))
            except (SharedObjectMissing, SharedObjectDamaged, LayerRefused):
                raise lost from None
            layer = self._local.get(content)
        self._used[content] = layer
        return layer

    def has(self, content: Digest) -> bool:
        """Whether a layer of that content is here or there; it is not verified."""
        return self._local.has(content) or self._exchange.has(_layer_name(content))

    def building(self, key: Digest) -> AbstractContextManager[None]:
        """Hold the right to build a key on this machine; others may build it too."""
        return self._local.building(key)

    def tree(self, contents: Sequence[Digest]) -> Tree:
        """Give the file system that layers of these contents make together, lowest first.

        Raises: LayerMissing: nothing can be had of what is written of one of them.
        """
        try:
            return self._local.tree(contents)
        except LayerMissing as missing:
            try:
                for content in contents:
                    self._note(content)
            except (
                SharedObjectMissing,
                SharedObjectDamaged,
                SharedStoreUnavailable,
                LayerRefused,
            ):
                raise missing from None
        return self._local.tree(contents)

    def _record_of(self, key: Digest, below: Digest | None) -> LayerRecord:
        name = SharedName(kind=SharedKind.KEY, digest=key_name(key, below))
        record = self._exchange.record(name)
        layer = record.layer
        if (layer.key, layer.parent_content) != (key, below):
            raise self._refused(LayerRefused(layer.content, "It was made for another key."))
        return record

    def _record(self, content: Digest) -> LayerRecord:
        record = self._exchange.record(_layer_name(content))
        if record.layer.content != content:
            raise self._refused(LayerRefused(content, "Its record is that of another layer."))
        return record

    def _fetch(self, record: LayerRecord) -> None:
        """Keep the layer of a record here.

        Raises: LayerRefused; SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """
        self._note(record.layer.content)
        with self._scratch() as folder:
            file = folder / "archive"
            self._exchange.asked(
                lambda: self._exchange.store.get(record.archive, file, _LARGEST_ARCHIVE_BYTES)
            )
            try:
                self._archives.unpack(record.layer, file)
            except LayerRefused as error:
                raise self._refused(error) from error

    def _note(self, content: Digest) -> None:
        try:
            self._archives.manifest(content)
        except LayerMissing:
            name = file_name(content)
            text = self._exchange.asked(
                lambda: self._exchange.store.read(name, _LARGEST_MANIFEST_BYTES)
            )
            try:
                self._archives.note(content, text)
            except LayerRefused as error:
                raise self._refused(error) from error

    def _refused(self, error: LayerRefused) -> LayerRefused:
        self._exchange.tell(error)
        return error


def _layer_name(content: Digest) -> SharedName:
    return SharedName(kind=SharedKind.LAYER, digest=content)
