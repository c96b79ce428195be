"""The walls around a recipe's tests: bubblewrap shows the interpreter, the tests, and no more."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
PLUGIN_FOLDER = "/relay"
TESTS_FOLDER = "/tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python that runs the tests: its program, its environment, and where it was installed."""

    program: Path
    prefix: Path
    base_prefix: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfinementLimits:
    """What the confined processes may use of the machine."""

    address_space_bytes: int = 1024 * 1024 * 1024
    file_bytes: int = 32 * 1024 * 1024
    scratch_bytes: int = 128 * 1024 * 1024
    cpu_seconds: int = 600
    processes: int = 128


def confined(
    argv: Sequence[str],
    *,
    interpreter: Interpreter,
    staging: Path,
    limits: ConfinementLimits,
    is_root: bool,
) -> list[str]:
    """Give the command that runs argv confined, with the plugin and the tests found in staging.

    Run by root, it is root only until it has become nobody; run by anyone else, a user namespace
    gives it no more than that user has.
    """
    # Only to become nobody, and to give up ever getting anything back.
    becoming_nobody = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    privileges = [argument for cap in becoming_nobody for argument in ("--cap-add", cap)]
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
        "tests",
        *(privileges if is_root else unprivileged),
        *_view(interpreter, staging, limits),
        "--",
        *_limited(limits),
        *(_as_nobody() if is_root else []),
        *argv,
    ]


def _view(interpreter: Interpreter, staging: Path, limits: ConfinementLimits) -> list[str]:
    """The file system the tests see."""
    usr = Path("/usr")
    prefixes = [
        p
        for p in dict.fromkeys((interpreter.prefix, interpreter.base_prefix))
        if not p.is_relative_to(usr)
    ]
    view = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        view += ["--symlink", f"usr/{name}", f"/{name}"]
    # /etc must be there to be passed: a link into it then leads to nothing, not to an error.
    view += ["--perms", "0755", "--dir", "/etc"]
    view += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    view += ["--proc", "/proc", "--dev", "/dev"]
    view += ["--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"]  # noqa: S108 - inside
    for prefix in prefixes:
        view += _bound(prefix, prefix)
    view += _bound(staging / "plugin", Path(PLUGIN_FOLDER))
    view += _bound(staging / "tests", Path(TESTS_FOLDER))
    view += ["--chdir", TESTS_FOLDER, "--clearenv"]
    for name, value in _environment().items():
        view += ["--setenv", name, value]
    return view


def _bound(source: Path, target: Path) -> list[str]:
    """Show a folder below empty folders that anyone may pass, whatever they are out here."""
    parents = [p for p in reversed(target.parents) if p.name and p != Path("/tmp")]  # noqa: S108 - inside
    made = [argument for p in parents for argument in ("--perms", "0755", "--dir", str(p))]
    return [*made, "--ro-bind", str(source), str(target)]


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - inside
        "USER": "nobody",
        "LANG": "C.UTF-8",
        "PYTHONPATH": PLUGIN_FOLDER,
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


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


def _as_nobody() -> list[str]:
    return [
        "/usr/bin/setpriv",
        *f"--reuid {NOBODY} --regid {NOBODY} --clear-groups".split(),
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    ]


def is_root() -> bool:
    """Whether we are root, so that becoming nobody is ours to do."""
    return os.geteuid() == 0
