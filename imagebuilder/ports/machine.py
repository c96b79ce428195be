"""Machine: a place where commands of an image can be run.

A root file system in a sandbox, a booted container and a virtual machine over SSH are the same to
who uses one. Every adapter must keep: commands run as the image's root; what a command leaves
running when it ends is ended, except on a booted machine; a time limit ends the command and all its
children.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import StepFailed
from imagebuilder.ports.process import CommandResult, OnLine, OutputFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Shell text to run inside; `environment` is added to the machine's own.

    It reads `stdin` and after it `stdin_file`. With a `stdout_file` the result has no stdout and
    nobody is told its lines. Both are files of this machine, and neither is held in memory.
    """

    text: str
    interpreter: str = "/bin/sh"
    stdin: bytes = b""
    stdin_file: PurePath | None = None
    stdout_file: OutputFile | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = 600.0


class Machine(Protocol):
    """Runs scripts inside an image."""

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        """Run a script and give its result, whatever the exit status.

        Raises: MachineLost: the machine itself went away.
        """
        ...

    def restart(self, delay_seconds: float = 0.0) -> None:
        """Start the machine anew after a delay, and come back when it answers again.

        What is booted has a new boot id then; where every script starts in a fresh process space,
        there is nothing to restart and nothing to wait for.

        Raises: MachineLost: it did not come back in time.
        """
        ...


class MachineLost(StepFailed):
    """The machine a script should run on is no longer there."""

    code = "machine-lost"

    def __init__(self, machine: str, reason: str) -> None:
        """Name the machine and what was seen last."""
        super().__init__(
            f"The {machine} went away while it was needed.",
            context=reason,
            hint="Look at its console log in the run's folder.",
        )
