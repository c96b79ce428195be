"""The file of a backup: lines of JSON, compressed; its last line states the digest of the others.

{"catalogue": 1, "revision": "0003", "made_at": ..., "kind": "sqlite"}
{"table": "images", "columns": ["id", "name"]}
[1, "debian-web"]
{"rows": {"images": 1}, "sha256": ...}
"""

import fcntl
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from imagebuilder.adapters.sql.neutral_rows import NeutralRow, line_of
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.catalogue_care import (
    BackupState,
    BackupThere,
    BackupUnreadable,
    BackupUnwritable,
)

_FORMAT = 1
_LINE_LIMIT = 256 * 1024 * 1024
_LEVEL = 3
"""Of gzip: the next ones take twice as long for a tenth less."""


class BackupWriter:
    """Writes the lines."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        """Write into a stream."""
        self._stream = stream
        self._hash = hashlib.sha256()

    def write(self, value: object) -> None:
        """Write a line."""
        line = line_of(value)
        self._hash.update(line)
        self._stream.write(line)

    def head(self, revision: str, made_at: datetime, kind: str) -> None:
        """Write what the backup is of."""
        written = {"catalogue": _FORMAT, "revision": revision}
        self.write(written | {"made_at": made_at.isoformat(), "kind": kind})

    def end(self, rows: Mapping[str, int]) -> Digest:
        """Write the last line, and give the digest it states."""
        digest = Digest(self._hash.hexdigest())
        self._stream.write(line_of({"rows": rows, "sha256": digest.hex}))
        return digest


@contextmanager
def writing_backup(path: Path, *, replaces: bool) -> Iterator[BackupWriter]:
    """Give what writes a backup, which appears when the block ends well.

    Raises: BackupThere; BackupUnwritable.
    """
    if not replaces and (path.exists() or path.is_symlink()):
        raise BackupThere(path)
    try:
        _sweep(path)
        with _temporary(path) as (partial, file):
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as stream:
                yield BackupWriter(stream)
            file.flush()
            os.fsync(file.fileno())
            if replaces:
                partial.replace(path)
            else:
                path.hardlink_to(partial)
        _keep_name(path.parent)
    except FileExistsError as error:
        raise BackupThere(path) from error
    except OSError as error:
        raise BackupUnwritable(path, error.strerror or str(error)) from error


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with ExitStack() as held:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        held.callback(partial.unlink, missing_ok=True)
        file = held.enter_context(os.fdopen(fd, "wb"))
        fcntl.flock(file, fcntl.LOCK_EX)
        yield partial, file


def _sweep(path: Path) -> None:
    """Take away what killed writers of the same backup left."""
    for partial in path.parent.glob(f".{path.name}.*.part"):
        with suppress(BlockingIOError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()


def _keep_name(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class BackupReader:
    """Reads the lines of a backup, and knows at the end whether they are what was written."""

    def __init__(self, path: Path, stream: gzip.GzipFile) -> None:
        """Begin at the head. Raises: BackupUnreadable."""
        self._path = path
        self._stream = stream
        self._hash = hashlib.sha256()
        self._rows: dict[str, int] = {}
        self._next: Any = None
        self.head = self._line()
        if not isinstance(self.head, dict) or self.head.get("catalogue") != _FORMAT:
            raise ValueError("its first line is not that of a backup of a catalogue")
        self.revision = str(self.head["revision"])

    def tables(self) -> Iterator[tuple[str, Sequence[str], Iterator[NeutralRow]]]:
        """Give each table with its columns and rows; all rows are to be taken before the next."""
        self._next = self._line()
        while isinstance(self._next, dict) and "table" in self._next:
            name, columns = str(self._next["table"]), list(map(str, self._next["columns"]))
            yield name, columns, self._table_rows(name)
        end = self._next
        if not isinstance(end, dict) or end.get("rows") != self._rows:
            raise ValueError("it does not have as many rows as it states")

    def state(self) -> BackupState:
        """Give what the head and the end say, once all tables were read."""
        return BackupState(
            path=str(self._path),
            made_at=datetime.fromisoformat(self.head["made_at"]),
            kind=str(self.head["kind"]),
            revision=self.revision,
            rows=dict(self._rows),
            digest=Digest(self._next["sha256"]),
        )

    def _table_rows(self, name: str) -> Iterator[NeutralRow]:
        self._rows[name] = 0
        while isinstance(row := self._line(), list):
            self._rows[name] += 1
            yield row
        self._next = row

    def _line(self) -> Any:  # noqa: ANN401 - what JSON holds
        line = self._stream.readline(_LINE_LIMIT)
        if not line.endswith(b"\n"):
            raise ValueError("it ends too early")
        read = json.loads(line)
        if isinstance(read, dict) and "sha256" in read:
            if read["sha256"] != self._hash.hexdigest():
                raise ValueError("its digest is not that of what it holds")
        else:
            self._hash.update(line)
        return read


@contextmanager
def reading_backup(path: Path) -> Iterator[BackupReader]:
    """Give what reads a backup. Raises: BackupUnreadable: in the block too, when it is damaged."""
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as stream:
            yield BackupReader(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise BackupUnreadable(path, getattr(error, "strerror", None) or str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupUnreadable(path, f"Reading it, {error}.") from error
