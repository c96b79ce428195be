"""Documents as files: recipes and components where people keep them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from imagebuilder.adapters.system.shipped import ShippedEntry, shipped
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.packs import pack_name, pack_of
from imagebuilder.ports.documents import DocumentUnreadable

_COMPONENTS = "components"
_PACKS = Path(__file__).parents[2] / "packs"
_LARGEST_DOCUMENT_BYTES = 1024 * 1024
_UNREAD_FOLDERS = {"__pycache__", ".git"}


class FileDocumentSource:
    """Finds components in the `components` folder beside or above a recipe, and in others given."""

    def __init__(self, component_folders: Sequence[Path] = ()) -> None:
        """Look for components in component_folders too, in their order."""
        self._component_folders = tuple(component_folders)

    def text(self, path: str) -> str:
        """Give a document's text. Raises: DocumentUnreadable: also when it is not UTF-8 or huge."""
        file = Path(path)
        try:
            if not file.is_file():
                raise DocumentUnreadable(path, _why_no_file(file))
            if file.stat().st_size > _LARGEST_DOCUMENT_BYTES:
                raise DocumentUnreadable(
                    path, f"It is larger than {_LARGEST_DOCUMENT_BYTES} bytes."
                )
            return file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise DocumentUnreadable(path, error.strerror or str(error)) from error
        except UnicodeDecodeError as error:
            reason = f"It is not UTF-8: the byte at offset {error.start} fits into no character."
            raise DocumentUnreadable(path, reason) from error

    def documents_at(self, place: str) -> Sequence[str]:
        """Give the path itself when it is no folder, else every document in the folder, sorted."""
        folder = Path(place)
        return sorted(map(str, _documents_in(folder))) if folder.is_dir() else [place]

    def component_paths(self, beside: str) -> Sequence[str]:
        """Give every component document a recipe at `beside` may name, sorted.

        They are components/*.yaml and every components/**/component.yaml, as .yml too; a symbolic
        link that leads out of its folder is not followed.
        """
        folder = Path(beside).absolute().parent
        above = [place / _COMPONENTS for place in (folder, *folder.parents)]
        nearest = [place for place in above if place.is_dir()][:1]
        found = {
            file.resolve()
            for root in (*nearest, *self._component_folders)
            for file in _component_files(root)
        }
        return sorted(str(file) for file in found)

    def recipe_paths(self, beside: str) -> Sequence[str]:
        """Give every recipe in the folder of `beside`, sorted."""
        folder = Path(beside).absolute().parent
        return sorted(map(str, _documents_in(folder)))

    def locate(self, path: str, beside: str) -> PurePath:
        """Give the absolute path of a file, or of a pack (pack:NAME), that a document names.

        Raises: DocumentUnreadable; PackUnknown.
        """
        pack = pack_name(path)
        if pack is not None:
            return _PACKS / pack_of(pack)
        found = Path(os.path.normpath(Path(beside).absolute().parent / path))
        if not found.exists():
            raise DocumentUnreadable(path, f"There is nothing at {found}.", is_named=True)
        return found

    def content(self, path: PurePath) -> bytes:
        """Give the bytes of a located file. Raises: DocumentUnreadable."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise DocumentUnreadable(str(path), str(error)) from error

    def folder_digest(self, path: PurePath) -> Digest:
        """Give the digest of a file, or of all files below a folder and their names.

        Compiled Python is left out, for it changes without its source.
        Raises: DocumentUnreadable.
        """
        place = Path(path)
        try:
            if place.is_file():
                return _digest_of_file(place)
            return digest_of(
                {
                    file.relative_to(place).as_posix(): str(_digest_of_file(file))
                    for file in _read_files(place)
                }
            )
        except OSError as error:
            raise DocumentUnreadable(str(path), error.strerror or str(error)) from error

    def python_files(self, path: PurePath) -> Sequence[str]:
        """Give a located file itself, or every Python file below a folder, sorted.

        Links that leave the folder are not followed.
        """
        place = Path(path)
        if not place.is_dir():
            return [str(place)]
        return sorted(str(file) for file in _read_files(place) if file.suffix == ".py")

    def shipped_digest(self, path: str, beside: str) -> Digest:
        """Give the digest of a file or folder that a component at `beside` ships.

        It covers names, contents, what can be executed, and where links lead.
        Raises: DocumentUnreadable: it is not there, or it, or a link in it, lies elsewhere.
        """
        entries = shipped(Path(beside).absolute().parent, path)
        try:
            return digest_of([[entry.name, _identity(entry)] for entry in entries])
        except OSError as error:
            raise DocumentUnreadable(path, error.strerror or str(error), is_named=True) from error


def _identity(entry: ShippedEntry) -> Canonical:
    if entry.is_folder:
        return "folder"
    if entry.target:
        return ["link", entry.target]
    return ["file", str(_digest_of_file(entry.file)), entry.is_executable]


def _documents_in(folder: Path) -> Iterator[Path]:
    return _inside(folder, [*folder.glob("*.yaml"), *folder.glob("*.yml")])


def _component_files(root: Path) -> Iterator[Path]:
    for pattern in ("*.yaml", "*.yml", "**/component.yaml", "**/component.yml"):
        yield from _inside(root, root.glob(pattern))


def _inside(root: Path, files: Iterator[Path] | Sequence[Path]) -> Iterator[Path]:
    """Give the files that are really below root."""
    real_root = root.resolve()
    return (file for file in files if file.is_file() and file.resolve().is_relative_to(real_root))


def _read_files(folder: Path) -> Iterator[Path]:
    """Give every file below a folder whose content counts, links that leave the folder not."""
    if not folder.is_dir():
        raise FileNotFoundError(2, "There is no such file or folder", str(folder))
    return (
        file
        for file in _inside(folder, folder.rglob("*"))
        if not _UNREAD_FOLDERS.intersection(file.relative_to(folder).parts)
        and file.suffix != ".pyc"
    )


def _digest_of_file(file: Path) -> Digest:
    with file.open("rb") as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())


def _why_no_file(file: Path) -> str:
    return "It is not a file." if file.exists() else "There is no such file."
