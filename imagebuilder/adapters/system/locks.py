"""FileLocks: locks as locked files, which the kernel frees when their holder ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

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
                who = ", ".join(self._sharing(name)) or lock.read()
                raise InProgress(name, who) from busy
            for gone in self._sharers(name).glob("*"):
                gone.unlink(missing_ok=True)
            lock.seek(0)
            lock.truncate()
            lock.write(who)
            lock.flush()
            yield

    @contextmanager
    def share(self, name: str, who: str) -> Iterator[None]:
        """Hold a lock together with others that share it; waits for one who holds it alone."""
        sharers = self._sharers(name)
        sharers.mkdir(parents=True, exist_ok=True)
        with (self._folder / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with NamedTemporaryFile("w", dir=sharers, delete=False) as own:
                fcntl.flock(own, fcntl.LOCK_EX)
                try:
                    own.write(who)
                    own.flush()
                    yield
                finally:
                    Path(own.name).unlink(missing_ok=True)

    def _sharers(self, name: str) -> Path:
        return self._folder / f"{name}.shared"

    def _sharing(self, name: str) -> list[str]:
        """Give those who share a lock now; the file of one who was killed is locked by nobody."""
        found = []
        for path in sorted(self._sharers(name).glob("*")):
            with suppress(FileNotFoundError), path.open() as own:
                try:
                    fcntl.flock(own, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(own.read())
        return sorted(found)

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
