"""AptArchives: all packages of an archive's parts, from indexes whose signature was checked.

What was read of a list of packages is kept as lines of a name with its versions, so that the next
process reads two megabytes and not fifty. It is found by the digests of the signed index and of the
keys that were trusted, so that it is as good as reading it anew.
"""

import contextlib
import gzip
import json
import lzma
import os
import re
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cmp_to_key
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from imagebuilder.adapters.local.fetching import ArchiveFetcher, SignedFile
from imagebuilder.adapters.local.signatures import TrustedKeys
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.offers import PackageIndex, Release
from imagebuilder.domain.package import PackageKey
from imagebuilder.domain.recipe import Repository
from imagebuilder.domain.versions import PackageOrder
from imagebuilder.ports.archives import IndexDiffers
from imagebuilder.ports.building import MirrorUnreachable, SignatureRefused
from imagebuilder.ports.clock import Clock

_FORMAT = 1
_ALL = "all"
_LARGEST_BYTES = 512 * 2**20
_UNPACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    "": bytes,
}
"""In the order in which they are wanted: what is quickly unpacked first."""
_FIELDS = (b"\nPackage: ", b"\nVersion: ", b"\nArchitecture: ", b"\nSHA256: ")
_NAME, _VERSION, _, _SHA256 = _FIELDS
_FILE = b"\nFilename: "
_HEX = re.compile("[0-9a-f]{64}")
_SUM = re.compile(r"^ ([0-9a-f]{64}) +([0-9]+) (\S+)$", re.MULTILINE)


class AptArchives:
    """Reads archives."""

    def __init__(
        self, fetcher: ArchiveFetcher, keys: TrustedKeys, cache: Path, clock: Clock
    ) -> None:
        """Keep in the folder cache what was read; fetch with fetcher; trust keys."""
        self._fetcher = fetcher
        self._keys = keys
        self._cache = cache
        self._clock = clock
        self._read: dict[str, PackageIndex] = {}

    def packages(
        self, repositories: Sequence[Repository], architectures: Collection[str]
    ) -> Sequence[PackageIndex]:
        """Give all that the archives have for these architectures now.

        Raises: MirrorUnreachable; SignatureRefused; IndexDiffers.
        """
        found: list[PackageIndex] = []
        for repository, folder, signed in self._suites(repositories):
            wanted = self._wanted(repository, folder, signed, architectures)
            kept = [self._kept(each) for each in wanted]
            if any(index is None for index in kept):
                index = self._checked(repository, folder, signed)
                kept = [self._fetched(each, index) for each in wanted]
            found += [each for each in kept if each is not None]
        return found

    def sums(
        self, repositories: Sequence[Repository], packages: Collection[PackageKey]
    ) -> Mapping[PackageKey, Digest]:
        """Give the digest that each package's file has in the archives now.

        Raises: MirrorUnreachable; SignatureRefused; IndexDiffers.
        """
        asked = {"\t".join(key): key for key in packages}
        found: dict[PackageKey, set[str]] = {}
        architectures = {architecture for _, _, architecture in packages} - {_ALL}
        for repository, folder, signed in self._suites(repositories):
            for wanted in self._wanted(repository, folder, signed, architectures):
                for line in self._sum_lines(repository, signed, wanted):
                    name, _, digest = line.rpartition("\t")
                    if name in asked and _HEX.fullmatch(digest):
                        found.setdefault(asked[name], set()).add(digest)
        return {key: Digest(*those) for key, those in found.items() if len(those) == 1}

    def package(
        self, repositories: Sequence[Repository], name: str, architecture: str, limit_bytes: int
    ) -> bytes | None:
        """Give the file of the newest package of a name; None where the archives have none.

        Raises: MirrorUnreachable; SignatureRefused; IndexDiffers.
        """
        found: list[tuple[str, Mapping[bytes, str]]] = []
        for repository, folder, signed in self._suites(repositories):
            index = self._checked(repository, folder, signed)
            for wanted in self._wanted(repository, folder, signed, (architecture,)):
                content = self._content(wanted, index) if index.lists(wanted) else b""
                found += [
                    (f"{repository.url.rstrip('/')}/{fields[_FILE]}", fields)
                    for fields in _paragraphs_of(content, name)
                ]
        if not found:
            return None
        order = cmp_to_key(PackageOrder.DEBIAN.compare)
        address, fields = max(found, key=lambda each: order(each[1][_VERSION]))
        content = self._fetcher.file(address, limit_bytes)
        if sha256(content).hexdigest() != fields[_SHA256]:
            raise IndexDiffers(address, f"It should have the SHA-256 {fields[_SHA256]}.")
        return content

    def _suites(
        self, repositories: Sequence[Repository]
    ) -> Iterator[tuple[Repository, str, SignedFile]]:
        """Give each suite's folder with its signed index."""
        folders = [(r, f"{r.url.rstrip('/')}/dists/{s}") for r in repositories for s in r.suites]
        signed = self._fetcher.indexes([f"{folder}/InRelease" for _, folder in folders])
        for repository, folder in folders:
            yield repository, folder, signed[f"{folder}/InRelease"]

    def _wanted(
        self,
        repository: Repository,
        folder: str,
        signed: SignedFile,
        architectures: Collection[str],
    ) -> list["_Wanted"]:
        keys = self._keys.keys(repository.keyring)
        state = f"{signed.digest} {Digest.of_bytes(keys)} {repository.allows_expired}"
        return [
            _Wanted(folder=folder, component=component, architecture=architecture, state=state)
            for component in repository.components
            for architecture in sorted({*architectures, _ALL})
        ]

    def _checked(self, repository: Repository, folder: str, signed: SignedFile) -> "_SignedIndex":
        """Give a signed index that is to be believed. Raises: SignatureRefused."""
        address, keys = f"{folder}/InRelease", self._keys.keys(repository.keyring)
        index = _SignedIndex(self._keys.signed(signed.content, keys, address), address)
        if not repository.allows_expired:
            index.refuse_expired(self._clock.now())
        return index

    def _sum_lines(
        self, repository: Repository, signed: SignedFile, wanted: "_Wanted"
    ) -> Sequence[str]:
        """Give the lines of a list that was read before, or is read now."""
        lines = self._kept_sums(wanted)
        if lines is None:
            self._fetched(wanted, self._checked(repository, wanted.folder, signed))
            lines = self._kept_sums(wanted)
        return lines or ()

    def _kept_sums(self, wanted: "_Wanted") -> Sequence[str] | None:
        with contextlib.suppress(OSError, ValueError):
            head, *lines = (self._cache / wanted.sums_file).read_text().split("\n")
            return lines if head == wanted.name else None
        return None

    def _kept(self, wanted: "_Wanted") -> PackageIndex | None:
        """Give what was read of a list before; of one that is not the newest nothing is."""
        known = self._read.get(wanted.name)
        if known is not None:
            return known
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            head, _, lines = (self._cache / wanted.file).read_text().partition("\n")
            facts = json.loads(head)
            if facts.pop("format") == _FORMAT and facts.pop("name") == wanted.name:
                index = PackageIndex(release=Release(**facts), packages=_Lines.of(lines))
                self._read[wanted.name] = index
                return index
        return None

    def _fetched(self, wanted: "_Wanted", index: "_SignedIndex") -> PackageIndex:
        content = self._content(wanted, index) if index.lists(wanted) else b""
        rows = _rows(content)
        lines, release = _lines_of(rows), index.release(wanted)
        self._keep(self._cache / wanted.sums_file, f"{wanted.name}\n{_sums_of(rows)}")
        head = json.dumps({"format": _FORMAT, "name": wanted.name, **asdict(release)})
        self._keep(self._cache / wanted.file, f"{head}\n{lines}")
        read = PackageIndex(release=release, packages=_Lines.of(lines))
        self._read[wanted.name] = read
        return read

    def _content(self, wanted: "_Wanted", index: "_SignedIndex") -> bytes:
        for ending, unpack in _UNPACKERS.items():
            path = f"{wanted.path}{ending}"
            if path not in index.sums:
                continue
            address, (digest, size_bytes) = f"{wanted.folder}/{path}", index.sums[path]
            content = self._listed(wanted, index, path)
            if len(content) != size_bytes or sha256(content).hexdigest() != digest:
                listed = f"It should have {size_bytes} bytes and the SHA-256 {digest}."
                raise IndexDiffers(address, listed)
            try:
                return unpack(content)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise IndexDiffers(address, f"It cannot be unpacked: {error}.") from error
        return b""

    def _listed(self, wanted: "_Wanted", index: "_SignedIndex", path: str) -> bytes:
        """Give a list by its digest, where an archive has it so, for a mirror may be in between."""
        digest, size_bytes = index.sums[path]
        limit = min(size_bytes, _LARGEST_BYTES)
        if index.has_by_hash:
            by_hash = f"{path.rpartition('/')[0]}/by-hash/SHA256/{digest}"
            with contextlib.suppress(MirrorUnreachable):
                return self._fetcher.file(f"{wanted.folder}/{by_hash}", limit)
        return self._fetcher.file(f"{wanted.folder}/{path}", limit)

    def _keep(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            new.write_text(text)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A list of packages; `state` is what the signed index and the trust in it are now."""

    folder: str
    component: str
    architecture: str
    state: str

    @property
    def path(self) -> str:
        return f"{self.component}/binary-{self.architecture}/Packages"

    @property
    def name(self) -> str:
        return f"{self.folder} {self.path} {self.state}"

    @property
    def file(self) -> str:
        """Where it is kept: in one place however often it changes."""
        return sha256(f"{self.folder} {self.path}".encode()).hexdigest()

    @property
    def sums_file(self) -> str:
        """Where the digests of its packages are kept, which few ask for."""
        return f"{self.file}-sums"


class _SignedIndex:
    """What an InRelease says. Source: Debian's RepositoryFormat, "Release" files."""

    def __init__(self, text: str, address: str) -> None:
        self._address = address
        head, _, sums = text.partition("\nSHA256:")
        self._fields = dict(_fields(f"{head}\n"))
        self.sums = {path: (digest, int(size)) for digest, size, path in _SUM.findall(sums)}

    @property
    def has_by_hash(self) -> bool:
        return self._fields.get("acquire-by-hash") == "yes"

    def lists(self, wanted: _Wanted) -> bool:
        """Whether apt would read a list: one for all architectures only where it has its own."""
        if wanted.architecture != _ALL:
            return True
        known = self._fields.get("architectures", _ALL).split()
        is_told_elsewhere = "Packages" in self._fields.get("no-support-for-architecture-all", "")
        return _ALL in known and not is_told_elsewhere

    def release(self, wanted: _Wanted) -> Release:
        """Describe a part of the archive."""
        fields = self._fields
        return Release(
            host=urlsplit(self._address).hostname or "",
            archive=fields.get("suite", ""),
            codename=fields.get("codename", ""),
            version=fields.get("version", ""),
            origin=fields.get("origin", ""),
            label=fields.get("label", ""),
            component=wanted.component,
            is_not_automatic=fields.get("notautomatic") == "yes",
            has_automatic_upgrades=fields.get("butautomaticupgrades") == "yes",
        )

    def refuse_expired(self, now: datetime) -> None:
        """Let pass what is still to be believed. Raises: SignatureRefused."""
        until = self._fields.get("valid-until", "")
        if until and parsedate_to_datetime(until) < now:
            raise SignatureRefused(self._address, f"It is valid until {until} only.")


class _Lines(Mapping[str, Sequence[tuple[str, str]]]):
    """What an archive has, by name; a line is taken apart when it is asked for."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        self._lines = lines

    @classmethod
    def of(cls, text: str) -> "_Lines":
        rows = (line.partition("\t") for line in text.split("\n") if line)
        return cls({name: rest for name, _, rest in rows})

    def __getitem__(self, name: str) -> Sequence[tuple[str, str]]:
        words = self._lines[name].split("\t")
        return tuple(zip(words[::2], words[1::2], strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def _rows(content: bytes) -> list[tuple[str, str, str, str]]:
    """Give the name, version, architecture and digest of all packages in a list."""
    rows: list[tuple[str, str, str, str]] = []
    start, size = 0, len(content)
    while start < size:
        end = content.find(b"\n\n", start)
        end = size if end < 0 else end
        name, version, architecture, digest = (_value(content, f, start, end) for f in _FIELDS)
        if name and version and architecture:
            rows.append((name, version, architecture, digest))
        start = end + 2
    return rows


def _paragraphs_of(content: bytes, name: str) -> Iterator[Mapping[bytes, str]]:
    """Give what a list says of each version of a package. Shape: field -> value."""
    lines, wanted = b"\n" + content, _NAME + name.encode() + b"\n"
    place = lines.find(wanted)
    while place >= 0:
        start = lines.rfind(b"\n\n", 0, place + 1) + 2 if place else 1
        end = lines.find(b"\n\n", place)
        end = len(lines) if end < 0 else end
        yield {field: _value(lines, field, start, end) for field in (*_FIELDS, _FILE)}
        place = lines.find(wanted, end)


def _lines_of(rows: list[tuple[str, str, str, str]]) -> str:
    """Give the names of packages, each with all its versions and their architectures."""
    words: dict[str, list[str]] = {}
    for name, version, architecture, _ in rows:
        words.setdefault(name, []).extend((version, architecture))
    return "".join("\t".join((name, *those)) + "\n" for name, those in words.items())


def _sums_of(rows: list[tuple[str, str, str, str]]) -> str:
    return "\n".join("\t".join(row) for row in rows if _HEX.fullmatch(row[3]))


def _value(content: bytes, field: bytes, start: int, end: int) -> str:
    """Give what a paragraph from start to end has in a field; nothing when it has none."""
    # To look for a line takes a third of the time of a regular expression over all of it.
    place = start + len(field) - 1
    if not content.startswith(field[1:], start):
        found = content.find(field, start, end)
        if found < 0:
            return ""
        place = found + len(field)
    line_end = content.find(b"\n", place, end)
    return content[place : end if line_end < 0 else line_end].decode(errors="replace").strip()


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith(" "):
            yield name.lower(), value.strip()
