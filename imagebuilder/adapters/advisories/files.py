"""Foreign files, read with a limit for everything that could have none.

They are only read, never unpacked: what an archive calls its members is not used but to tell of
them.
"""

import gzip
import hashlib
import json
import os
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path, PurePath
from typing import IO, Any, NoReturn
from zipfile import BadZipFile, ZipFile, ZipInfo

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.units import MIB
from imagebuilder.formats.advisory_fields import MalformedEntry, short
from imagebuilder.ports.advisories import AdvisoryFileMalformed, AdvisoryFileUnreadable

SUFFIXES = (".json", ".json.gz", ".zip", ".csv", ".csv.gz")
"""What files in a folder must be called to be looked at."""
LARGEST_FILE_BYTES = 4096 * MIB
LARGEST_DOCUMENT_BYTES = 32 * MIB
"""A larger file of JSON is read entry by entry."""
LARGEST_ENTRY_CHARACTERS = 64 * MIB
LARGEST_ARCHIVE_BYTES = 16384 * MIB
ALLOWED_ARCHIVE_BYTES = 512 * MIB
"""What an archive may hold however small it is; more, only up to so many times its own size."""
MOST_TIMES_PACKED = 100
MOST_MEMBERS = 2_000_000
MOST_FILES = 1_000_000
_CHUNK_BYTES = MIB
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"


def named_files(named: PurePath) -> Sequence[Path]:
    """Give the file that is named, or all of a folder that may hold advisories, sorted.

    No link in a folder is followed. Raises: AdvisoryFileUnreadable.
    """
    path = Path(named)
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise AdvisoryFileUnreadable(path, "There is no such file or folder.")
    found: list[Path] = []

    def refuse(error: OSError) -> NoReturn:
        raise AdvisoryFileUnreadable(path, f"{error}.") from error

    for folder, _, names in os.walk(path, onerror=refuse):
        files = (Path(folder, name) for name in names if name.endswith(SUFFIXES))
        found += [file for file in files if file.is_file() and not file.is_symlink()]
        if len(found) > MOST_FILES:
            raise AdvisoryFileUnreadable(path, f"It holds more than {MOST_FILES:,} files.")
    if not found:
        raise AdvisoryFileUnreadable(path, f"No file in it ends with {', '.join(SUFFIXES)}.")
    return sorted(found)


@dataclass(slots=True)
class ForeignFile:
    """A file that is open: its bytes are counted, hashed, and unpacked if they are packed.

    Shape: `begun` are the first bytes of what it holds, which `read` gives again.
    """

    path: Path
    raw: BufferedReader
    stream: IO[bytes]
    begun: bytes = b""
    read_bytes: int = 0
    _given: int = field(default=0)

    @property
    def is_zip(self) -> bool:
        """Whether it is an archive of files."""
        return self.begun.startswith(_ZIP)

    @property
    def is_all_begun(self) -> bool:
        """Whether its first bytes are all that it holds."""
        return len(self.begun) <= LARGEST_DOCUMENT_BYTES

    def read(self, count: int = _CHUNK_BYTES) -> bytes:
        """Give the next bytes of what it holds. Raises: AdvisoryFileMalformed: too many."""
        if self._given < len(self.begun):
            chunk = self.begun[self._given : self._given + count]
            self._given += len(chunk)
            return chunk
        return self._next(count)

    def lines(self) -> Iterator[str]:
        """Give what it holds as lines of text, none of them very long."""
        rest = ""
        decoder = getincrementaldecoder("utf-8")()
        while chunk := self.read():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from lines
            if len(rest) > _CHUNK_BYTES:
                raise MalformedEntry("a line", "It is longer than 1 MiB.")
        if rest:
            yield rest

    def begin(self) -> None:
        """Read the first bytes: all, if it is no large file."""
        while len(self.begun) <= LARGEST_DOCUMENT_BYTES:
            chunk = self._next(_CHUNK_BYTES)
            if not chunk:
                return
            self.begun += chunk
            if self.is_zip:
                return

    def digest(self) -> Digest:
        """Give the digest of the file as it lies there."""
        self.raw.seek(0)
        return Digest(hashlib.file_digest(self.raw, "sha256").hexdigest())

    def _next(self, count: int) -> bytes:
        chunk = self.stream.read(count)
        self.read_bytes += len(chunk)
        if self.read_bytes > LARGEST_FILE_BYTES:
            limit = f"more than {LARGEST_FILE_BYTES // MIB:,} MiB"
            raise AdvisoryFileMalformed(self.path, "its size", f"It holds {limit}.")
        return chunk


@contextmanager
def opened(path: Path) -> Iterator[ForeignFile]:
    """Give a file, and translate what is wrong with it while the block goes on.

    Raises: AdvisoryFileUnreadable; AdvisoryFileMalformed.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            with gzip.open(raw) if packed else raw as stream:
                file = ForeignFile(path, raw, stream)  # type: ignore[arg-type]  # it reads bytes
                file.begin()
                yield file
    except MalformedEntry as error:
        raise AdvisoryFileMalformed(path, error.where, error.reason) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise AdvisoryFileMalformed(path, "what it is packed as", f"{error}.") from error
    except (BadZipFile, NotImplementedError) as error:  # it is no zip file, or of a later format
        raise AdvisoryFileMalformed(path, "the archive", f"{error}.") from error
    except UnicodeDecodeError as error:
        raise AdvisoryFileMalformed(path, "its text", f"It is no UTF-8: {error.reason}.") from error
    except OSError as error:
        raise AdvisoryFileUnreadable(path, f"{error}.") from error


def document_of(content: bytes, where: str) -> Any:  # noqa: ANN401 - whatever JSON is
    """Give the JSON value of some bytes. Raises: MalformedEntry."""
    try:
        return json.loads(content.decode(), parse_constant=_refused)
    except UnicodeDecodeError as error:
        raise MalformedEntry(where, f"It is no UTF-8: {error.reason}.") from error
    except RecursionError as error:
        raise MalformedEntry(where, "It is nested too deeply.") from error
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}, column {error.colno}"
        raise MalformedEntry(place, f"{error.msg}.") from error
    except ValueError as error:
        raise MalformedEntry(where, f"{error}.") from error


def entries_of(file: ForeignFile) -> Iterator[tuple[str, Any]]:
    """Give the entries of the one JSON object that a file is, holding one of them at a time.

    Raises: MalformedEntry.
    """
    text = _Text(file)
    text.take("{")
    if text.peek() == "}":
        text.take("}")
    else:
        while True:
            key = text.value('"')
            text.take(":")
            yield key, text.value("{", of=key)
            if text.peek() == "}":
                text.take("}")
                break
            text.take(",")
    if text.peek():
        raise MalformedEntry(text.place, "Something follows after its end.")


class _Text:
    """The text of a file, as much of it as is looked at."""

    def __init__(self, file: ForeignFile) -> None:
        self._file = file
        self._decoder = getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder(parse_constant=_refused)
        self._text = ""
        self._at = 0
        self._gone = 0
        self._is_over = False

    @property
    def place(self) -> str:
        return f"character {self._gone + self._at:,}"

    def peek(self) -> str:
        """Give the next character that is no space, none at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._more(_CHUNK_BYTES):
                return ""

    def take(self, wanted: str) -> None:
        found = self.peek()
        if found != wanted:
            told = short(found) if found else "its end"
            raise MalformedEntry(self.place, f"{told} stands where {wanted} must.")
        self._at += 1

    def value(self, begins: str, of: str = "") -> Any:  # noqa: ANN401 - whatever JSON is
        """Give the value that begins so; none of ours is a number, whose end could be missing."""
        found = self.peek()
        where = f"the entry of {short(of)}" if of else self.place
        if found != begins:
            told = short(found) if found else "its end"
            raise MalformedEntry(where, f"{told} stands where {begins} must.")
        while True:
            try:
                value, self._at = self._json.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise MalformedEntry(where, "It is nested too deeply.") from error
            except json.JSONDecodeError as error:
                # It may only be cut off; twice as much is read, so that little is read twice.
                if len(self._text) - self._at > LARGEST_ENTRY_CHARACTERS:
                    raise MalformedEntry(where, "It is too large.") from error
                if not self._more(max(_CHUNK_BYTES, len(self._text) - self._at)):
                    at = f"{where}, character {self._gone + error.pos:,}"
                    raise MalformedEntry(at, f"{error.msg}.") from error
            except ValueError as error:
                raise MalformedEntry(where, f"{error}.") from error
            else:
                return value

    def _more(self, count: int) -> bool:
        if self._is_over:
            return False
        chunk = self._file.read(count)
        self._is_over = not chunk
        decoded = self._decoder.decode(chunk, final=self._is_over)
        self._gone += self._at
        self._text, self._at = self._text[self._at :] + decoded, 0
        return bool(chunk)


def members_of(file: ForeignFile) -> Iterator[tuple[str, bytes]]:
    """Give the JSON files of an archive, each with its name. Raises: MalformedEntry; BadZipFile."""
    packed_bytes = file.raw.seek(0, os.SEEK_END)
    allowed = max(ALLOWED_ARCHIVE_BYTES, MOST_TIMES_PACKED * packed_bytes)
    file.raw.seek(0)
    total = 0
    with ZipFile(file.raw) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise MalformedEntry("the archive", f"It has more than {MOST_MEMBERS:,} members.")
        for member in members:
            if member.is_dir() or not member.filename.endswith(".json"):
                continue
            content = _member(archive, member)
            total += len(content)
            if total > min(LARGEST_ARCHIVE_BYTES, allowed):
                raise MalformedEntry("the archive", "All that it holds is too much.")
            yield short(member.filename), content


def _member(archive: ZipFile, member: ZipInfo) -> bytes:
    where = f"member {short(member.filename)}"
    try:
        with archive.open(member) as opened_member:
            # What the archive says of sizes is not believed.
            content = opened_member.read(LARGEST_DOCUMENT_BYTES + 1)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The last two: packed in a way that is not known, or with a password.
        raise MalformedEntry(where, f"{error}.") from error
    if len(content) > LARGEST_DOCUMENT_BYTES:
        limit = LARGEST_DOCUMENT_BYTES // MIB
        raise MalformedEntry(where, f"It is larger than {limit} MiB.")
    return content


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")
