"""RootContents: what a root file system says of itself, read from outside.

The image is foreign: nothing of it is run, no link in it is followed, and no file is read beyond a
limit.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from imagebuilder.domain.bill import (
    BilledPackage,
    Contents,
    PackageListMalformed,
    Release,
    release_of,
)
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.units import MIB, size_text
from imagebuilder.formats.dpkg_status import installed_in

_STATUS = "/var/lib/dpkg/status"
_PARTS = "/var/lib/dpkg/status.d"
_LARGEST_STATUS_BYTES = 64 * MIB
_LARGEST_PART_BYTES = MIB
_MOST_PARTS = 20_000
_LARGEST_RELEASE_BYTES = 64 * 1024
_RELEASES = ("/usr/lib/os-release", "/etc/os-release")
_OTHERS = {
    "/var/lib/rpm": "rpm",
    "/usr/lib/sysimage/rpm": "rpm",
    "/lib/apk/db": "apk",
    "/usr/lib/apk/db": "apk",
    "/var/lib/pacman/local": "pacman",
}


class RootContents:
    """Reads root folders of this machine."""

    def read(self, root: PurePath) -> Contents:
        """Give the release, and the packages that dpkg knows.

        Raises: PackageListMalformed.
        """
        packages = {package.key: package for package in _packages(Path(root))}
        others = {name for path, name in _OTHERS.items() if _is_there(Path(root), path)}
        gaps = [f"the packages of {name}, whose list is not read" for name in sorted(others)]
        return Contents(
            release=_release(Path(root)),
            packages=tuple(BilledPackage(package=p) for p in sorted(packages.values())),
            gaps=tuple(gaps),
        )


def _release(root: Path) -> Release:
    for path in _RELEASES:
        # Of a link, as Debian has it, the file that it should lead to is what was read first.
        with suppress(OSError, PackageListMalformed), _opened(root, path) as fd:
            content = _read(fd, path, _LARGEST_RELEASE_BYTES)
            return release_of(content.decode(errors="replace"))
    return Release()


def _packages(root: Path) -> Iterator[InstalledPackage]:
    with suppress(FileNotFoundError), _plain(root, _STATUS) as fd:
        yield from installed_in(_read(fd, _STATUS, _LARGEST_STATUS_BYTES), _STATUS)
    for name in _parts(root):
        path = f"{_PARTS}/{name}"
        with suppress(FileNotFoundError), _plain(root, path) as fd:
            content = _read(fd, path, _LARGEST_PART_BYTES)
            yield from installed_in(content, path, is_always_installed=True)


def _parts(root: Path) -> list[str]:
    """Give the files in which an image without dpkg tells of its packages, sorted."""
    try:
        with _plain(root, _PARTS, os.O_DIRECTORY) as fd:
            names = sorted(entry.name for entry in os.scandir(fd))
    except FileNotFoundError:
        return []
    if len(names) > _MOST_PARTS:
        raise PackageListMalformed(_PARTS, f"It has more than {_MOST_PARTS:,} files.")
    # Beside each list may lie the digests of that package's files.
    return [name for name in names if not name.endswith(".md5sums")]


@contextmanager
def _plain(root: Path, path: str, kind: int = 0) -> Iterator[int]:
    """Open what is in the image for reading, by plain folders only.

    Raises: FileNotFoundError; PackageListMalformed: it is something else, or behind a link.
    """
    try:
        with _opened(root, path, kind) as fd:
            yield fd
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = f"It is no plain file below plain folders: {os.strerror(error.errno or 0)}."
        raise PackageListMalformed(path, reason) from error


@contextmanager
def _opened(root: Path, path: str, kind: int = 0) -> Iterator[int]:
    """Open a file or a folder below a root, following no link. Raises: OSError."""
    *folders, name = path.strip("/").split("/")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A pipe would be waited for, were it not opened so.
        for part, flags in [(f, os.O_DIRECTORY) for f in folders] + [(name, kind | os.O_NONBLOCK)]:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _is_there(root: Path, path: str) -> bool:
    try:
        with _opened(root, path, os.O_DIRECTORY):
            return True
    except OSError:
        return False


def _read(fd: int, path: str, limit_bytes: int) -> bytes:
    """Give the bytes of an open file. Raises: PackageListMalformed: it is none, or too large."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise PackageListMalformed(path, "It is no plain file.")
    with os.fdopen(os.dup(fd), "rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise PackageListMalformed(path, f"It is larger than {size_text(limit_bytes)}.")
    return content
