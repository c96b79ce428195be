"""CommandRunner: a program of the machine, run with limits.

Every adapter must keep: the child has its own process group, dies when we die (also by kill -9;
one that is given grace is told to end then), gets no standard input unless given one, and never
outlives the call; output beyond the cap is
dropped from the middle and counted; argv is never a place for a secret.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import StepFailed, Unavailable

OnLine = Callable[[str], None]
"""Called with each line of output as it comes, without its line end."""

OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024

IMAGE_UMASK = 0o022
"""For programs that make files of an image: whose umask built it is no property of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A file of this machine that takes a program's output instead of what it held.

    What is above the limit is dropped and counted.
    """

    path: PurePath
    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run.

    `environment` is all the child sees. `is_isolated` gives it and all its descendants a process
    namespace of their own, so that none survives it. `keep_open` are file descriptors it inherits.
    It reads `stdin` and after it `stdin_file`. With a `stdout_file`, which only `run` and `check`
    know, the result has no stdout and nobody is told its lines. Neither file is held in memory.
    `umask` is what the modes of its new files lack, ours when it is None.

    Two are for `start` alone. What has much to put away is given `grace_seconds` after it was asked
    to end, on an error too, and is only asked when we die. Into a `log_file` it writes by itself
    all that it prints, so that it can go on without us.
    """

    argv: Sequence[str]
    timeout_seconds: float | None = 600.0
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = None
    stdin_file: PurePath | None = None
    stdout_file: OutputFile | None = None
    folder: str | None = None
    is_isolated: bool = False
    keep_open: tuple[int, ...] = ()
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES
    umask: int | None = None
    grace_seconds: float = 0.0
    log_file: PurePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended. `exit_status` is negative (the signal) when it was killed."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    has_timed_out: bool = False
    dropped_bytes: int = 0

    @property
    def last_lines(self) -> str:
        """The end of what it said, for messages: its errors, or its output when it had none."""
        text = (self.stderr.strip() or self.stdout.strip()).decode(errors="replace")
        return "\n".join(text.splitlines()[-20:])


class RunningProcess(Protocol):
    """A program that works beside us until its context ends."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Give its exit status, or None while it runs."""
        ...

    def output(self) -> bytes:
        """Give the newest of what it printed so far, capped."""
        ...


class CommandRunner(Protocol):
    """Runs programs; never raises for their exit status unless asked to by `check`."""

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run to the end or the time limit and give the result, whatever the exit status.

        Raises: ProgramMissing: there is no such program.
        """
        ...

    def check(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run, and give the result of a command that exited with 0.

        Raises: ProgramMissing; CommandFailed: any other exit status, or the time limit.
        """
        ...

    def start(self, command: Command) -> AbstractContextManager[RunningProcess]:
        """Start a program that ends with the context, killed if need be.

        Raises: ProgramMissing: there is no such program.
        """
        ...

    def attach(self, command: Command) -> int:
        """Run on our own terminal until it ends and give its exit status, negative when killed.

        It has our standard input and output; limits on time and output do not hold. The terminal
        is afterwards as it was before. Raises: ProgramMissing: there is no such program.
        """
        ...


class ProgramMissing(Unavailable):
    """A program of the machine that we need is not installed."""

    code = "program-missing"

    def __init__(self, program: str) -> None:
        """Name it and how to get it."""
        super().__init__(
            f"The program {program} is not installed on this machine.",
            hint="Install what is missing with: imagebuilder doctor --fix",
        )
        self.program = program


class ProgramNotStarted(Unavailable):
    """The system refused to start a program that is there."""

    code = "program-not-started"

    def __init__(self, program: str, reason: str) -> None:
        """Name it and what the system said."""
        super().__init__(
            f"The program {program} could not be started.",
            context=reason,
            hint="Check its working folder and how many processes this machine allows.",
        )
        self.program = program


class CommandFailed(StepFailed):
    """A program ended badly."""

    code = "command-failed"

    def __init__(self, result: CommandResult, *, hint: str = "") -> None:
        """Say what ran, how it ended, after how long, and its last words."""
        ending = (
            "took longer than allowed"
            if result.has_timed_out
            else f"ended with exit status {result.exit_status}"
        )
        super().__init__(
            f"{result.argv[0]} {ending} after {result.seconds:.1f} s.",
            context=f"{' '.join(result.argv)}\n{result.last_lines}",
            hint=hint or "Look at its last lines above.",
        )
        self.result = result
