"""LiveMachines: machines that run already, reached by SSH as who owns them allows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.adapters.local.ssh_machine import HostKeys, SshAccess, SshConnection, SshMachine
from imagebuilder.adapters.local.workplace import short_folder
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.live import HostUnreachable, Login, LoginRefused
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandRunner

_LOOK_SECONDS = 0.05
_WHO = Script(text="id -u\n", timeout_seconds=30)
_KEY_HINT = "Let this user's authorized_keys hold the key, and give its file with --key."
_ROOT_HINT = "Log in as root, or let this user run sudo without a password."
_HOST_HINT = (
    "See that it is the machine you mean. With --accept-new the key of a machine that was never "
    "seen is taken; --known-hosts names a file that has it."
)


class SshLiveMachines:
    """Logs in to machines."""

    def __init__(
        self, runner: CommandRunner, clock: Clock, work: Path, *, login_seconds: float = 60.0
    ) -> None:
        """Keep the connection's socket in the folder work; give a login login_seconds."""
        self._runner = runner
        self._clock = clock
        self._work = work
        self._login_seconds = login_seconds

    @contextmanager
    def connected(self, login: Login) -> Iterator[SshMachine]:
        """Log in; the connection is closed with the context.

        Raises: HostUnreachable; LoginRefused: a key was not taken, or root's rights were not given.
        """
        with short_folder(self._work, "imagebuilder-login-") as folder:
            access = _access(login, folder)
            with SshConnection.opened(self._runner, access) as connection:
                self._wait_until_open(connection, login)
                machine = SshMachine(self._runner, access, connection)
                _require_root(machine, login)
                yield machine

    def _wait_until_open(self, connection: SshConnection, login: Login) -> None:
        started = self._clock.monotonic()
        pause = threading.Event()
        while not connection.is_open():
            if connection.has_ended:
                raise _refusal(login, connection.complaint)
            if self._clock.monotonic() - started > self._login_seconds:
                raise HostUnreachable(login, f"No login within {self._login_seconds:.0f} s.")
            pause.wait(_LOOK_SECONDS)


def _access(login: Login, folder: Path) -> SshAccess:
    return SshAccess(
        folder=folder,
        address=login.address,
        port=login.port,
        user=login.user,
        name=f"machine {login}",
        key=Path(login.key) if login.key else None,
        host_keys=HostKeys.NEW if login.accepts_new else HostKeys.NONE,
        known_hosts=Path(login.known_hosts) if login.known_hosts else None,
    )


def _refusal(login: Login, complaint: str) -> HostUnreachable | LoginRefused:
    if "host key" in complaint.lower() or "HOST IDENTIFICATION" in complaint:
        return LoginRefused(login, complaint, hint=_HOST_HINT)
    if "Permission denied" in complaint or "Load key" in complaint:
        return LoginRefused(login, complaint, hint=_KEY_HINT)
    return HostUnreachable(login, complaint or "ssh ended without a word.")


def _require_root(machine: SshMachine, login: Login) -> None:
    """See that scripts run as root. Raises: LoginRefused."""
    result = machine.run(_WHO)
    said = result.stdout.decode(errors="replace").strip()
    if result.exit_status != 0 or said != "0":
        reason = result.last_lines or f"Commands run as user {said}."
        raise LoginRefused(login, reason, hint=_ROOT_HINT)
