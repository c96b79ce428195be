"""What a virtual machine is told over SSH, carried out by this machine's own shell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.local.ssh_machine import SshAccess, SshConnection, SshMachine
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import (
    Command,
    CommandResult,
    OnLine,
    OutputFile,
    RunningProcess,
)
from tests.fakes.process import FakeRunningProcess

pytestmark = pytest.mark.root  # the guest's script stands in /run


class Near:
    """Runs here what ssh would have run there."""

    def __init__(self) -> None:
        self._runner = SystemCommandRunner(SystemClock())

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        return self._runner.run(replace(command, argv=("sh", "-c", command.argv[-1])), on_line)

    def check(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        return self.run(command, on_line)

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        yield FakeRunningProcess()

    def attach(self, command: Command) -> int:
        return self._runner.attach(command)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SshMachine]:
    runner, access = Near(), SshAccess(port=9, folder=tmp_path)
    with SshConnection.opened(runner, access) as connection:
        yield SshMachine(runner, access, connection)


def test_run_when_it_has_files_then_they_are_streamed_in_and_out(
    machine: SshMachine, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 300_000)
    target = OutputFile(path=tmp_path / "out", limit_bytes=200_000)
    script = Script(
        text="cat; echo $WORD >&2",
        stdin=b"y",
        stdin_file=tmp_path / "in",
        stdout_file=target,
        environment={"WORD": "a 'b'"},
    )
    result = machine.run(script)
    assert (result.exit_status, result.dropped_bytes) == (0, 100_001)
    assert (result.stdout, result.stderr) == (b"", b"a 'b'\n")
    assert (tmp_path / "out").read_bytes() == b"y" + b"x" * 199_999


def test_run_when_its_time_is_up_then_says_so(machine: SshMachine) -> None:
    assert machine.run(Script(text="sleep 60", timeout_seconds=0.3)).has_timed_out
