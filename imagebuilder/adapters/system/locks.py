"""FileLocks: locks as locked files, which the kernel frees when their holder ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.ports.locks import InProgress


class FileLocks:
    """Locks below a folder."""

    def __init__(self, folder: Path) -> None:
        """Use folder, made when the first lock is wanted."""
        self._folder = folder

    @contextmanager
    def hold(self, name: str, who: str) -> Iterator[None]:
        """Hold a lock, telling others who has it.

        Raises: InProgress: another process does.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / name).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as busy:
                lock.seek(0)
                raise InProgress(name, lock.read()) from busy
            lock.seek(0)
            lock.truncate()
            lock.write(who)
            lock.flush()
            yield

    def is_held(self, name: str) -> bool:
        """Whether some process holds a lock now."""
        path = self._folder / name
        if not path.exists():
            return False
        with path.open("a") as lock:
            try:
                # Shared, so that two who ask at once do not take each other for a holder.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
