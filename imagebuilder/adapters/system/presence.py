"""How long this process is to do anything: until it is told to leave, or to end at once."""

import threading

from imagebuilder.domain.lease import LeaseLost


class ProcessPresence:
    """Staying until told otherwise; safe to use from several threads, and in a signal's handler."""

    def __init__(self) -> None:
        """Begin here."""
        self._leaving = threading.Event()
        self._gone = threading.Event()
        self._lost: LeaseLost | None = None

    @property
    def is_staying(self) -> bool:
        """False once it is to begin nothing new."""
        return not self._leaving.is_set()

    @property
    def is_here(self) -> bool:
        """False once it is to end at once."""
        return not self._gone.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is to end at once."""
        self._gone.wait(seconds)

    def leave(self) -> None:
        """Let what is under way come to its end and begin nothing new; asked again, end at once."""
        if self._leaving.is_set():
            self._gone.set()
        self._leaving.set()

    def end(self) -> None:
        """End everything in this process at once."""
        self._leaving.set()
        self._gone.set()

    def lose(self, lost: LeaseLost) -> None:
        """End at once, since others were told that this process is dead."""
        self._lost = lost
        self.end()

    def require_not_lost(self) -> None:
        """Let a process pass that was asked to leave. Raises: LeaseLost."""
        if self._lost is not None:
            raise self._lost
