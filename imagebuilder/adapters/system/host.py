"""Facts of this machine, found by looking and, where only that tells, by trying."""

import os
import shutil
import tempfile
from pathlib import Path, PurePath

from imagebuilder.ports.process import Command, CommandRunner, ProgramMissing

_TRIAL_SECONDS = 20.0
_ADMINISTRATOR_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SystemHost:
    """This machine as it is now; nothing is remembered."""

    def __init__(self, runner: CommandRunner) -> None:
        """Try things out with runner."""
        self._runner = runner

    def has_program(self, name: str) -> bool:
        """Whether a program is installed, in the administrator's folders too."""
        return shutil.which(name, path=_ADMINISTRATOR_PATH) is not None

    def has_file(self, path: PurePath) -> bool:
        """Whether there is a file."""
        return Path(path).is_file()

    def is_root(self) -> bool:
        """Whether we may do all that root may."""
        return os.geteuid() == 0

    def free_bytes(self, folder: PurePath) -> int:
        """Give the free space where a folder is, or would be made."""
        return shutil.disk_usage(_nearest(folder)).free

    def why_no_overlay(self, folder: PurePath) -> str:
        """Give why layers cannot be mounted where a folder is, or nothing when they can.

        The trial's mount lives in a mount namespace of its own and is gone with it.
        """
        try:
            with tempfile.TemporaryDirectory(dir=_nearest(folder), prefix=".overlay-") as trial:
                places = {name: Path(trial, name) for name in ("lower", "upper", "work", "top")}
                for place in places.values():
                    place.mkdir()
                options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**places)
                mount = ("mount", "-t", "overlay", "overlay", "-o", options, str(places["top"]))
                return self._why_not(("unshare", "--mount", *mount))
        except OSError as error:
            return str(error)

    def why_no_user_namespace(self) -> str:
        """Give why no user namespace can be made, or nothing when one can."""
        return self._why_not(("unshare", "--user", "--map-root-user", "true"))

    def _why_not(self, argv: tuple[str, ...]) -> str:
        try:
            result = self._runner.run(Command(argv=argv, timeout_seconds=_TRIAL_SECONDS))
        except ProgramMissing as error:
            return error.message
        if result.exit_status == 0:
            return ""
        return result.last_lines or f"{argv[0]} ended with exit status {result.exit_status}."


def _nearest(folder: PurePath) -> Path:
    """Give the lowest folder that exists on the way to one that may not yet."""
    place = Path(folder).absolute()
    return next(parent for parent in (place, *place.parents) if parent.is_dir())
