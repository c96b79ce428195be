"""Beside: work that goes on in the background, one piece after another."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Beside:
    """Does pieces of work in the order they came, after a failure none until that was told."""

    def __init__(self, name: str) -> None:
        """Call the thread by a name; it is started by the first piece."""
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._last: Future[None] | None = None

    def then(self, piece: Callable[[], None]) -> None:
        """Do a piece of work after all that came before."""
        self._last = self._worker.submit(_after, self._last, piece)

    def wait(self) -> None:
        """Wait until all is done. Raises: what the first failed piece raised, once."""
        last = self._last
        if last is None:
            return
        try:
            last.result()
        finally:
            if self._last is last:
                self._last = None


def _after(before: Future[None] | None, piece: Callable[[], None]) -> None:
    if before is not None:
        before.result()
    piece()
