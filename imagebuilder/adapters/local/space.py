"""Space: what programs and the system say when a file system is full, in our words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.domain.units import MIB, size_text
from imagebuilder.ports.building import StorageFull
from imagebuilder.ports.process import CommandFailed, CommandResult

_LEAST_BYTES = 64 * MIB
_MOST_BYTES = 512 * MIB
_MOST_FILES = 200_000
_PHRASES = (
    *(b"No space left on device", b"Disk quota exceeded", b"enough free space in"),
    # GNU tar, of a write that was cut short.
    b"Wrote only ",
)


def is_for_space(result: CommandResult) -> bool:
    """Whether a program failed because a file system was full."""
    said = result.stderr + result.stdout
    return result.exit_status != 0 and any(phrase in said for phrase in _PHRASES)


@contextmanager
def full_told(folder: Path) -> Iterator[None]:
    """Say in our own words when something below folder failed for lack of space.

    Raises: StorageFull.
    """
    try:
        yield
    except CommandFailed as failed:
        if is_for_space(failed.result):
            raise _full(folder) from failed
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        raise


def _full(folder: Path) -> StorageFull:
    free = os.statvfs(folder)
    return StorageFull(str(folder), size_text(free.f_bavail * free.f_frsize))


def free_memory_bytes() -> int:
    """Give how much memory is free, or would be at once."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def small_memory(folder: Path) -> list[str]:
    """Give the command that mounts a file system in memory, too small to do this machine harm."""
    size_bytes = max(_LEAST_BYTES, min(_MOST_BYTES, free_memory_bytes() // 4))
    options = f"mode=0700,size={size_bytes},nr_inodes={_MOST_FILES}"
    return ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
