"""The house as its tests see it: files, syntax trees and classes."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import imagebuilder
from imagebuilder.domain.errors import ImageBuilderError

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "imagebuilder"
_READ_HIDDEN = {".ci", ".gitignore"}
_UNREAD = {"__pycache__", "build"}


def python_files(*folders: Path) -> list[Path]:
    """Give every Python file below some folders, sorted."""
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def text_files() -> Iterator[tuple[Path, str]]:
    """Give every file of the repository that is text, with its text."""
    for file in sorted(ROOT.rglob("*")):
        parts = file.relative_to(ROOT).parts
        is_hidden = parts[0].startswith(".") and parts[0] not in _READ_HIDDEN
        is_made = any(p in _UNREAD or p.endswith(".egg-info") for p in parts)
        is_ours = not is_hidden and not is_made
        if is_ours and file.is_file():
            content = file.read_bytes()
            if b"\0" not in content:
                yield file, content.decode(errors="replace")


@cache
def tree(file: Path) -> ast.Module:
    """Give the syntax tree of a Python file."""
    return ast.parse(file.read_text(), str(file))


def named(file: Path) -> str:
    """Give the path of a file below the root, for messages."""
    return file.relative_to(ROOT).as_posix()


@cache
def load_everything() -> None:
    """Import every module of the package, so that all its classes are known."""
    for module in pkgutil.walk_packages(imagebuilder.__path__, "imagebuilder."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def error_classes() -> list[type[ImageBuilderError]]:
    """Give every error there is, families included, sorted by code."""
    load_everything()
    return sorted(
        {
            error
            for error in _below(ImageBuilderError)
            if error.__module__.startswith("imagebuilder")
        },
        key=lambda error: (error.code, error.__name__),
    )


def _below(error: type[ImageBuilderError]) -> Iterator[type[ImageBuilderError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)
