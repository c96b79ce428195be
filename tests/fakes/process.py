"""A CommandRunner that runs nothing: it answers from a table and remembers what was asked."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.ports.process import (
    Command,
    CommandFailed,
    CommandResult,
    OnLine,
    ProgramMissing,
    RunningProcess,
)

Answer = CommandResult | Callable[[Command], CommandResult]


def a_result(
    exit_status: int = 0,
    *,
    stdout: bytes = b"",
    stderr: bytes = b"",
    has_timed_out: bool = False,
) -> CommandResult:
    """Give a result to answer with; the runner puts the command's argv into it."""
    return CommandResult(
        argv=("fake",),
        exit_status=exit_status,
        stdout=stdout,
        stderr=stderr,
        seconds=0.0,
        has_timed_out=has_timed_out,
    )


class FakeCommandRunner:
    """Answers by the name of the program; a program without an answer is not installed.

    Shape: `answers` maps a program's file name to its result, or to a function of the command.
    `commands` are all that were run or started, in order.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        """Know these answers."""
        self.answers = dict(answers or {})
        self.commands: list[Command] = []

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Give the answer, telling its lines first."""
        result = self._answer(command)
        if on_line is not None:
            for line in (result.stdout + result.stderr).decode(errors="replace").splitlines():
                on_line(line)
        return result

    def check(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Give the answer if it exited with 0."""
        result = self.run(command, on_line)
        if result.exit_status != 0 or result.has_timed_out:
            raise CommandFailed(result)
        return result

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        """Pretend that the program runs until the context ends."""
        running = FakeRunningProcess(printed=self._answer(command).stdout)
        try:
            yield running
        finally:
            running.exit_status = -15

    def attach(self, command: Command) -> int:
        """Give the answer's exit status."""
        return self._answer(command).exit_status

    def _answer(self, command: Command) -> CommandResult:
        self.commands.append(command)
        answer = self.answers.get(PurePath(command.argv[0]).name)
        if answer is None:
            raise ProgramMissing(command.argv[0])
        result = answer if isinstance(answer, CommandResult) else answer(command)
        return replace(result, argv=tuple(command.argv))


@dataclass(slots=True)
class FakeRunningProcess:
    """A program that is said to run."""

    printed: bytes = b""
    exit_status: int | None = None
    pid: int = 4242

    def poll(self) -> int | None:
        """Give its exit status, or None while it runs."""
        return self.exit_status

    def output(self) -> bytes:
        """Give what it is said to have printed."""
        return self.printed
