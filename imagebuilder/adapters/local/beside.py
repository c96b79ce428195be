"""Beside: work that goes on in the background, one piece after another."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock


class Beside:
    """Does pieces of work in the order they came, after a failure none until that was told.

    Its thread begins with the first piece and ends when all was waited for: one that lived on would
    keep the mounts of a workshop that is closed, and see none of the next.
    """

    def __init__(self, name: str) -> None:
        """Call the thread by a name."""
        self._name = name
        self._worker: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None
        # Pieces come from more than one thread, also while another waits.
        self._lock = Lock()

    def then(self, piece: Callable[[], None]) -> None:
        """Do a piece of work after all that came before."""
        with self._lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
            self._last = self._worker.submit(_after, self._last, piece)

    def wait(self) -> None:
        """Wait until all is done. Raises: what the first failed piece raised, once."""
        last, worker = self._last, self._worker
        if last is None or worker is None:
            return
        try:
            last.result()
        finally:
            with self._lock:
                if self._last is last:
                    self._last = self._worker = None
                    worker.shutdown()


def _after(before: Future[None] | None, piece: Callable[[], None]) -> None:
    if before is not None:
        before.result()
    piece()
