"""Files shipped beside a component: which they are, and that none lies elsewhere.

Components are foreign: what is not plainly a file or folder of theirs is refused.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from imagebuilder.domain.units import MIB, size_text
from imagebuilder.ports.documents import DocumentUnreadable

_UNSHIPPED = {"__pycache__", ".git"}
_MOST_ENTRIES = 50_000
_MOST_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedEntry:
    """A file, folder or link; `name` is its path below what was named, empty for that itself.

    `target` is where a link leads, empty for others.
    """

    name: str
    file: Path
    is_folder: bool = False
    is_executable: bool = False
    target: str = ""


def shipped(folder: PurePath, path: str) -> list[ShippedEntry]:
    """Give what a path beside a component ships, folders before what is in them, in a fixed order.

    Compiled Python and .git are left out. Links have to lead to what is shipped with them.
    Raises: DocumentUnreadable: it is not there, not below folder, of no plain kind, or too much.
    """
    try:
        real = Path(folder).resolve(strict=True)
        place = (real / path).resolve(strict=True)
        if PurePath(path).is_absolute() or not place.is_relative_to(real):
            raise DocumentUnreadable(path, "It leads out of the component's folder.", is_named=True)
        found = []
        total_bytes = 0
        for entry in _walked(place, path):
            found.append(entry)
            total_bytes += 0 if entry.is_folder or entry.target else entry.file.stat().st_size
            if len(found) > _MOST_ENTRIES or total_bytes > _MOST_BYTES:
                most = f"more than {size_text(_MOST_BYTES)} or {_MOST_ENTRIES} files"
                raise DocumentUnreadable(path, f"It holds {most}.", is_named=True)
    except OSError as error:
        raise DocumentUnreadable(path, error.strerror or str(error), is_named=True) from error
    return found


def _walked(place: Path, path: str) -> Iterator[ShippedEntry]:
    waiting = [place]
    while waiting:
        entry = _entry(place, waiting.pop(), path)
        yield entry
        if entry.is_folder:
            below = sorted(entry.file.iterdir(), reverse=True)
            waiting += [f for f in below if f.name not in _UNSHIPPED and f.suffix != ".pyc"]


def _entry(place: Path, file: Path, path: str) -> ShippedEntry:
    name = "" if file == place else file.relative_to(place).as_posix()
    status = file.lstat()
    if stat.S_ISDIR(status.st_mode):
        return ShippedEntry(name=name, file=file, is_folder=True)
    if stat.S_ISREG(status.st_mode):
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        return ShippedEntry(name=name, file=file, is_executable=is_executable)
    if not stat.S_ISLNK(status.st_mode):
        raise DocumentUnreadable(path, f"{name or 'It'} is no file, folder or link.", is_named=True)
    target = os.readlink(file)  # noqa: PTH115 - the text as it is
    end = os.path.normpath(file.parent / target)
    if os.path.isabs(target) or not Path(end).is_relative_to(place):  # noqa: PTH117 - text
        raise DocumentUnreadable(path, f"The link {name} leads out of it.", is_named=True)
    return ShippedEntry(name=name, file=file, target=target)
