"""Streams: what a program is given to read, and where each of its outputs goes.

Only where bytes come from and go to; moving them through a program's pipes belongs to `process`.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from imagebuilder.adapters.system.capture import CappedBytes, Lines
from imagebuilder.ports.process import Command, OnLine

_CHUNK_BYTES = 64 * 1024


class Feed:
    """What a program is given to read: some bytes, then a file, a chunk at a time."""

    def __init__(self, first: bytes, file: BinaryIO | None) -> None:
        """Give first, then what is in file."""
        self._unsent = memoryview(first)
        self._file = file

    def piece(self) -> memoryview:
        """Give what is next; empty at the end."""
        if not self._unsent and self._file is not None:
            self._unsent = memoryview(self._file.read(_CHUNK_BYTES))
        return self._unsent[:_CHUNK_BYTES]

    def sent(self, count: int) -> None:
        """Go on behind so many bytes."""
        self._unsent = self._unsent[count:]

    def stop(self) -> None:
        """Give nothing more."""
        self._unsent, self._file = memoryview(b""), None


class Kept(Protocol):
    """Where output goes."""

    dropped_bytes: int

    def add(self, chunk: bytes) -> None:
        """Take in what came next."""
        ...

    def content(self) -> bytes:
        """Give what is kept in memory."""
        ...


class CappedFile:
    """A file that takes output up to a limit; `dropped_bytes` counts the rest."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        """Write into file."""
        self._file = file
        self._room = limit_bytes
        self.dropped_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take in what came next."""
        taken = chunk[: self._room]
        self._file.write(taken)
        self._room -= len(taken)
        self.dropped_bytes += len(chunk) - len(taken)

    def content(self) -> bytes:
        """Give nothing: all is in the file."""
        return b""


@dataclass(slots=True)
class Output:
    """One stream of a program: what is kept of it, and who is told its lines."""

    kept: Kept
    lines: Lines | None = None

    def add(self, chunk: bytes) -> None:
        """Take in what came next."""
        self.kept.add(chunk)
        if self.lines is not None:
            self.lines.add(chunk)

    def end(self) -> None:
        """Tell the last line when it had no end."""
        if self.lines is not None:
            self.lines.end()


def opened_feed(command: Command, files: ExitStack) -> Feed:
    """Give what a command reads; its file is open as long as files are."""
    first = command.stdin or b""
    if command.stdin_file is None:
        return Feed(first, None)
    return Feed(first, files.enter_context(Path(command.stdin_file).open("rb")))


def opened_output(command: Command, on_line: OnLine | None, files: ExitStack) -> Output:
    """Give where a command's output goes; its file is open as long as files are."""
    target = command.stdout_file
    if target is None:
        return capped_output(command, on_line)
    return Output(CappedFile(files.enter_context(Path(target.path).open("wb")), target.limit_bytes))


def opened_log(command: Command, files: ExitStack) -> int | None:
    """Give the open file that a command writes into by itself; None when there is none."""
    if command.log_file is None:
        return None
    return files.enter_context(Path(command.log_file).open("ab")).fileno()


def capped_output(command: Command, on_line: OnLine | None) -> Output:
    """Give an output of which the first and the last is kept."""
    half = command.output_limit_bytes // 2
    kept = CappedBytes(first_bytes=half, last_bytes=half)
    return Output(kept, None if on_line is None else Lines(on_line))
