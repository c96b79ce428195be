"""Exchange: the shared store as builds use it, which go on without it.

What is wrong there is told once a run. A store that does not answer is left alone for a minute, so
that a build does not wait for it again with every layer.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.layer_record import LayerRecord, record_of
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.sharing import (
    SharedKind,
    SharedName,
    SharedObjectDamaged,
    SharedStore,
    SharedStoreUnavailable,
)

MUST_STAY = timedelta(days=1)
"""Nothing younger is taken from a shared store, whoever needs it."""
_RENEWED_AFTER = MUST_STAY / 2
_SILENT_SECONDS = 60.0
_LARGEST_RECORD_BYTES = 1 << 20

_Answer = TypeVar("_Answer")


def file_name(digest: Digest) -> SharedName:
    """Give how the file of a digest is called in a shared store."""
    return SharedName(kind=SharedKind.FILE, digest=digest)


class Exchange:
    """Asks one shared store, and remembers what was wrong there."""

    def __init__(self, store: SharedStore, clock: Clock) -> None:
        """Ask store; clock says when it may be asked again."""
        self.store = store
        self._clock = clock
        self._silent_until = 0.0
        self._reason = ""
        self._damaged: set[SharedName] = set()
        self._told: dict[str, None] = {}

    @property
    def is_left_alone(self) -> bool:
        """Whether the store did not answer a moment ago, which was told."""
        return bool(self._reason) and self._clock.monotonic() < self._silent_until

    def asked(self, ask: Callable[[], _Answer]) -> _Answer:
        """Give what the store answers.

        Raises: SharedStoreUnavailable, at once while it is left alone; SharedObjectDamaged;
        SharedObjectMissing, of which nobody is told.
        """
        if self.is_left_alone:
            raise SharedStoreUnavailable(self.store.place, self._reason)
        try:
            return ask()
        except SharedStoreUnavailable as error:
            self._silent_until = self._clock.monotonic() + _SILENT_SECONDS
            self._reason = error.context or error.message
            self.tell(error)
            raise
        except SharedObjectDamaged as error:
            self._damaged.add(error.name)
            self.tell(error)
            raise

    def has(self, name: SharedName, size_bytes: int | None = None) -> bool:
        """Whether an object is there, of that size when one is given; no when nobody can tell."""
        try:
            found = self.asked(lambda: self.store.find(name))
        except SharedStoreUnavailable:
            return False
        return found is not None and size_bytes in {None, found.size_bytes}

    def record(self, name: SharedName) -> LayerRecord:
        """Give what a record says.

        Raises: SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """

        def read() -> LayerRecord:
            text = self.store.read(name, _LARGEST_RECORD_BYTES)
            try:
                return record_of(text)
            except ValueError as error:
                raise SharedObjectDamaged(self.store.place, name, f"Read as {error}.") from error

        return self.asked(read)

    def keeps(self, name: SharedName) -> bool:
        """Whether an object is there sound, as far as is known, and will be for a while.

        Raises: SharedStoreUnavailable.
        """
        found = self.asked(lambda: self.store.find(name))
        if found is None or name in self._damaged:
            return False
        if found.stored_at < self._clock.now() - _RENEWED_AFTER:
            self.asked(lambda: self.store.renew(name))
        return True

    def mended(self, name: SharedName) -> None:
        """Know that an object was put in place of what was damaged."""
        self._damaged.discard(name)

    def tell(self, trouble: ImageBuilderError | str) -> None:
        """Keep a sentence for whoever watches, once."""
        if isinstance(trouble, ImageBuilderError):
            trouble = f"{trouble.message} {trouble.context}".strip()
        self._told.setdefault(trouble)

    def complaints(self) -> tuple[str, ...]:
        """Give all that was told since the last call."""
        told, self._told = tuple(self._told), {}
        return told
