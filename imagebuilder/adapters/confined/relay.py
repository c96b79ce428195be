"""Our end of a confinement: runs its commands where they belong, reads its reports.

Everything that comes in was written by foreign code: each message has a largest size, each stream
a largest length, and what cannot be read ends the conversation.
"""

import base64
import binascii
import json
import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from imagebuilder.adapters.confined.frames import LENGTH, framed
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.machine import Machine, Script

_CHUNK_BYTES = 64 * 1024
_SEND_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """How much the far side may ask for.

    A command for which no time is asked has `command_seconds`.
    """

    message_bytes: int = 1024 * 1024
    commands: int = 20_000
    stream_bytes: int = 64 * 1024 * 1024
    command_seconds: float | None = 60.0
    longest_command_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnds:
    """The file descriptors that go into the confinement."""

    channel: int
    reports: int


class BadMessage(Exception):
    """The far side sent what is no message of ours."""


class Relay:
    """Serves one confined process from a thread of its own, from entering to leaving its context.

    Invariant: afterwards `collected`, `lost` and `complaint` are final. The far ends are
    closed on our side when the context ends, so that the thread sees the end of every stream.
    """

    def __init__(
        self,
        machine: Machine | None,
        on_report: Callable[[bytes], None],
        limits: RelayLimits,
        owner: int | None,
    ) -> None:
        """Run commands on machine (None: refuse them) and hand report lines over as they come."""
        self.collected: Mapping[str, Mapping[str, int]] | None = None
        self.lost: ImageBuilderError | None = None
        self.complaint = ""
        self._machine = machine
        self._on_report = on_report
        self._limits = limits
        self._near, self._far = socket.socketpair()
        self._near.settimeout(_SEND_SECONDS)
        self._reports, reports = os.pipe()
        if owner is not None:
            # The confined user opens it by name (/dev/fd/N), which asks for permission again.
            os.fchown(reports, owner, owner)
        self.far_ends = FarEnds(channel=self._far.fileno(), reports=reports)
        self._commands = 0
        self._rest = b""
        self._message = b""
        self._taken = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the far ends, wait for the last lines, and pass on what broke the thread."""
        self._far.close()
        os.close(self.far_ends.reports)
        # When we leave on an error, a command that still runs is ended by the machine's owner.
        self._thread.join(None if error is None else 1.0)
        if self._failure is not None and error is None:
            raise self._failure

    def _serve(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for source in (self._near.fileno(), self._reports):
                    selector.register(source, selectors.EVENT_READ)
                while selector.get_map():
                    for key, _ in selector.select():
                        if not self._take(key.fd):
                            selector.unregister(key.fd)
            if self._rest:
                self._on_report(self._rest)
        except BadMessage as reason:
            self.complaint = str(reason)
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits for us
            self._failure = failure
        finally:
            # Closed also on failure: the far side then ends instead of waiting for a reader.
            self._near.close()
            os.close(self._reports)

    def _take(self, source: int) -> bool:
        """Take what a source has; False at its end."""
        if source == self._near.fileno():
            return self._take_message()
        chunk = os.read(source, _CHUNK_BYTES)
        self._taken += len(chunk)
        if self._taken > self._limits.stream_bytes:
            raise BadMessage(f"it wrote a report of more than {self._limits.stream_bytes} bytes")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_report(line)
        return bool(chunk)

    def _take_message(self) -> bool:
        try:
            chunk = self._near.recv(_CHUNK_BYTES)
        except ConnectionError:
            return False
        self._message += chunk
        while len(self._message) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._message)
            if length > self._limits.message_bytes:
                raise BadMessage(f"it sent a message of {length} bytes")
            end = LENGTH.size + length
            if len(self._message) < end:
                break
            content, self._message = self._message[LENGTH.size : end], self._message[end:]
            self._answer(_parsed(content))
        return bool(chunk)

    def _answer(self, message: Mapping[str, Canonical]) -> None:
        if "collected" in message:
            self.collected = _counts(message["collected"])
            return
        text, number = message.get("run"), message.get("number")
        if not isinstance(text, str) or not isinstance(number, int):
            raise BadMessage("it sent a message that asks for nothing known")
        limit = self._limit_seconds(message.get("seconds"))
        stdin = _bytes(message.get("stdin", ""))
        self._send({**self._result(text, stdin, limit), "number": number})

    def _limit_seconds(self, asked: Canonical) -> float | None:
        if asked is None:
            return self._limits.command_seconds
        longest = self._limits.longest_command_seconds
        if isinstance(asked, bool) or not isinstance(asked, int | float):
            raise BadMessage("it sent a time that is no number")
        # What is no number at all, as JSON may hold it, is not below any other.
        return asked if 0 < asked <= longest else longest

    def _result(self, text: str, stdin: bytes, limit: float | None) -> dict[str, Canonical]:
        self._commands += 1
        if self._commands > self._limits.commands:
            raise BadMessage(f"it ran more than {self._limits.commands} commands")
        if self._machine is None:
            return {"error": "Commands can only be run inside tests and fixtures."}
        if self.lost is not None:
            return {"error": self.lost.message}
        try:
            result = self._machine.run(Script(text=text, stdin=stdin, timeout_seconds=limit))
        except ImageBuilderError as error:
            self.lost = error
            return {"error": error.message}
        if result.has_timed_out:
            taken = result.seconds if limit is None else limit
            return {"error": f"The command took longer than {taken:.0f} s: {text[:200]}"}
        return {
            "exit_status": result.exit_status,
            "stdout": base64.b64encode(result.stdout).decode(),
            "stderr": base64.b64encode(result.stderr).decode(),
            "dropped_bytes": result.dropped_bytes,
        }

    def _send(self, message: Mapping[str, Canonical]) -> None:
        try:
            self._near.sendall(framed(message))
        except TimeoutError as slow:
            raise BadMessage("it did not take the answer to its command") from slow
        except ConnectionError:
            # It ended while its command ran; the end of the streams says the rest.
            return


def _parsed(content: bytes) -> Mapping[str, Canonical]:
    try:
        message = json.loads(content)
    except (ValueError, RecursionError) as broken:
        raise BadMessage("it sent a message that cannot be read") from broken
    if not isinstance(message, dict):
        raise BadMessage("it sent a message that is no mapping")
    return message


def _bytes(text: Canonical) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as broken:
        raise BadMessage("it sent input that cannot be read") from broken


def _counts(value: Canonical) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(value, dict):
        raise BadMessage("it sent no counts of tests")
    counts: dict[str, Mapping[str, int]] = {}
    for entry, stages in value.items():
        if not isinstance(stages, dict):
            raise BadMessage("it sent no counts of tests")
        counts[entry] = {stage: count for stage, count in stages.items() if isinstance(count, int)}
    return counts
