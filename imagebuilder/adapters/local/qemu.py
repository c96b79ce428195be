"""Disks booted through their firmware in QEMU, up to an SSH login."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from imagebuilder.adapters.local.acceleration import Acceleration, Accelerator
from imagebuilder.adapters.local.hardware import Forward, Hardware, qemu_argv
from imagebuilder.adapters.local.ssh_machine import (
    SshAccess,
    SshConnection,
    SshMachine,
    make_key,
)
from imagebuilder.adapters.local.workplace import short_folder, working_folder
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.inspection import BootedMachine, BootFailed
from imagebuilder.ports.process import Command, CommandRunner, OnLine, RunningProcess

_LOOK_SECONDS = 0.1
_SSH_PORT = 22
_MONITOR_SECONDS = 30.0
_SIGNS_OF_LIFE = (b"Linux version", b"systemd", b"login:")
_PORT_TAKEN = b"Could not set up host forwarding"
_PORT_ATTEMPTS = 3
_SHOWN_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLimits:
    """How long a boot may take: emulation needs half a minute, beside other work much more."""

    login_seconds: float = 300.0
    life_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractiveBoot:
    """A boot that a person looks at: the command to run on the terminal, and the way in by SSH."""

    argv: tuple[str, ...]
    ssh_argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One boot of a disk."""

    disk: PurePath
    firmware: Firmware
    console: Path
    accelerator: Accelerator
    on_line: OnLine | None


class _PortTaken(Exception):
    """Someone took the port between our finding it free and QEMU's use of it."""


class _NoLife(Exception):
    """A guest under KVM said nothing that a kernel says."""


class VirtualMachines:
    """Boots disks; what they write is forgotten."""

    def __init__(
        self,
        runner: CommandRunner,
        clock: Clock,
        acceleration: Acceleration,
        work: Path,
        *,
        limits: BootLimits | None = None,
    ) -> None:
        """Keep keys and what guests write in the folder work, while they run."""
        self._runner = runner
        self._clock = clock
        self._acceleration = acceleration
        self._work = work
        self._limits = limits or BootLimits()

    @contextmanager
    def boot(
        self, disk: PurePath, firmware: Firmware, console: PurePath, on_line: OnLine | None
    ) -> Iterator[BootedMachine]:
        """Boot a disk to an SSH login; the guest reaches neither this machine nor any network.

        A guest that shows no sign of life under KVM is booted again under emulation.
        Raises: BootFailed: no login in time.
        """
        with ExitStack() as stack:
            yield self._booted(
                stack,
                _Attempt(
                    disk=disk,
                    firmware=firmware,
                    console=Path(console),
                    accelerator=self._acceleration.verdict(),
                    on_line=on_line,
                ),
            )

    @contextmanager
    def interactive(
        self,
        disk: PurePath,
        firmware: Firmware,
        forwards: tuple[Forward, ...] = (),
        memory_mib: int = 1024,
    ) -> Iterator[InteractiveBoot]:
        """Prepare a boot with its console on the terminal; its key lives with the context."""
        # What the guest writes is kept here, also when the key stands elsewhere.
        self._work.mkdir(parents=True, exist_ok=True)
        with short_folder(self._work, "imagebuilder-boot-") as folder:
            access = SshAccess.of_guest(_free_port(), folder)
            hardware = Hardware(
                disk=disk,
                firmware=firmware,
                accelerator=self._acceleration.verdict(),
                public_key=make_key(self._runner, folder),
                forwards=((access.port, _SSH_PORT), *forwards),
                serial="mon:stdio",
                memory_mib=memory_mib,
                processors=_processors(),
            )
            yield InteractiveBoot(argv=tuple(qemu_argv(hardware)), ssh_argv=tuple(access.argv()))

    def _booted(self, stack: ExitStack, attempt: _Attempt) -> BootedMachine:
        """Boot, with the resources in stack; over again where the fault is not the image's."""
        for _ in range(_PORT_ATTEMPTS):
            with ExitStack() as resources:
                try:
                    booted = self._attempted(resources, attempt)
                except _PortTaken:
                    continue
                except _NoLife:
                    self._acceleration.distrust()
                    return self._booted(
                        stack,
                        _Attempt(
                            disk=attempt.disk,
                            firmware=attempt.firmware,
                            console=attempt.console,
                            accelerator=Accelerator.TCG,
                            on_line=attempt.on_line,
                        ),
                    )
                stack.push(resources.pop_all())
                return booted
        raise _failed(attempt, 0.0, "no free port was found on this machine's loopback")

    def _attempted(self, resources: ExitStack, attempt: _Attempt) -> BootedMachine:
        folder = resources.enter_context(short_folder(self._work, "imagebuilder-boot-"))
        access = SshAccess.of_guest(_free_port(), folder)
        attempt.console.parent.mkdir(parents=True, exist_ok=True)
        attempt.console.write_bytes(b"")
        hardware = Hardware(
            disk=attempt.disk,
            firmware=attempt.firmware,
            accelerator=attempt.accelerator,
            public_key=make_key(self._runner, folder),
            forwards=((access.port, _SSH_PORT),),
            serial="chardev:console",
            processors=_processors(),
        )
        logged = str(attempt.console.absolute()).replace(",", ",,")
        monitor = folder / "monitor"
        argv = [*qemu_argv(hardware), "-chardev", f"file,id=console,path={logged}"]
        argv += ["-qmp", f"unix:{str(monitor).replace(',', ',,')},server=on,wait=off"]
        # QEMU keeps what guests write in a file in TMPDIR, and may die before it unlinks it.
        scratch = resources.enter_context(working_folder(self._work, "guest-"))
        environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(scratch)}
        started = self._clock.monotonic()
        machine = resources.enter_context(
            self._runner.start(Command(argv=argv, timeout_seconds=None, environment=environment))
        )
        wait = _LoginWait(self._runner, self._clock, self._limits, attempt, access)
        connection = wait.until_login(resources, machine, started)
        _allow_restarts(monitor)
        return BootedMachine(
            machine=SshMachine(self._runner, access, connection, partial(_last_lines, attempt)),
            accelerator=attempt.accelerator.value,
            seconds_to_login=self._clock.monotonic() - started,
        )


class _LoginWait:
    """Watches one guest until it lets us in."""

    def __init__(
        self,
        runner: CommandRunner,
        clock: Clock,
        limits: BootLimits,
        attempt: _Attempt,
        access: SshAccess,
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._limits = limits
        self._attempt = attempt
        self._access = access
        self._told_bytes = 0
        self._has_life = attempt.accelerator is Accelerator.TCG
        self._complaint = ""

    def until_login(
        self, resources: ExitStack, machine: RunningProcess, started: float
    ) -> SshConnection:
        """Wait for the login; the connection is closed with resources."""
        pause = threading.Event()
        while (waited := self._clock.monotonic() - started) < self._limits.login_seconds:
            self._tell_console()
            if machine.poll() is not None:
                self._explain_end(machine, waited)
            if not self._has_life and waited > self._limits.life_seconds:
                raise _NoLife
            if _answers(self._access.port):
                connection = self._login(resources, pause)
                if connection is not None:
                    self._tell_console()
                    return connection
            pause.wait(_LOOK_SECONDS)
        raise _failed(self._attempt, self._limits.login_seconds, self._reason())

    def _reason(self) -> str:
        if "Permission denied" in self._complaint:
            # The key comes by systemd's credentials, which replace no file.
            return (
                "its SSH server refused root's key; the image must let root log in with a key and "
                f"have no /root/.ssh/authorized_keys of its own ({self._complaint})"
            )
        return f"no SSH login as root ({self._complaint or 'no SSH server answered'})"

    def _login(self, resources: ExitStack, pause: threading.Event) -> SshConnection | None:
        """Try to log in once; None when we were refused, which early in a boot means little."""
        with ExitStack() as tried:
            connection = tried.enter_context(SshConnection.opened(self._runner, self._access))
            while not connection.has_ended:
                if connection.is_open():
                    resources.push(tried.pop_all())
                    return connection
                pause.wait(_LOOK_SECONDS)
            self._complaint = connection.complaint
        return None

    def _explain_end(self, machine: RunningProcess, waited: float) -> None:
        said = machine.output()
        if _PORT_TAKEN in said:
            raise _PortTaken
        if self._attempt.accelerator is Accelerator.KVM:
            raise _NoLife
        words = said.decode(errors="replace").strip() or "it switched itself off"
        raise _failed(self._attempt, waited, f"the virtual machine ended: {words}")

    def _tell_console(self) -> None:
        """Pass on the console's new lines, and see whether a kernel is speaking."""
        with self._attempt.console.open("rb") as console:
            console.seek(self._told_bytes)
            new = console.read()
        whole, newline, _ = new.rpartition(b"\n")
        self._told_bytes += len(whole) + len(newline)
        self._has_life = self._has_life or any(sign in new for sign in _SIGNS_OF_LIFE)
        if self._attempt.on_line is not None:
            for line in whole.decode(errors="replace").splitlines():
                self._attempt.on_line(line)


def _answers(port: int) -> bool:
    """Whether an SSH server greets on a port; QEMU itself takes any connection."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _allow_restarts(monitor: Path) -> None:
    """Let a guest that came up restart; one that does so before is at fault and is ended.

    Source: QEMU Machine Protocol, `qmp_capabilities` and `set-action`.
    """
    orders: tuple[dict[str, object], ...] = (
        {"execute": "qmp_capabilities"},
        {"execute": "set-action", "arguments": {"reboot": "reset"}},
    )
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as spoken:
        connection.settimeout(_MONITOR_SECONDS)
        connection.connect(str(monitor))
        spoken.readline()
        for order in orders:
            spoken.write(json.dumps(order) + "\n")
            spoken.flush()
            spoken.readline()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _processors() -> int:
    return min(2, len(os.sched_getaffinity(0)))


def _failed(attempt: _Attempt, seconds: float, reason: str) -> BootFailed:
    return BootFailed(
        f"through {attempt.firmware.value.upper()} under {attempt.accelerator.value.upper()}",
        seconds=seconds,
        reason=reason,
        last_lines=_last_lines(attempt),
    )


def _last_lines(attempt: _Attempt) -> str:
    """Give what the guest's console said last."""
    lines = attempt.console.read_bytes()[-16384:].decode(errors="replace").splitlines()
    return "\n".join(lines[-_SHOWN_LINES:])
