"""Stopping: whoever ends a command from outside sees everything put away first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from imagebuilder.domain.run import RunInterrupted


@contextmanager
def stoppable() -> Iterator[None]:
    """Let whoever stops us, or closes our terminal, see everything put away, as Ctrl-C does."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        # Once is enough: to be asked again must not cut the putting away short.
        signal.signal(number, signal.SIG_IGN)
        raise RunInterrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
