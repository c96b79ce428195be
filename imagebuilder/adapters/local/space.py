"""Space: what programs and the system say when a file system is full, in our words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.domain.units import size_text
from imagebuilder.ports.building import StorageFull
from imagebuilder.ports.process import CommandFailed, CommandResult

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
