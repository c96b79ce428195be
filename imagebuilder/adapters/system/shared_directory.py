"""SharedDirectory: a folder that several machines mount, such as one of NFS.

An object is a file with the name of its digest. It is written beside, flushed, then renamed, which
is all that may be asked of a network's file system: no lock is taken there, and none is needed. The
folder itself is never made, since where nothing is mounted every machine would have one of its own.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePath

from imagebuilder.adapters.system.blobs import copied, flush
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.sharing import (
    SharedKind,
    SharedName,
    SharedObject,
    SharedObjectMissing,
    SharedStoreUnavailable,
    refuse_large,
    refuse_other,
)

_READ_ONLY = 0o444


class SharedDirectory:
    """Keeps objects below a folder."""

    def __init__(self, root: Path) -> None:
        """Use root, which has to be there."""
        self._root = root
        self._incoming = root / "incoming"

    @property
    def place(self) -> str:
        """Where it is, as the setting says it."""
        return self._root.as_uri()

    def check(self) -> None:
        """Do nothing when it can be used. Raises: SharedStoreUnavailable."""
        with self._translated(), self._temporary():
            pass

    def find(self, name: SharedName) -> SharedObject | None:
        """Give what is there under a name. Raises: SharedStoreUnavailable."""
        with self._translated():
            return self._found(name)

    def put(self, name: SharedName, file: PurePath) -> None:
        """Keep a file's bytes under a name. Raises: SharedStoreUnavailable."""
        with self._translated(), self._temporary() as temporary:
            copied(Path(file), temporary)
            self._move_in(temporary, name)

    def get(self, digest: Digest, into: PurePath, largest_bytes: int) -> None:
        """Write the file of a digest into a new file.

        Raises: SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """
        name, target = SharedName(kind=SharedKind.FILE, digest=digest), Path(into)
        with self._translated(is_local=True):
            try:
                source = self._path(name)
                refuse_large(self.place, name, source.stat().st_size, largest_bytes)
                target.touch(exist_ok=False)
                found = copied(source, target)
            except FileNotFoundError as error:
                raise SharedObjectMissing(self.place, name) from error
        refuse_other(self.place, name, found)

    def write(self, name: SharedName, content: bytes) -> None:
        """Keep bytes under a name. Raises: SharedStoreUnavailable."""
        with self._translated(), self._temporary() as temporary:
            temporary.write_bytes(content)
            self._move_in(temporary, name)

    def read(self, name: SharedName, largest_bytes: int) -> bytes:
        """Give the bytes of an object.

        Raises: SharedObjectMissing; SharedObjectDamaged; SharedStoreUnavailable.
        """
        with self._translated():
            try:
                with self._path(name).open("rb") as file:
                    content = file.read(largest_bytes + 1)
            except FileNotFoundError as error:
                raise SharedObjectMissing(self.place, name) from error
        refuse_large(self.place, name, len(content), largest_bytes)
        if name.kind is SharedKind.FILE:
            refuse_other(self.place, name, Digest.of_bytes(content))
        return content

    def renew(self, name: SharedName) -> None:
        """Let an object be as young as if it was put now. Raises: SharedStoreUnavailable."""
        with self._translated(), suppress(FileNotFoundError):
            os.utime(self._path(name))

    def objects(self, kind: SharedKind) -> Iterator[SharedObject]:
        """Give every object of a kind, sorted. Raises: SharedStoreUnavailable."""
        with self._translated():
            self._refuse_absence()
            for file in sorted((self._root / kind).glob("??/*")):
                with suppress(ValueError):  # a name that is no digest is not ours
                    found = self._found(SharedName(kind=kind, digest=Digest(file.name)))
                    if found is not None:
                        yield found

    def remove(self, name: SharedName) -> None:
        """Take an object away. Raises: SharedStoreUnavailable."""
        with self._translated():
            self._path(name).unlink(missing_ok=True)

    def sweep(self, unfinished_since: datetime) -> int:
        """Take away what writers began and never ended. Raises: SharedStoreUnavailable."""
        swept = 0
        with self._translated():
            for file in sorted(self._incoming.glob("*")):
                with suppress(FileNotFoundError):
                    if datetime.fromtimestamp(file.stat().st_mtime, UTC) < unfinished_since:
                        file.unlink()
                        swept += 1
        return swept

    def _path(self, name: SharedName) -> Path:
        self._refuse_absence()
        return self._root / str(name)

    def _found(self, name: SharedName) -> SharedObject | None:
        try:
            status = self._path(name).stat()
        except FileNotFoundError:
            return None
        stored_at = datetime.fromtimestamp(status.st_mtime, UTC)
        return SharedObject(name=name, size_bytes=status.st_size, stored_at=stored_at)

    def _refuse_absence(self) -> None:
        if not self._root.is_dir():
            raise SharedStoreUnavailable(self.place, "There is no such folder.")

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """Give a file that is gone when the context ends, unless it was moved away."""
        self._refuse_absence()
        self._incoming.mkdir(exist_ok=True)
        fd, name = tempfile.mkstemp(dir=self._incoming)
        os.close(fd)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _move_in(self, temporary: Path, name: SharedName) -> None:
        """Give a file its name, in this order: bytes on the disk, name, name on the disk."""
        target = self._path(name)
        temporary.chmod(_READ_ONLY)
        flush(temporary)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        flush(target.parent)

    @contextmanager
    def _translated(self, *, is_local: bool = False) -> Iterator[None]:
        """Say in our own words what fails there; that this machine is full is told by others."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT) and is_local:
                raise
            raise SharedStoreUnavailable(self.place, str(error)) from error
