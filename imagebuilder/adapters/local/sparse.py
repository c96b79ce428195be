"""Sparse files: only what is data is read or copied."""

import os
from collections.abc import Iterator
from pathlib import Path

_STEP_BYTES = 1 << 20


def data_extents(fd: int, end_bytes: int, start_bytes: int = 0) -> Iterator[tuple[int, int]]:
    """Give the stretches of a file that are not holes and begin before an end.

    Shape: (start, end), ascending.
    """
    position = start_bytes
    while position < end_bytes:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:  # no data behind position: ENXIO
            return
        if start >= end_bytes:
            return
        position = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, position


def zero(fd: int, start_bytes: int, end_bytes: int) -> None:
    """Make a stretch of a file zeros; what is zeros already is not written."""
    for position in range(start_bytes, end_bytes, _STEP_BYTES):
        zeros = bytes(min(_STEP_BYTES, end_bytes - position))
        if os.pread(fd, len(zeros), position) != zeros:
            os.pwrite(fd, zeros, position)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file with its holes; what target held before is gone."""
    with source.open("rb") as opened, target.open("wb") as made:
        size = os.fstat(opened.fileno()).st_size
        made.truncate(size)
        for start, end in data_extents(opened.fileno(), size):
            _copy_range(opened.fileno(), made.fileno(), start, end)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    position = start
    while position < end:
        try:
            copied = os.copy_file_range(source, target, end - position, position, position)
        except OSError:
            # Between file systems, or on one that cannot: copied by way of our own memory.
            copied = os.pwrite(
                target, os.pread(source, min(end - position, _STEP_BYTES), position), position
            )
        if copied == 0:
            return
        position += copied
