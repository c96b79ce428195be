"""Control groups for booted containers, and what kills of us left of them.

Two containers in one group would take each other's services for their own, so each gets a group. A
group is a folder the kernel keeps after its processes: ours carry our process id, and those of
processes that are gone are swept.
"""

import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOST_PROCESSES = 2048
"""Of a booted container; a whole desktop needs fewer."""
MOST_PROCESSES_OF_TESTS = 1024
_NAME = re.compile(r"imagebuilder-(\d+)-[0-9a-f]+")
_EMPTYING_SECONDS = 2.0
_LOOK_SECONDS = 0.02


@contextmanager
def control_groups(
    proc: Path = Path("/proc"), *, processes: int = MOST_PROCESSES
) -> Iterator[tuple[Path, ...]]:
    """Give fresh groups, one a hierarchy that service managers use or that counts processes.

    Where the kernel lets us, there are never more than `processes` in them. There are no groups
    where we may make none.
    """
    parents = tuple(_own_groups(proc))
    for parent in parents:
        sweep(parent, proc)
    name = f"imagebuilder-{os.getpid()}-{secrets.token_hex(4)}"
    made: list[Path] = []
    try:
        for parent in parents:
            # Read-only or someone else's: the container then shares our group, alone.
            with suppress(OSError):
                (parent / name).mkdir()
                made.append(parent / name)
        for group in made:
            limit = group / "pids.max"
            if limit.exists():
                limit.write_text(str(processes))
        yield tuple(made)
    finally:
        for group in made:
            _remove(group)


def sweep(parent: Path, proc: Path = Path("/proc")) -> None:
    """Remove the groups that processes which are gone have left below parent."""
    for group in parent.glob("imagebuilder-*"):
        match = _NAME.fullmatch(group.name)
        if match and not (proc / match[1]).exists():
            _remove(group)


def _own_groups(proc: Path) -> Iterator[Path]:
    """Give the folders of our own group in the hierarchies systemd, unified, and pids.

    Source: proc(5), /proc/pid/mountinfo; cgroups(7), /proc/pid/cgroup.
    """
    own: dict[str, str] = {}
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    for line in (proc / "self/mountinfo").read_text().splitlines():
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        if kind == "cgroup2":
            controllers = ""
        elif kind == "cgroup" and (known := {"name=systemd", "pids"} & set(options)):
            controllers = known.pop()
        else:
            continue
        if controllers in own and fields[3] == "/":
            yield Path(fields[4]) / own[controllers].lstrip("/")


def _remove(group: Path) -> None:
    """Remove a group and those below it; killed processes may take a moment to leave it."""
    pause = threading.Event()
    for _ in range(round(_EMPTYING_SECONDS / _LOOK_SECONDS)):
        for folder, _folders, _files in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        if not group.exists():
            return
        pause.wait(_LOOK_SECONDS)
