"""SandboxMachine: commands of an image, run over its root folder in bubblewrap.

Nine capabilities are what package scripts need; nothing else of root is left. The image's own files
are all there is, but for /proc, an empty /dev, and folders that live as long as one component's
work (/tmp, /run, apt's lists and archives), so that none of it gets into a layer.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagebuilder.adapters.local.containment import MOST_PROCESSES_OF_TESTS, control_groups
from imagebuilder.adapters.local.network import Reach
from imagebuilder.adapters.local.space import is_for_space
from imagebuilder.domain.errors import Refused
from imagebuilder.domain.units import MIB, size_text
from imagebuilder.ports.building import MirrorUnreachable, StorageFull
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import (
    IMAGE_UMASK,
    Command,
    CommandFailed,
    CommandResult,
    CommandRunner,
    OnLine,
)

_CAPABILITIES = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL"),
    *("CAP_SETFCAP", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"),
)
_KERNEL_SETTINGS = (
    *("sys", "sysrq-trigger", "bus", "irq", "fs", "acpi", "asound", "scsi", "driver"),
    *("dynamic_debug", "mtrr"),
)
"""Where root may tell the kernel of the whole machine something, by its number alone, without any
capability: to write core_pattern would be to run a program outside."""
_SPARE_BYTES = 64 * MIB
"""With more than this free, a script that found no space found none somewhere else."""
_ENTER = 'echo 0 > "$1/cgroup.procs"; shift; exec "$@"'
_SCRIPT = "/run/imagebuilder/script"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    # The initramfs is made once, at the end, from all that is installed.
    "INITRD": "No",
}


class UnsafeRoot(Refused):
    """A place that the sandbox mounts on is not plainly a place in the image."""

    code = "unsafe-root"

    def __init__(self, path: str) -> None:
        """Name the path that could lead out of the image."""
        super().__init__(
            f"{path} in the image is not what it has to be, so nothing is run in it.",
            context="A link there, or above, could lead a mount out of the image.",
            hint="Let it be a plain file or folder, and all above it plain folders.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """How a sandbox is set up.

    Shape: `folders` and `read_only` map a path inside to one of this machine. `reach` is None for
    no network at all. Where it `is_bounded`, scripts get few processes, and it is their own doing
    when the root is full.
    """

    root: Path
    folders: Mapping[str, Path] = field(default_factory=dict)
    read_only: Mapping[str, Path] = field(default_factory=dict)
    reach: Reach | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    is_bounded: bool = False


class SandboxMachine:
    """Runs scripts inside a root folder."""

    def __init__(self, commands: CommandRunner, confinement: Confinement) -> None:
        """Run with commands, confined so."""
        self._commands = commands
        self._confinement = confinement
        if confinement.reach is not None:
            # What went wrong for others before is no excuse for what is run here.
            confinement.reach.failures.clear()

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        """Run a script and give its result, whatever the exit status.

        Raises: UnsafeRoot: the image was changed so that mounting in it would not be safe;
        MirrorUnreachable, StorageFull: it failed, and that is why.
        """
        given = self._confinement
        for path in ("/proc", "/dev", *given.folders):
            _require_plain(given, path, stat.S_IFDIR)
        for path in (_SCRIPT, *given.read_only):
            _require_plain(given, path, stat.S_IFREG)
        with _in_memory(script.text) as script_fd, self._bounds() as bounds:
            reach_fds = () if given.reach is None else (given.reach.namespace_fd,)
            result = self._commands.run(
                Command(
                    argv=[*bounds, *self._argv(script_fd), script.interpreter, _SCRIPT],
                    timeout_seconds=script.timeout_seconds,
                    environment=self._environment(script),
                    stdin=script.stdin or None,
                    stdin_file=script.stdin_file,
                    stdout_file=script.stdout_file,
                    keep_open=(script_fd, *reach_fds),
                    umask=IMAGE_UMASK,
                ),
                on_line,
            )
        if result.exit_status != 0:
            self._blame_the_world(result)
        return result

    def bounded(self) -> "SandboxMachine":
        """Give one that runs what is foreign, in few processes."""
        return SandboxMachine(self._commands, replace(self._confinement, is_bounded=True))

    def restart(self, delay_seconds: float = 0.0) -> None:
        """Have nothing to do: every script starts in a fresh process space."""

    def _blame_the_world(self, result: CommandResult) -> None:
        """Say so when a script could not do its work for lack of space or of an archive.

        Raises: StorageFull; MirrorUnreachable.
        """
        given = self._confinement
        if is_for_space(result) and not given.is_bounded:
            free = os.statvfs(given.root)
            free_bytes = free.f_bavail * free.f_frsize
            if free_bytes < _SPARE_BYTES or free.f_favail == 0:
                raise StorageFull(str(given.root), size_text(free_bytes)) from CommandFailed(result)
        if given.reach is not None and given.reach.failures:
            host, reason = next(iter(given.reach.failures.items()))
            raise MirrorUnreachable(host, reason) from CommandFailed(result)

    @contextmanager
    def _bounds(self) -> Iterator[list[str]]:
        """Give what to begin a command with, so that it and its children are counted."""
        if not self._confinement.is_bounded:
            yield []
            return
        if Path("/run/systemd/system").is_dir():
            limit = f"TasksMax={MOST_PROCESSES_OF_TESTS}"
            yield ["systemd-run", "--quiet", "--scope", "--collect", "-p", limit, "--"]
            return
        with control_groups(processes=MOST_PROCESSES_OF_TESTS) as groups:
            counted = [str(group) for group in groups if (group / "pids.max").exists()]
            yield ["/bin/sh", "-c", _ENTER, "enter", counted[0]] if counted else []

    def _argv(self, script_fd: int) -> list[str]:
        given = self._confinement
        argv = []
        if given.reach is not None:
            argv += ["nsenter", f"--net=/proc/self/fd/{given.reach.namespace_fd}", "--"]
        argv += [
            "prlimit",
            "--core=0",
            "--nofile=4096",
            "--",
            "bwrap",
            "--bind",
            str(given.root),
            "/",
        ]
        argv += ["--proc", "/proc"]
        for name in _KERNEL_SETTINGS:
            argv += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        argv += ["--dev", "/dev"]
        for inside, outside in given.folders.items():
            argv += ["--bind", str(outside), inside]
        for inside, outside in given.read_only.items():
            argv += ["--ro-bind", str(outside), inside]
        argv += ["--perms", "0644", "--ro-bind-data", str(script_fd), _SCRIPT]
        argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        if given.reach is None:
            argv.append("--unshare-net")
        argv += ["--hostname", "localhost", "--die-with-parent", "--new-session", "--chdir", "/"]
        argv += ["--cap-drop", "ALL"]
        for capability in _CAPABILITIES:
            argv += ["--cap-add", capability]
        return [*argv, "--"]

    def _environment(self, script: Script) -> dict[str, str]:
        given = self._confinement
        reach = given.reach.environment if given.reach else {}
        return {**_ENVIRONMENT, **reach, **given.environment, **script.environment}


def _require_plain(given: Confinement, path: str, kind: int) -> None:
    """Refuse a path that leads through anything but folders to anything but what is wanted.

    A folder that is mounted itself is looked into where it comes from: the image can change it too.
    """
    above = max((f for f in given.folders if path.startswith(f"{f}/")), key=len, default="")
    here = given.folders[above] if above else given.root
    parts = path.removeprefix(above).strip("/").split("/")
    for number, part in enumerate(parts, start=1):
        here /= part
        try:
            status = here.lstat()
        except FileNotFoundError:
            return  # bubblewrap makes it, below folders that were checked
        wanted = kind if number == len(parts) else stat.S_IFDIR
        if stat.S_IFMT(status.st_mode) != wanted:
            raise UnsafeRoot(path)


@contextmanager
def _in_memory(text: str) -> Iterator[int]:
    """Give a descriptor to read text from, so that it stands in no file and no argv."""
    fd = os.memfd_create("script", 0)
    try:
        with os.fdopen(os.dup(fd), "wb") as opened:
            opened.write(text.encode())
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
