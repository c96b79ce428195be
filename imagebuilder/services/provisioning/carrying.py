"""Carrying: files that come from outside of the image, or go there.

This machine fetches them, as an image may have no program for it, and what was fetched is streamed
into the image, or out of it, by a program of the image: so no path leads outside of it.

Source: AWS Task Orchestrator and Executor, file download and upload modules.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeAlias

from imagebuilder.domain.component import Network
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult, OutputFile
from imagebuilder.ports.transfers import TransferFailed
from imagebuilder.services.provisioning.file_scripts import BEGINNING, shell_call
from imagebuilder.services.provisioning.refusals import ActionRefusedError, told

Scratch: TypeAlias = Callable[[], AbstractContextManager[Path]]
"""Gives an empty folder of this machine that is gone when its context ends."""

_SHORTEST_SECONDS = 0.1
_HOW = """
put() { # path
  if is_folder "$1"; then fail "$1 is a folder; to put a file into it, end it with /"; fi
  make_parent "$1"
  cat > "$1"
}
take() { # path
  require_file "$1"
  cat < "$1"
}
look() { # path, program that gives its digest
  if is_folder "$1"; then fail "$1 is a folder; to put a file into it, end it with /"; fi
  if is_file "$1"; then
    if [ -n "$2" ]; then "$2" < "$1"; else echo there; fi
  elif is_there "$1"; then
    echo there
  fi
}
"""


class ScriptFailedError(Exception):
    """A script of a transfer did not end well. It never leaves `TransferAction`."""

    def __init__(self, result: CommandResult) -> None:
        """Keep how it ended."""
        super().__init__()
        self.result = result


class Carrier:
    """Moves files between this machine and an image, for one attempt at a step."""

    def __init__(self, call: ActionCall, clock: Clock) -> None:
        """Keep to the time limit of call."""
        self._call = call
        self._clock = clock
        limit = call.timeout_seconds
        self._ends_at = None if limit is None else clock.monotonic() + limit

    def seconds_left(self) -> float | None:
        """Give how long there is time; None when there is no limit."""
        if self._ends_at is None:
            return None
        return max(_SHORTEST_SECONDS, self._ends_at - self._clock.monotonic())

    def said(self, text: str) -> str:
        """Give what a script of ours says in the image. Raises: ScriptFailedError."""
        return self._ran(Script(text=text)).stdout.decode(errors="replace").strip()

    def put(self, file: PurePath, path: str) -> None:
        """Make a file of this machine a file of the image. Raises: ScriptFailedError."""
        self._ran(Script(text=f"{BEGINNING}{_HOW}{shell_call('put', path)}\n", stdin_file=file))

    def take(self, path: str, into: OutputFile) -> None:
        """Make a file of the image one of this machine. Raises: ScriptFailedError."""
        text = f"{BEGINNING}{_HOW}{shell_call('take', path)}\n"
        result = self._ran(Script(text=text, stdout_file=into))
        if result.dropped_bytes:
            raise ActionRefusedError(f"{path} is larger than the {into.limit_bytes} bytes allowed.")

    def existing(self, path: str, digest_program: str = "") -> str:
        """Give the digest of a file that is there, or a word; empty when nothing is there.

        Raises: ScriptFailedError: a folder is.
        """
        said = self.said(f"{BEGINNING}{_HOW}{shell_call('look', path, digest_program)}\n")
        return said.partition(" ")[0]

    def _ran(self, script: Script) -> CommandResult:
        limited = Script(
            text=script.text,
            stdin_file=script.stdin_file,
            stdout_file=script.stdout_file,
            timeout_seconds=self.seconds_left(),
        )
        result = self._call.machine.run(limited)
        if result.exit_status != 0 or result.has_timed_out:
            raise ScriptFailedError(result)
        return result


Moving: TypeAlias = Callable[
    [ActionCall, Carrier], tuple[Sequence[str], Sequence[Mapping[str, str]]]
]
"""Moves the files of a call; gives the lines it has to say, and its outputs."""


@dataclass(frozen=True, slots=True)
class TransferAction:
    """An action that moves files."""

    moving: Moving
    clock: Clock

    def run(self, call: ActionCall) -> ActionResult:
        """Move the files the items name, up to the first that cannot be."""
        started = self.clock.monotonic()
        lines: Sequence[str] = ()
        outputs: Sequence[Mapping[str, str]] = ({},)
        said = ""
        try:
            require_network(call)
            lines, outputs = self.moving(call, Carrier(call, self.clock))
        except ScriptFailedError as failed:
            return told(call, failed.result)
        except TransferFailed as failed:
            said = f"{failed.message} {failed.context}\n{failed.hint}\n"
        result = CommandResult(
            argv=(call.action,),
            exit_status=1 if said else 0,
            stdout="".join(f"{line}\n" for line in lines).encode(),
            stderr=said.encode(),
            seconds=self.clock.monotonic() - started,
        )
        return told(call, result, outputs)


def require_network(call: ActionCall) -> None:
    """Refuse when the component did not say that it reaches so far.

    Raises: ActionRefusedError.
    """
    if call.network is not Network.FULL:
        raise ActionRefusedError(
            f"{call.action} needs the network, and the component has network: {call.network}.\n"
            "Declare network: full in the component."
        )
