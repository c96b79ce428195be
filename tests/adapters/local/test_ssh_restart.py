"""A virtual machine that restarts, told over a connection that ends meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagebuilder.adapters.local.ssh_machine import SshAccess, SshConnection, SshMachine
from imagebuilder.ports.machine import MachineLost
from imagebuilder.ports.process import Command, CommandResult, OnLine, RunningProcess
from tests.fakes.process import FakeRunningProcess, a_result


@dataclass(slots=True)
class Guest:
    """A guest behind ssh. It goes away when it is told to, and is up at the given look for it.

    `answers_left` is how often it still answers before it goes; `connections` are those that were
    begun.
    """

    up_at_look: int = 3
    answers_left: int = 0
    is_going: bool = False
    boots: int = 0
    looks: int = 0
    is_down: bool = False
    said: list[str] = field(default_factory=list)
    connections: list[FakeRunningProcess] = field(default_factory=list)

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        connection = FakeRunningProcess()
        self.connections.append(connection)
        if self.is_down:
            self.looks += 1
            if self.looks >= self.up_at_look:
                self.is_down = False
                self.boots += 1
            else:
                connection.exit_status = 255
        yield connection

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        if "check" in command.argv:
            return a_result(255 if self.is_down else 0)
        if self.is_down:
            return a_result(255)
        text = (command.stdin or b"").decode()
        self.said.append(text)
        if "reboot" in text:
            self.is_going = True
        elif self.is_going:
            self.answers_left -= 1
        if self.is_going and self.answers_left <= 0:
            self.is_going, self.is_down = False, True
            self.connections[-1].exit_status = 255
            return a_result(255)
        return a_result(stdout=f"boot-{self.boots}\n".encode())

    check = run

    def attach(self, command: Command) -> int:
        raise AssertionError("nobody looks at it")


@contextmanager
def machine_of(guest: Guest, folder: Path, looks: int = 50) -> Iterator[SshMachine]:
    access = SshAccess(port=9, folder=folder)
    with SshConnection.opened(guest, access) as connection:
        yield SshMachine(guest, access, connection, restart_looks=looks)


def test_restart_when_the_guest_comes_back_then_goes_on_over_a_new_connection(
    tmp_path: Path,
) -> None:
    guest = Guest()
    with machine_of(guest, tmp_path) as machine:
        machine.restart()
        assert (guest.boots, len(guest.connections)) == (1, 4)
        assert guest.connections[-1].exit_status is None


def test_restart_when_a_delay_is_asked_for_then_the_guest_waits_so_long(tmp_path: Path) -> None:
    guest = Guest()
    with machine_of(guest, tmp_path) as machine:
        machine.restart(2.5)
    assert any(text.startswith("sleep 2.5\n") for text in guest.said)


def test_restart_when_the_same_kernel_still_answers_then_it_is_not_taken_for_another(
    tmp_path: Path,
) -> None:
    guest = Guest(answers_left=3)
    with machine_of(guest, tmp_path) as machine:
        machine.restart()
    assert guest.boots == 1


def test_restart_when_the_guest_stays_away_then_it_is_lost(tmp_path: Path) -> None:
    guest = Guest(up_at_look=1000)
    with (
        machine_of(guest, tmp_path, looks=3) as machine,
        pytest.raises(MachineLost, match="virtual machine"),
    ):
        machine.restart()
