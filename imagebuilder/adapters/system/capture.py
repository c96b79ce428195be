"""What is kept of a program's output: the ends of a flood, and its lines as they come.

Only bytes in memory; reading them from a program belongs to `process`.
"""

from collections import deque

from imagebuilder.ports.process import OnLine

_LONGEST_LINE_BYTES = 64 * 1024


class CappedBytes:
    """The first and the last of some bytes.

    Invariant: never holds more than its two limits together; `dropped_bytes` counts the rest.
    """

    def __init__(self, *, first_bytes: int, last_bytes: int) -> None:
        """Keep so many of the first and of the last."""
        self._first = bytearray()
        self._first_limit = first_bytes
        self._last: deque[bytes] = deque()
        self._last_limit = last_bytes
        self._last_size = 0
        self.dropped_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take in what came next."""
        room = self._first_limit - len(self._first)
        self._first += chunk[:room]
        rest = chunk[room:]
        if rest:
            self._last.append(rest)
            self._last_size += len(rest)
            self._drop_oldest()

    def content(self) -> bytes:
        """Give what is kept, joined where bytes were dropped."""
        return bytes(self._first) + b"".join(tuple(self._last))

    def _drop_oldest(self) -> None:
        while self._last_size > self._last_limit:
            excess = self._last_size - self._last_limit
            oldest = self._last.popleft()
            if len(oldest) > excess:
                self._last.appendleft(oldest[excess:])
            gone = min(len(oldest), excess)
            self._last_size -= gone
            self.dropped_bytes += gone


class Lines:
    """Turns chunks of bytes into whole lines of text, told one by one.

    Invariant: holds less than one longest line; a line without end is told in pieces.
    """

    def __init__(self, tell: OnLine) -> None:
        """Tell lines to tell."""
        self._tell = tell
        self._open = b""

    def add(self, chunk: bytes) -> None:
        """Take in what came next and tell the lines that are now whole."""
        *whole, self._open = (self._open + chunk).split(b"\n")
        for line in whole:
            self._tell(_text(line))
        while len(self._open) >= _LONGEST_LINE_BYTES:
            piece, self._open = (
                self._open[:_LONGEST_LINE_BYTES],
                self._open[_LONGEST_LINE_BYTES:],
            )
            self._tell(_text(piece))

    def end(self) -> None:
        """Tell the last line when it had no end."""
        if self._open:
            rest, self._open = self._open, b""
            self._tell(_text(rest))


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
