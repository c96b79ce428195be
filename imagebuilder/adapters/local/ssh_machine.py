"""A machine reached by SSH, over one connection that all commands share."""

import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from imagebuilder.ports.machine import MachineLost, Script
from imagebuilder.ports.process import (
    Command,
    CommandResult,
    CommandRunner,
    OnLine,
    RunningProcess,
)

_KEY = "key"
_LOST_STATUS = 255
"""ssh's own exit status when the connection fails. Source: ssh(1)."""
_TIMED_OUT_STATUSES = {124, 137}
_SPARE_SECONDS = 10.0
_LOOK_SECONDS = 0.1

# $1 script's length, $2 settings' length, $3 interpreter, $4 time limit, 0 for none. What follows
# the two texts on standard input is the script's own. Nothing of a script stands in any argv.
_RECEIVER = """
folder=$(mktemp -d -p /run) || exit 1
trap 'rm -rf "$folder"' EXIT
head -c "$1" > "$folder/script"
head -c "$2" > "$folder/settings"
set -a
. "$folder/settings"
set +a
timeout -k 1 "$4" "$3" "$folder/script"
"""


class HostKeys(StrEnum):
    """Which machines are let show a key that is not known; values are those of ssh_config(5)."""

    ALL = "no"
    NEW = "accept-new"
    NONE = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAccess:
    """Where and how to log in; `folder` is a private one, for the connection's socket.

    `name` is what errors call the machine. `key` and `known_hosts` are None for those that ssh
    uses by itself.
    """

    folder: Path
    port: int
    address: str = "127.0.0.1"
    user: str = "root"
    name: str = "virtual machine"
    key: Path | None = None
    host_keys: HostKeys = HostKeys.NONE
    known_hosts: Path | None = None

    @classmethod
    def of_guest(cls, port: int, folder: Path) -> "SshAccess":
        """Give the way to a virtual machine of ours, with the key that `make_key` makes in folder.

        The guest was just made and its only way in is ours: there is no key of it to know before.
        """
        known_hosts = folder / "known_hosts"
        return cls(
            folder=folder,
            port=port,
            key=folder / _KEY,
            host_keys=HostKeys.ALL,
            known_hosts=known_hosts,
        )

    def argv(self, *options: str) -> list[str]:
        """Give an ssh command with nobody's settings but ours."""
        settings = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "ControlPath": str(self.folder / "control"),
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": self.host_keys.value,
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4",
        }
        key = []
        if self.key is not None:
            settings["IdentitiesOnly"] = "yes"
            key = ["-i", str(self.key)]
        if self.known_hosts is not None:
            settings["UserKnownHostsFile"] = str(self.known_hosts)
            settings["GlobalKnownHostsFile"] = "/dev/null"
        pairs = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        where = f"{self.user}@{self.address}"
        return ["ssh", "-F", "none", "-p", str(self.port), *key, *pairs, *options, where]


def restarting(delay_seconds: float) -> str:
    """Give shell text that has a booted machine restart after a delay; it may end before that."""
    wait = f"sleep {delay_seconds:g}\n" if delay_seconds > 0 else ""
    asked = "systemctl --no-block reboot"
    return f"{wait}if command -v systemctl >/dev/null; then {asked}; else reboot; fi\n"


def make_key(runner: CommandRunner, folder: Path) -> str:
    """Make a key for one boot in a private folder and give its public half."""
    argv = [
        *["ssh-keygen", "-q", "-t", "ed25519", "-C", "imagebuilder", "-N"],
        "",
        "-f",
        str(folder / _KEY),
    ]
    runner.check(Command(argv=argv, timeout_seconds=30))
    return (folder / f"{_KEY}.pub").read_text()


class SshConnection:
    """The connection that all commands go through, while its process lives."""

    def __init__(self, runner: CommandRunner, access: SshAccess, held: ExitStack) -> None:
        """Begin to connect; the process that holds the connection ends with held."""
        self._runner = runner
        self._access = access
        self._held = held
        self._process = self._begun()

    @classmethod
    @contextmanager
    def opened(cls, runner: CommandRunner, access: SshAccess) -> Iterator["SshConnection"]:
        """Begin to connect; the connection is closed with the context."""
        with ExitStack() as held:
            yield cls(runner, access, held)

    def begin_anew(self) -> None:
        """Give up the connection there is, and begin to connect again."""
        self._held.close()
        (self._access.folder / "control").unlink(missing_ok=True)
        self._process = self._begun()

    def _begun(self) -> RunningProcess:
        argv = self._access.argv("-N", "-o", "ControlMaster=yes")
        return self._held.enter_context(
            self._runner.start(Command(argv=argv, timeout_seconds=None))
        )

    @property
    def has_ended(self) -> bool:
        """Whether it was refused or lost."""
        return self._process.poll() is not None

    @property
    def complaint(self) -> str:
        """What ssh said."""
        return self._process.output().decode(errors="replace").strip()

    def is_open(self) -> bool:
        """Whether commands can be run now."""
        check = Command(argv=self._access.argv("-O", "check"), timeout_seconds=10)
        return not self.has_ended and self._runner.run(check).exit_status == 0


class SshMachine:
    """Runs scripts on another machine as root, by sudo when the login is somebody else's."""

    def __init__(
        self,
        runner: CommandRunner,
        access: SshAccess,
        connection: SshConnection,
        last_words: Callable[[], str] = str,
        *,
        restart_looks: int = 6000,
    ) -> None:
        """Use an open connection; last_words gives what the machine said of late.

        After a restart the machine is looked for so often, a tenth of a second apart.
        """
        self._runner = runner
        self._access = access
        self._connection = connection
        self._last_words = last_words
        self._restart_looks = restart_looks

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        """Run a script and give its result, whatever the exit status.

        Raises: MachineLost: the connection is gone.
        """
        limit = script.timeout_seconds
        text, settings = script.text.encode(), _settings(script.environment)
        arguments = [str(len(text)), str(len(settings)), script.interpreter, f"{limit or 0:g}"]
        as_root = [] if self._access.user == "root" else ["sudo", "-n", "--"]
        remote = [*as_root, "/bin/sh", "-c", _RECEIVER, "receiver", *arguments]
        result = self._runner.run(
            Command(
                argv=[*self._access.argv(), shlex.join(remote)],
                timeout_seconds=None if limit is None else limit + _SPARE_SECONDS,
                stdin=text + settings + script.stdin,
                stdin_file=script.stdin_file,
                stdout_file=script.stdout_file,
            ),
            on_line,
        )
        if result.exit_status == _LOST_STATUS and not self._connection.is_open():
            said = f"{result.last_lines}\n{self._last_words()}"
            raise MachineLost(self._access.name, said.strip())
        return _told_of_time(result, limit)

    def restart(self, delay_seconds: float = 0.0) -> None:
        """Reboot, and come back when a login is possible and the kernel is another one.

        Raises: MachineLost: it did not come back in time.
        """
        before = self._boot_id()
        # The connection may end while it is asked to.
        with suppress(MachineLost):
            self.run(Script(text=restarting(delay_seconds), timeout_seconds=delay_seconds + 60.0))
        pause = threading.Event()
        for _ in range(self._restart_looks):
            if self._connection.has_ended:
                self._connection.begin_anew()
            elif self._connection.is_open():
                with suppress(MachineLost):
                    if self._boot_id() not in {before, ""}:
                        return
            pause.wait(_LOOK_SECONDS)
        raise MachineLost(
            self._access.name,
            f"It was restarted and let nobody in again.\n{self._connection.complaint}",
        )

    def _boot_id(self) -> str:
        result = self.run(Script(text="cat /proc/sys/kernel/random/boot_id\n", timeout_seconds=60))
        return result.stdout.decode(errors="replace").strip()


def _settings(environment: Mapping[str, str]) -> bytes:
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    return "".join(lines).encode()


def _told_of_time(result: CommandResult, limit: float | None) -> CommandResult:
    """Mark a result that the far side's time limit ended."""
    if limit is None or result.seconds < limit or result.exit_status not in _TIMED_OUT_STATUSES:
        return result
    return CommandResult(
        argv=result.argv,
        exit_status=result.exit_status,
        stdout=result.stdout,
        stderr=result.stderr,
        seconds=result.seconds,
        has_timed_out=True,
        dropped_bytes=result.dropped_bytes,
    )
