"""Working folders that are never left behind: those of a killed process are taken away."""

import contextlib
import ctypes
import fcntl
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from imagebuilder.adapters.local.space import full_told

_LOCK = "alive"
_LONGEST_SOCKET = 107
"""Source: unix(7): 108 bytes with the one that ends it."""
_LONGEST_NAME = len("/control.0123456789abcdef")
"""OpenSSH makes the socket of a connection under a longer name, with 17 characters more."""
_RANDOM = 8
"""So many characters `mkdtemp` adds."""
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT = 4
"""Source: proc(5), the fifth field of a line; blanks and the like stand in it as \\040."""
_UNPRINTED = re.compile(rb"\\([0-7]{3})")
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
"""Source: mount(2), umount(2)."""


@contextlib.contextmanager
def working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a folder that is gone when the context ends; those of the dead are gone at once."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    with contextlib.ExitStack() as stack:
        with _door(parent):
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
            lock = stack.enter_context((folder / _LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            stack.callback(_remove, folder)
        yield folder


def short_folder(parent: Path, prefix: str) -> contextlib.AbstractContextManager[Path]:
    """Give a working folder that a socket can stand in, elsewhere when parent's path is long."""
    longest = len(os.fsencode(parent / prefix)) + _RANDOM + _LONGEST_NAME
    place = parent if longest <= _LONGEST_SOCKET else Path(tempfile.gettempdir())
    return working_folder(place, prefix)


def sweep(parent: Path, prefix: str = "") -> None:
    """Take away the folders whose processes are no more, by default of whatever kind."""
    if not parent.is_dir():
        return
    with _door(parent):
        folders = (path for path in parent.glob(f"{prefix}*") if path.is_dir())
        dead = [folder for folder in folders if _is_dead(folder)]
        for folder in dead:
            with contextlib.suppress(OSError):
                remove_tree(folder)


@contextlib.contextmanager
def transfer_folder(parent: Path) -> Iterator[Path]:
    """Give a folder for one file on its way into an image or out of one.

    Raises: StorageFull: there was no room for it.
    """
    with working_folder(parent, "transfer-") as folder, full_told(folder):
        yield folder


@contextlib.contextmanager
def _door(parent: Path) -> Iterator[None]:
    """Let one at a time make or take away folders: one without a holder is then a dead one's."""
    opened = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _remove(folder: Path) -> None:
    with _door(folder.parent):
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, however deep an image has made it.

    What is mounted below it (a bootstrap that was killed leaves /proc and the machine's own /sys
    there) is detached before: nothing is ever removed on the far side of a mount.
    Raises: OSError: it cannot be detached, or removed.
    """
    _detach_mounts(folder)
    try:
        shutil.rmtree(folder)
    except RecursionError:
        _flatten(folder)
        shutil.rmtree(folder)


def _detach_mounts(folder: Path) -> None:
    """Detach what is mounted at or below a folder, each with all that is mounted below it."""
    libc = ctypes.CDLL(None, use_errno=True)
    while mounts := _mounts_in(folder):
        point = min(mounts, key=len)
        # Else what goes here would go from where it was bound from as well.
        is_done = libc.mount(None, point, None, _MS_REC | _MS_PRIVATE, None) == 0
        if not is_done or libc.umount2(point, _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fsdecode(point))


def _mounts_in(folder: Path) -> list[bytes]:
    """Give the mount points at or below a folder that this process sees."""
    top = os.fsencode(folder.resolve())
    points = (
        _UNPRINTED.sub(lambda octal: bytes([int(octal[1], 8)]), line.split(b" ")[_MOUNT_POINT])
        for line in _MOUNTS.read_bytes().splitlines()
    )
    return [point for point in points if point == top or point.startswith(top + b"/")]


def _flatten(folder: Path) -> None:
    """Move every folder below to the top, so that none is deep."""
    names = itertools.count()
    waiting = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as found:
            below = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        for path in below:
            moved = tempfile.mktemp(dir=folder, prefix=f"flat-{next(names)}-")  # noqa: S306 - ours
            os.rename(path, moved)  # noqa: PTH104 - as above, text is enough
            waiting.append(moved)


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            return _is_free(lock)
    except OSError:
        # Its process ended before it had locked it, or while it took it away.
        return True


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
