"""A machine made of answers, and one that is this machine's own shell in a folder."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from imagebuilder.ports.machine import Machine, MachineLost, Script
from imagebuilder.ports.process import CommandResult, OnLine, OutputFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a script says on a fake machine."""

    exit_status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    has_timed_out: bool = False


def nothing_to_say(_script: Script) -> Answer:
    return Answer()


@dataclass(slots=True)
class FakeMachine:
    """Answers each script by a function and remembers it; `is_lost` makes it go away.

    `restarts` are the delays it was restarted after.
    """

    answer: Callable[[Script], Answer] = nothing_to_say
    scripts: list[Script] = field(default_factory=list)
    is_lost: bool = False
    restarts: list[float] = field(default_factory=list)

    def restart(self, delay_seconds: float = 0.0) -> None:
        self.restarts.append(delay_seconds)

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        self.scripts.append(script)
        if self.is_lost:
            raise MachineLost("fake machine", "it was told to go away")
        answer = self.answer(script)
        if on_line is not None:
            for line in answer.stdout.decode(errors="replace").splitlines():
                on_line(line)
        return CommandResult(
            argv=(script.interpreter,),
            exit_status=answer.exit_status,
            stdout=answer.stdout,
            stderr=answer.stderr,
            seconds=0.0,
            has_timed_out=answer.has_timed_out,
        )


def a_machine_that_says(stdout: str) -> Machine:
    return FakeMachine(lambda _script: Answer(stdout=stdout.encode()))


class ShellMachine:
    """Runs scripts, which have to stay in its folder, and counts them."""

    def __init__(self, folder: Path) -> None:
        """Run in folder."""
        self._folder = folder
        self.count = 0
        self.restarts: list[float] = []

    def restart(self, delay_seconds: float = 0.0) -> None:
        self.restarts.append(delay_seconds)

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        self.count += 1
        given = b"" if script.stdin_file is None else Path(script.stdin_file).read_bytes()
        done = subprocess.run(
            [script.interpreter, "-c", script.text],
            input=script.stdin + given,
            capture_output=True,
            check=False,
            cwd=self._folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            umask=0o022,
            timeout=script.timeout_seconds,
        )
        if script.stdout_file is not None:
            return _written(script.stdout_file, done)
        for line in done.stdout.decode(errors="replace").splitlines() if on_line else ():
            assert on_line is not None
            on_line(line)
        return CommandResult(
            argv=(script.interpreter,),
            exit_status=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            seconds=0.0,
        )


def _written(target: OutputFile, done: subprocess.CompletedProcess[bytes]) -> CommandResult:
    kept = done.stdout[: target.limit_bytes]
    Path(target.path).write_bytes(kept)
    return CommandResult(
        argv=tuple(done.args),
        exit_status=done.returncode,
        stdout=b"",
        stderr=done.stderr,
        seconds=0.0,
        dropped_bytes=len(done.stdout) - len(kept),
    )
