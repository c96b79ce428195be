"""Where the machine's programs are; starting them belongs to `process`."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from imagebuilder.ports.process import ProgramMissing

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def resolved(program: str, environment: Mapping[str, str], folder: str | None) -> str:
    """Give the file of a program, also of one that is only in the administrator's folders.

    Raises: ProgramMissing.
    """
    if "/" in program:
        path = str(Path(folder or "", program).absolute())
    else:
        path = f"{environment.get('PATH', SYSTEM_PATH)}:/usr/sbin:/sbin"
        path = shutil.which(program, path=path) or ""
    if not path or not os.access(path, os.X_OK) or Path(path).is_dir():
        raise ProgramMissing(program)
    return path
