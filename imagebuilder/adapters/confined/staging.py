"""What goes into a confinement: copies that the user nobody may read."""

import shutil
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGES = Path(__file__).parents[3]
_UNREAD = shutil.ignore_patterns("__pycache__", ".git", "*.pyc")


def stage_ourselves(folder: Path) -> None:
    """Put there what runs on the far side, as the package it is here, for PYTHONPATH."""
    inside = folder / _HERE.relative_to(_PACKAGES)
    shutil.copytree(_HERE, inside, ignore=_UNREAD)
    for above in list(inside.relative_to(folder).parents)[:-1]:
        (folder / above / "__init__.py").touch()


def copy_foreign(source: Path, target: Path) -> None:
    """Copy a file or folder. Raises: OSError; shutil.Error."""
    if source.is_dir():
        # Links stay links: inside, they cannot lead to what they mean out here.
        shutil.copytree(source, target, symlinks=True, ignore=_UNREAD)
    else:
        shutil.copyfile(source, target)


def make_readable(folder: Path) -> None:
    """Let anyone read what is in a folder, links aside, and run what its owner can."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else path.stat().st_mode & 0o777 | 0o444)
