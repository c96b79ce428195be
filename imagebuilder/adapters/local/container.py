"""A root file system booted in a container: its services run, on our kernel.

Root inside is not root outside: the container has a user namespace of its own. Its user ids are
made by an overlay of metadata only over the root it is given, which therefore is never written to.
All of it (overlay, processes, mounts) lives in namespaces of one process that dies with us.
"""

import os
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from imagebuilder.adapters.local.containment import MOST_PROCESSES, control_groups
from imagebuilder.adapters.local.ssh_machine import restarting
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.inspection import BootFailed
from imagebuilder.ports.machine import MachineLost, Script
from imagebuilder.ports.process import (
    Command,
    CommandResult,
    CommandRunner,
    OnLine,
    RunningProcess,
)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "HOME": "/root", "USER": "root", "LC_ALL": "C.UTF-8"}
_DIVIDED = ("-p", "Delegate=yes", "-p", f"TasksMax={MOST_PROCESSES}")
_FIRST_USER_ID = 0x60000000
"""Far above the ids of people, daemons and their subordinate ranges."""
_LOOK_SECONDS = 0.05
_UP = {"running", "degraded"}
_SHOWN_LINES = 30
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
_SHORTEST_WAIT_SECONDS = 0.5

# Runs as the first process of new process and mount namespaces. $1 is an empty folder, $2 the root,
# $3 the control groups, the rest is the container's program. metacopy: to change a file's owner
# copies no contents. /run/systemd/nspawn is hidden: the container's program leaves files there. It
# What is written may fill a quarter of the memory, and no more. It
# ends with 133 when its service manager wants to restart, and is then begun anew on what is there.
_STARTER = """
set -eu
scratch=$1 root=$2 groups=$3
shift 3
for group in $groups; do echo 0 > "$group/cgroup.procs"; done
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
mount -t tmpfs -o mode=0700,size=25% tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root" "$scratch/lower"
mount --bind "$root" "$scratch/lower"
cd "$scratch"
mount -t overlay -o metacopy=on,index=off,lowerdir=lower,upperdir=upper,workdir=work overlay root
status=133
while [ "$status" -eq 133 ]; do
  status=0
  "$@" || status=$?
done
exit "$status"
"""


class ContainerMachine:
    """Runs scripts in a booted container, as its root."""

    def __init__(
        self,
        runner: CommandRunner,
        leader: int,
        container: RunningProcess,
        comes_back: Callable[[int], int],
    ) -> None:
        """Enter the namespaces of the process leader; comes_back waits for the one after it."""
        self._runner = runner
        self._leader = leader
        self._container = container
        self._comes_back = comes_back

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        """Run a script and give its result, whatever the exit status.

        Raises: MachineLost: the container ended.
        """
        self._require_alive()
        with _readable_by_all(script.text) as script_fd:
            # Entering the user namespace leaves no capability that counts outside of it.
            entering = f"nsenter -t {self._leader} -U -m -u -i -n -p -C -r -w --".split()
            # What enters is in none of its control groups; its user's processes are counted.
            counted = ["prlimit", f"--nproc={MOST_PROCESSES}", "--"]
            program = [script.interpreter, f"/proc/self/fd/{script_fd}"]
            result = self._runner.run(
                Command(
                    argv=[*counted, *entering, *program],
                    timeout_seconds=script.timeout_seconds,
                    environment={**_ENVIRONMENT, **script.environment},
                    stdin=script.stdin or None,
                    stdin_file=script.stdin_file,
                    stdout_file=script.stdout_file,
                    keep_open=(script_fd,),
                ),
                on_line,
            )
        if result.exit_status != 0:
            self._require_alive()
        return result

    def restart(self, delay_seconds: float = 0.0) -> None:
        """Let its service manager start anew, and come back when it is up again.

        Raises: MachineLost: it ended, or was not up in time.
        """
        self.run(Script(text=restarting(delay_seconds), timeout_seconds=delay_seconds + 60.0))
        try:
            self._leader = self._comes_back(self._leader)
        except BootFailed as failure:
            raise MachineLost("container", f"{failure.message}\n{failure.context}") from failure

    def _require_alive(self) -> None:
        # A process that ends loses its namespaces before it ends those inside, which we see first.
        if self._container.poll() is not None or not _is_alive(self._leader):
            raise MachineLost("container", _last_lines(self._container.output()))


class Containers:
    """Boots root folders in containers."""

    def __init__(
        self, runner: CommandRunner, clock: Clock, work: Path, *, boot_seconds: float = 90.0
    ) -> None:
        """Use the folder work for mount points; give a boot boot_seconds."""
        self._runner = runner
        self._clock = clock
        self._work = work
        self._boot_seconds = boot_seconds

    @contextmanager
    def boot(self, root: PurePath) -> Iterator[ContainerMachine]:
        """Boot a root folder, which is not changed, without any network but its own loopback.

        Raises: BootFailed: its service manager did not come up in time.
        """
        with (
            control_groups() as groups,
            working_folder(self._work, "container-") as scratch,
            self._runner.start(_boot_command(scratch, root, groups)) as container,
        ):
            leader = self._wait_until_up(container)
            yield self._machine(leader, container)

    def _machine(self, leader: int, container: RunningProcess) -> ContainerMachine:
        return ContainerMachine(
            self._runner, leader, container, lambda gone: self._wait_until_up(container, gone)
        )

    def _wait_until_up(self, container: RunningProcess, gone: int | None = None) -> int:
        """Wait until the service manager has started what it should, or come to what failed.

        Give its process id, which is another than the one that is to be gone.
        """
        started = self._clock.monotonic()
        pause = threading.Event()
        state = "nothing started"
        while (waited := self._clock.monotonic() - started) < self._boot_seconds:
            if container.poll() is not None:
                raise _failed(container, waited, "the container ended")
            leader = _leader_of(container.pid)
            if leader is not None and leader != gone:
                machine = self._machine(leader, container)
                state = self._state(machine, self._boot_seconds - waited)
                if state in _UP:
                    return leader
            pause.wait(_LOOK_SECONDS)
        raise _failed(container, self._boot_seconds, f"its service manager said: {state}")

    def _state(self, machine: ContainerMachine, limit_seconds: float) -> str:
        seconds = max(limit_seconds, _SHORTEST_WAIT_SECONDS)
        try:
            result = machine.run(
                Script(text="systemctl is-system-running --wait", timeout_seconds=seconds)
            )
        except MachineLost:
            return "it ended"
        said = result.stdout.decode(errors="replace").strip()
        return said or "no answer yet" if not result.has_timed_out else "still starting"


def _boot_command(scratch: Path, root: PurePath, groups: tuple[Path, ...]) -> Command:
    namespaces = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "--",
    ]
    starter = ["/bin/sh", "-c", _STARTER, "imagebuilder-container"]
    places = [str(scratch), str(root), " ".join(shlex.quote(str(group)) for group in groups)]
    return Command(
        argv=[*_scope(), *namespaces, *starter, *places, *_nspawn(scratch / "root")],
        timeout_seconds=None,
        environment={
            "PATH": _PATH,
            # New service managers refuse the old kind of control groups, old ones take the new.
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        },
    )


def _scope() -> list[str]:
    """Where the machine has a service manager of its own, let it give us a group to divide."""
    if not Path("/run/systemd/system").is_dir():
        return []
    return ["systemd-run", "--quiet", "--scope", "--collect", *_DIVIDED, "--"]


def _nspawn(root: Path) -> list[str]:
    return [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        "--boot",
        "--console=read-only",
        f"--directory={root}",
        "--machine=image",
        "--private-network",
        f"--private-users={_FIRST_USER_ID}:65536",
        "--private-users-ownership=chown",
        "--link-journal=no",
        "--timezone=off",
        "--resolv-conf=off",
        "--settings=no",
        # To its service manager: the disks that fstab names are not here.
        "fstab=no",
    ]


def _leader_of(starter: int) -> int | None:
    """Find the container's first process: the one that has entered another user namespace."""
    ours = Path("/proc/self/ns/user").readlink()
    found = [starter]
    for process in found:
        found += _children(process)
        try:
            if Path(f"/proc/{process}/ns/user").readlink() != ours:
                return process
        except OSError:
            continue
    return None


def _is_alive(leader: int) -> bool:
    try:
        return bool(Path(f"/proc/{leader}/ns/mnt").readlink())
    except OSError:
        return False


def _children(process_id: int) -> list[int]:
    try:
        text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


@contextmanager
def _readable_by_all(text: str) -> Iterator[int]:
    """Give a descriptor of text in memory, which stands in no file and no argv."""
    fd = os.memfd_create("script", 0)
    try:
        os.fchmod(fd, 0o444)
        with os.fdopen(os.dup(fd), "wb") as opened:
            opened.write(text.encode())
        yield fd
    finally:
        os.close(fd)


def _failed(container: RunningProcess, seconds: float, reason: str) -> BootFailed:
    return BootFailed(
        "in a container",
        seconds=seconds,
        reason=reason,
        last_lines=_last_lines(container.output()),
    )


def _last_lines(output: bytes) -> str:
    text = _TERMINAL_CODES.sub("", output.decode(errors="replace"))
    return "\n".join(line for line in text.splitlines()[-_SHOWN_LINES:] if line.strip())
