"""Files that commands write for people."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, TypeAlias

import typer

from imagebuilder.cli.image_export import FileThere
from imagebuilder.ports.blobs import CopyFailed

ForceOption: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Replace FILE if it is there.")
]


def write_new(path: Path, content: bytes, *, replaces: bool) -> None:
    """Write a file, whole or not at all. Raises: FileThere; CopyFailed."""
    if not replaces and (path.exists() or path.is_symlink()):
        raise FileThere(path)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            new = Path(file.name)
            try:
                file.write(content)
                file.flush()
                new.chmod(0o644)
                new.replace(path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CopyFailed(path, str(error)) from error
