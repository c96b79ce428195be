"""The walls around foreign work: bubblewrap shows a program, what it works on, and no more."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

NOBODY = 65534
_SHARED_MEMORY_BYTES = 8 * 1024 * 1024
"""For the locks of Python's multiprocessing."""
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside
    "USER": "nobody",
    "LANG": "C.UTF-8",
    "PYTHONSAFEPATH": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python inside: its program, its environment, and where it was installed."""

    program: Path
    prefix: Path
    base_prefix: Path

    @classmethod
    def ours(cls) -> Self:
        """Give the one that runs us."""
        return cls(
            program=Path(sys.executable),
            prefix=Path(sys.prefix),
            base_prefix=Path(sys.base_prefix).resolve(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfinementLimits:
    """What the confined processes may use of the machine."""

    address_space_bytes: int = 1024 * 1024 * 1024
    file_bytes: int = 32 * 1024 * 1024
    scratch_bytes: int = 128 * 1024 * 1024
    cpu_seconds: int = 600
    processes: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What is seen inside, read-only but for /tmp.

    Shape: `folders` maps a path inside to one of this machine; `workplace` is one inside.
    `environment` is added to what every confined program has. `reads_all` lets it read files that
    are not nobody's, if we are root.
    """

    folders: Mapping[str, Path]
    workplace: str
    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: Interpreter = field(default_factory=Interpreter.ours)
    reads_all: bool = False
    limits: ConfinementLimits = field(default_factory=ConfinementLimits)


def confined(argv: Sequence[str], walls: Walls, *, is_root: bool) -> list[str]:
    """Give the command that runs argv between walls.

    Run by root, it is root only until it has become nobody; run by anyone else, a user namespace
    gives it no more than that user has.
    """
    # Only to become nobody, and to give up ever getting anything back.
    wanted = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
    if walls.reads_all:
        wanted.append("CAP_DAC_READ_SEARCH")
    privileges = [argument for cap in wanted for argument in ("--cap-add", cap)]
    unprivileged = ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    return [
        "bwrap",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--hostname",
        "confined",
        *(privileges if is_root else unprivileged),
        *_view(walls),
        "--",
        *_limited(walls.limits),
        *(_as_nobody(reads_all=walls.reads_all) if is_root else []),
        *argv,
    ]


def _view(walls: Walls) -> list[str]:
    """The file system inside."""
    usr = Path("/usr")
    python = walls.interpreter
    view = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        view += ["--symlink", f"usr/{name}", f"/{name}"]
    # /etc must be there to be passed: a link into it then leads to nothing, not to an error.
    view += ["--perms", "0755", "--dir", "/etc"]
    view += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    view += ["--proc", "/proc", "--dev", "/dev"]
    scratch = {"/tmp": walls.limits.scratch_bytes, "/dev/shm": _SHARED_MEMORY_BYTES}  # noqa: S108 - inside
    for path, size_bytes in scratch.items():
        view += ["--perms", "1777", "--size", str(size_bytes), "--tmpfs", path]
    for prefix in dict.fromkeys((python.prefix, python.base_prefix)):
        if not prefix.is_relative_to(usr):
            view += _bound(prefix, prefix)
    for inside, outside in walls.folders.items():
        view += _bound(outside, Path(inside))
    view += ["--chdir", walls.workplace, "--clearenv"]
    for name, value in {**_ENVIRONMENT, **walls.environment}.items():
        view += ["--setenv", name, value]
    return view


def _bound(source: Path, target: Path) -> list[str]:
    """Show a folder below empty folders that anyone may pass, whatever they are out here."""
    parents = [p for p in reversed(target.parents) if p.name and p != Path("/tmp")]  # noqa: S108 - inside
    made = [argument for p in parents for argument in ("--perms", "0755", "--dir", str(p))]
    return [*made, "--ro-bind", str(source), str(target)]


def _limited(limits: ConfinementLimits) -> list[str]:
    return [
        "/usr/bin/prlimit",
        f"--as={limits.address_space_bytes}",
        f"--fsize={limits.file_bytes}",
        f"--cpu={limits.cpu_seconds}",
        f"--nproc={limits.processes}",
        "--core=0",
        "--",
    ]


def _as_nobody(*, reads_all: bool) -> list[str]:
    kept = ",+dac_read_search" if reads_all else ""
    return [
        "/usr/bin/setpriv",
        *f"--reuid {NOBODY} --regid {NOBODY} --clear-groups".split(),
        "--no-new-privs",
        f"--inh-caps=-all{kept}",
        *([f"--ambient-caps=-all{kept}"] if reads_all else []),
        f"--bounding-set=-all{kept}",
        "--",
    ]


def is_root() -> bool:
    """Whether we are root, so that becoming nobody is ours to do."""
    return os.geteuid() == 0
