"""FolderShelf: files in a folder, which a web server or a mount hands out.

The folder itself is never made: where nothing is mounted, its files would fill this machine. Others
may write to it too: what they lay where our files are leads nowhere else, and nobody waits for it.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.adapters.system.blobs import copied, flush
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.domain.units import size_text
from imagebuilder.ports.shelves import LARGEST_TEXT_BYTES, Change, Parcel, Shelved
from imagebuilder.ports.targets import TargetRefused

if TYPE_CHECKING:
    from io import BufferedReader

_FOR_EVERYBODY = 0o644
_FOLDER_FOR_EVERYBODY = 0o755
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS}
_HERE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither led elsewhere by a link, nor made to wait by a pipe."""

_LOCK = ".imagebuilder.lock"
_FOR_US = 0o600
"""Who can open a lock can keep it for ever."""
_PART = ".part"


class FolderShelf:
    """Keeps files below a folder that is there already."""

    def __init__(self, root: Path) -> None:
        """Use root."""
        self._root = root

    @property
    def place(self) -> str:
        """Where it is, as errors say it."""
        return f"folder:{self._root}"

    def hindrance(self, needed_bytes: int) -> Objection | None:
        """Give what would keep so many bytes from it. Raises: TargetUnavailable; TargetRefused."""
        if not self._root.is_dir():
            return Objection(
                reason=f"There is no folder {self._root}.", remedy="Make it, or mount what it is of"
            )
        if not os.access(self._root, os.W_OK | os.X_OK):
            return Objection(
                reason=f"Nobody may write to {self._root} as the user that this runs as.",
                remedy="Let that user write there",
            )
        with self._translated("what is free"):
            free_bytes = shutil.disk_usage(self._root).free
        if free_bytes < needed_bytes:
            return Objection(
                reason=f"{self._root} has {size_text(free_bytes)} free, and the files take "
                f"{size_text(needed_bytes)}.",
                remedy="Make room there",
            )
        return None

    def find(self, path: str) -> Shelved | None:
        """Give what is there, all of it read. Raises: TargetUnavailable; TargetRefused."""
        with self._translated(f"to read {path}"):
            try:
                file = self._opened(path)
            except FileNotFoundError:
                return None
            with file:
                digest = Digest(hashlib.file_digest(file, "sha256").hexdigest())
                return Shelved(size_bytes=os.fstat(file.fileno()).st_size, digest=digest)

    def put(self, parcel: Parcel, on_bytes: Callable[[int], None]) -> None:
        """See that a file is there. Raises: TargetUnavailable; TargetRefused; DigestMismatch."""
        with self._translated(f"to write {parcel.path}"), self._beside(parcel.path) as part:
            found = copied(Path(parcel.file), part, on_bytes)
            if found != parcel.digest:
                raise DigestMismatch(
                    f"The file for {parcel.path}",
                    expected=parcel.digest,
                    found=found,
                    hint="Build the image again: its layers are reused and the file is made anew.",
                )
            self._move_in(part, parcel.path)

    def read(self, path: str) -> bytes:
        """Give a text, or nothing. Raises: TargetUnavailable; TargetRefused."""
        text = b""
        with (
            self._translated(f"to read {path}"),
            suppress(FileNotFoundError),
            self._opened(path) as file,
        ):
            text = file.read(LARGEST_TEXT_BYTES + 1)
        if len(text) > LARGEST_TEXT_BYTES:
            raise self._foreign(path, f"It is larger than {size_text(LARGEST_TEXT_BYTES)}.")
        return text

    def rewrite(self, path: str, change: Change) -> None:
        """Let a text be what change makes of it. Raises: TargetUnavailable; TargetRefused."""
        with self._translated(f"to write {path}"), self._alone():
            before = self.read(path)
            after = change(before)
            if not after:
                self._removed(path)
            elif after != before:
                with self._beside(path) as part:
                    part.write_bytes(after)
                    self._move_in(part, path)

    def remove(self, path: str) -> None:
        """Take a file away. Raises: TargetUnavailable; TargetRefused."""
        with self._translated(f"to remove {path}"):
            self._removed(path)

    def _removed(self, path: str) -> None:
        with suppress(FileNotFoundError):
            final = self._within(path)
            final.unlink()
            flush(final.parent)

    def _opened(self, path: str) -> "BufferedReader":
        """Open a file that is one itself. Raises: OSError; TargetRefused."""
        final = self._within(path)
        try:
            file = os.fdopen(os.open(final, os.O_RDONLY | _HERE), "rb")
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._foreign(path, "It is a link.") from error
            raise
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise self._foreign(path, "It is no file.")
        return file

    def _within(self, path: str) -> Path:
        """Give where a path is. Raises: TargetRefused: a link on the way leads out of the shelf."""
        final = self._root / path
        if not Path(os.path.realpath(final.parent)).is_relative_to(os.path.realpath(self._root)):
            raise self._foreign(path, f"{final.parent} leads out of {self._root}.")
        return final

    def _foreign(self, path: str, reason: str) -> TargetRefused:
        hint = "Look who put it there, take it away, then do this again."
        return TargetRefused(self.place, f"to use {path}", reason, hint)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who changes texts; the lock is held for no longer than that takes."""
        lock = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | _HERE, _FOR_US)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _beside(self, path: str) -> Iterator[Path]:
        """Give a new file beside a path, which is gone when the context ends unless it was moved.

        What writers that are gone left there is taken away.
        """
        final = self._within(path)
        if not final.parent.is_dir():
            final.parent.mkdir(mode=_FOLDER_FOR_EVERYBODY, parents=True, exist_ok=True)
            flush(final.parent.parent)
        for left in final.parent.glob(f".{final.name}.*{_PART}"):
            left_path = str(left.relative_to(self._root))
            with suppress(OSError, TargetRefused), self._opened(left_path) as opened:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
        part = final.with_name(f".{final.name}.{os.urandom(4).hex()}{_PART}")
        with part.open("xb") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield part
            finally:
                part.unlink(missing_ok=True)

    def _move_in(self, part: Path, path: str) -> None:
        part.chmod(_FOR_EVERYBODY)
        flush(part)
        final = self._root / path
        part.replace(final)
        flush(final.parent)

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        if not self._root.is_dir():
            # Nothing is there to be seen, which must not pass for files that are gone.
            reason = "There is no such folder; is what it is of mounted?"
            raise TargetUnavailable(self.place, call, reason)
        try:
            yield
        except OSError as error:
            reason = str(error)
            if error.errno in _REFUSALS:
                hint = f"Let the user that this runs as write to {self._root}."
                raise TargetRefused(self.place, call, reason, hint) from error
            raise TargetUnavailable(self.place, call, reason) from error
