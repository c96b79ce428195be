"""ParentMaker: the lowest layer, bootstrapped from a Debian archive or unpacked from a tar file."""

import os
import re
import stat
from pathlib import Path

from imagebuilder.adapters.local.manifest import file_digest
from imagebuilder.adapters.local.network import Reach
from imagebuilder.adapters.local.pinning import Pins, archive_line
from imagebuilder.adapters.local.sources import one_line
from imagebuilder.adapters.local.space import is_for_space
from imagebuilder.domain.plan import DEFAULT_SOURCE_DATE_EPOCH, PlannedParent
from imagebuilder.domain.recipe import Repository, RootfsParent, SuiteParent
from imagebuilder.ports.building import ArchiveRefused, MirrorUnreachable, SignatureRefused
from imagebuilder.ports.process import (
    IMAGE_UMASK,
    Command,
    CommandFailed,
    CommandResult,
    CommandRunner,
    OnLine,
)

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "SOURCE_DATE_EPOCH": str(DEFAULT_SOURCE_DATE_EPOCH),
}
_BAD_SIGNATURE = re.compile(
    r"NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|signatures? (?:were|was|couldn)|NODATA", re.IGNORECASE
)
_UNSIGNED = re.compile(r"is not signed|is no longer signed")
_NO_ANSWER = re.compile(
    r"Failed to fetch|Could not (?:resolve|connect)|Unable to connect|does not have a Release"
)

_LEADS_OUTSIDE = re.compile(r"Removing leading .*")
"""Source: GNU tar, which unpacks such names after all, below the target, and says so."""

POLICY = "#!/bin/sh\n# No service starts while an image is built.\nexit 101\n"
"""Source: Debian's policy-rc.d interface (invoke-rc.d): 101 forbids the action."""


class ParentMaker:
    """Makes root folders that layers are put upon."""

    def __init__(
        self, commands: CommandRunner, reach: Reach | None, archives: tuple[Repository, ...]
    ) -> None:
        """Reach the archives through reach."""
        self._commands = commands
        self._reach = reach
        self._archives = archives
        self.pins: Pins | None = None
        self.pinned_archive: Path | None = None

    def make(self, parent: PlannedParent, root: Path, lists: Path, on_line: OnLine | None) -> None:
        """Fill an empty folder with the parent's files; move apt's lists, if any, to lists.

        Raises: MirrorUnreachable; SignatureRefused; ArchiveRefused; CommandFailed.
        """
        match parent.source:
            case SuiteParent():
                self._bootstrap(parent.source, root, on_line)
                # Inside an image the archive of pins is elsewhere: lists are read anew there.
                away = lists if self.pinned_archive is None else root.parent
                _move_files(root / "var/lib/apt/lists", away)
            case RootfsParent():
                self._unpack(parent.source, root, on_line)
            case None:
                raise ValueError("a parent image brings its layers and is not made")

    def _bootstrap(self, parent: SuiteParent, root: Path, on_line: OnLine | None) -> None:
        lines = [line for archive in self._archives for line in one_line(archive)]
        argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
        # Everything is on memory or thrown away on failure: to sync each file only costs time.
        argv += ["--dpkgopt=force-unsafe-io", "--skip=output/dev,cleanup/apt/lists"]
        # The indexes are larger in gzip than in xz, and unpacked in half the time.
        argv += ['--aptopt=Acquire::CompressionTypes::Order "gz"']
        if self.pins is not None:
            argv += self.pins.bootstrap_options(root.parent)
        if self.pinned_archive is not None:
            lines.append(archive_line(str(self.pinned_archive)))
        argv += [parent.suite, str(root), *lines]
        environment = dict(_ENVIRONMENT, TMPDIR=str(root.parent))
        fds: tuple[int, ...] = ()
        if self._reach is not None:
            argv = ["nsenter", f"--net=/proc/self/fd/{self._reach.namespace_fd}", "--", *argv]
            environment.update(self._reach.environment)
            fds = (self._reach.namespace_fd,)
        result = self._commands.run(
            Command(
                argv=argv,
                environment=environment,
                timeout_seconds=1800,
                is_isolated=True,
                keep_open=fds,
                umask=IMAGE_UMASK,
            ),
            on_line,
        )
        if result.exit_status != 0:
            raise self._explained(result)
        (root / "usr/sbin/policy-rc.d").write_text(POLICY)
        (root / "usr/sbin/policy-rc.d").chmod(0o755)

    def _explained(self, result: CommandResult) -> Exception:
        address = self._archives[0].url
        said = result.stderr.decode(errors="replace")
        lines = [line for line in said.splitlines() if line.startswith(("W:", "E:", "Err:"))]
        reason = "\n".join(lines[-6:]) or result.last_lines
        if is_for_space(result):
            return CommandFailed(result)
        if _BAD_SIGNATURE.search(said):
            return SignatureRefused(address, reason)
        if self._reach is not None and self._reach.failures:
            host, failure = next(iter(self._reach.failures.items()))
            return MirrorUnreachable(address, f"{host}: {failure}")
        # An archive that is half down looks unsigned too, so this is asked after it.
        if _UNSIGNED.search(said):
            return SignatureRefused(address, reason)
        if _NO_ANSWER.search(said):
            return MirrorUnreachable(address, reason)
        return CommandFailed(result)

    def _unpack(self, parent: RootfsParent, root: Path, on_line: OnLine | None) -> None:
        """Unpack where only the target can be written, so that no path can lead elsewhere."""
        archive = Path(parent.path)
        if parent.sha256 is not None and file_digest(str(archive)) != parent.sha256:
            raise ArchiveRefused(
                parent.path, f"Its digest is not {parent.sha256}, which the recipe asks for."
            )
        argv = ["bwrap", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
        for link in ("bin", "sbin", "lib", "lib64"):
            argv += ["--symlink", f"usr/{link}", f"/{link}"]
        argv += ["--ro-bind", str(archive), "/archive", "--bind", str(root), "/target"]
        # Not the user namespace: root alone would be known in it, and files belong to many.
        argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"]
        argv += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        for capability in ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"):
            argv += ["--cap-add", f"CAP_{capability}"]
        argv += ["--", "tar", "--extract", "--file=/archive", "--directory=/target"]
        argv += ["--numeric-owner", "--preserve-permissions", "--xattrs", "--xattrs-include=*"]
        # Only what lies in /dev itself: folders of that name elsewhere are none of our business.
        argv += ["--anchored", "--exclude=./dev/*", "--exclude=dev/*", "--delay-directory-restore"]
        command = Command(
            argv=argv, environment=_ENVIRONMENT, timeout_seconds=1800, umask=IMAGE_UMASK
        )
        _refuse_bad_unpacking(parent.path, self._commands.run(command, on_line))
        _complete(parent.path, root)


def _refuse_bad_unpacking(path: str, result: CommandResult) -> None:
    if is_for_space(result):
        raise CommandFailed(result)
    outside = _LEADS_OUTSIDE.search(result.stderr.decode(errors="replace"))
    if outside is not None:
        raise ArchiveRefused(path, f"Names in it lead outside of it: {outside[0]}")
    if result.exit_status != 0:
        raise ArchiveRefused(path, result.last_lines)


def _complete(path: str, root: Path) -> None:
    """Make the folders that programs count on, where an archive left them out."""
    if not _is_folder(root / "usr"):
        raise ArchiveRefused(path, "It holds no /usr, so it is no root file system.")
    for folder in ("proc", "dev", "tmp", "run"):
        if not os.path.lexists(root / folder):
            (root / folder).mkdir()
            (root / folder).chmod(0o1777 if folder == "tmp" else 0o755)
        elif not _is_folder(root / folder):
            raise ArchiveRefused(path, f"Its /{folder} is no folder.")


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode) if os.path.lexists(path) else False


def _move_files(source: Path, target: Path) -> None:
    """Move the files of a folder, but none of its folders."""
    for path in [path for path in source.iterdir() if path.is_file()]:
        path.rename(target / path.name)
