"""The machine's programs; the only place that starts one.

A child cannot outlive us: it leads a session of its own that is killed as a group, and the kernel
kills it when we die (PDEATHSIG, set by setpriv so that nothing of ours runs between fork and exec).
That signal comes when the *thread* that started the child ends: call `run` and `start` from a
thread that outlives the child. Descendants get it too only when the command is isolated.
"""

import os
import select
import selectors
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from imagebuilder.adapters.system.capture import CappedBytes
from imagebuilder.adapters.system.programs import SYSTEM_PATH, resolved
from imagebuilder.adapters.system.streams import (
    Feed,
    Output,
    capped_output,
    opened_feed,
    opened_log,
    opened_output,
)
from imagebuilder.adapters.system.terminal import terminal_kept
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.process import (
    Command,
    CommandFailed,
    CommandResult,
    OnLine,
    ProgramNotStarted,
    RunningProcess,
)

_MINIMAL_ENVIRONMENT: Mapping[str, str] = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
_CHUNK_BYTES = 64 * 1024
_LONGEST_DEATH_SECONDS = 5.0
_LARGEST_REST_BYTES = 1024 * 1024
"""More than a pipe holds: what may be left unread when a program has ended."""


class SystemCommandRunner:
    """Runs programs of this machine. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, grace_seconds: float = 1.0) -> None:
        """Measure with clock; give a started program grace_seconds to end when its context ends."""
        self._clock = clock
        self._grace_seconds = grace_seconds

    def run(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run to the end or the time limit and give the result, whatever the exit status.

        Raises: ProgramMissing; ProgramNotStarted: the system refused to start it.
        """
        started = self._clock.monotonic()
        with ExitStack() as files:
            outputs = [opened_output(command, on_line, files), capped_output(command, on_line)]
            feed = opened_feed(command, files)
            child = files.enter_context(self._child(command, stderr=subprocess.PIPE))
            has_timed_out = _Attendance(child, outputs, feed, self._deadline(command)).until_end()
        return CommandResult(
            argv=tuple(command.argv),
            exit_status=child.exit_status(),
            stdout=outputs[0].kept.content(),
            stderr=outputs[1].kept.content(),
            seconds=self._clock.monotonic() - started,
            has_timed_out=has_timed_out,
            dropped_bytes=sum(output.kept.dropped_bytes for output in outputs),
        )

    def check(self, command: Command, on_line: OnLine | None = None) -> CommandResult:
        """Run, and give the result of a command that exited with 0.

        Raises: ProgramMissing; ProgramNotStarted; CommandFailed: any other ending.
        """
        result = self.run(command, on_line)
        if result.exit_status != 0 or result.has_timed_out:
            raise CommandFailed(result)
        return result

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        """Start a program that ends with the context: asked to, then killed; at once on an error.

        One that is given grace is asked on an error too. Its time limit holds as well. Its errors
        are part of its output. Raises: ProgramMissing; ProgramNotStarted.
        """
        output = Output(CappedBytes(first_bytes=0, last_bytes=command.output_limit_bytes))
        with ExitStack() as files:
            log = opened_log(command, files)
            to = subprocess.PIPE if log is None else log
            child = files.enter_context(self._child(command, stderr=subprocess.STDOUT, stdout=to))
            feed = opened_feed(command, files)
            outputs = [output] if log is None else []
            attendance = _Attendance(child, outputs, feed, self._deadline(command))
            # The thread only reads: the child was started by the caller's and dies with that.
            reader = threading.Thread(target=attendance.until_end, daemon=True)
            reader.start()
            has_failed = True
            try:
                yield _Running(child, output)
                has_failed = False
            finally:
                try:
                    if command.grace_seconds or not has_failed:
                        child.signal_group(signal.SIGTERM)
                        reader.join(command.grace_seconds or self._grace_seconds)
                finally:
                    child.kill_group()
                    reader.join()

    def attach(self, command: Command) -> int:
        """Run on our own terminal until it ends and give its exit status, negative when killed.

        Raises: ProgramMissing; ProgramNotStarted.
        """
        environment = dict(command.environment or _MINIMAL_ENVIRONMENT)
        argv = self._wrapped(command, environment)
        with terminal_kept():
            try:
                # It stays in our process group: only that may read from the terminal.
                process = subprocess.Popen(argv, cwd=command.folder, env=environment)
            except (OSError, ValueError) as error:
                raise ProgramNotStarted(command.argv[0], str(error)) from error
            try:
                return process.wait()
            finally:
                self._ended(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        """See that a program has ended: asked to, then killed."""
        process.terminate()
        try:
            process.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _deadline(self, command: Command) -> "_Deadline":
        limit = command.timeout_seconds
        return _Deadline(self._clock, None if limit is None else self._clock.monotonic() + limit)

    @contextmanager
    def _child(
        self, command: Command, *, stderr: int, stdout: int = subprocess.PIPE
    ) -> Iterator["_Child"]:
        """Start the program; it is dead and all its pipes are closed when the context ends."""
        environment = dict(command.environment or _MINIMAL_ENVIRONMENT)
        argv = self._wrapped(command, environment)
        try:
            process = subprocess.Popen(
                argv,
                bufsize=0,
                stdin=subprocess.PIPE if _is_fed(command) else subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=command.folder,
                env=environment,
                pass_fds=command.keep_open,
                start_new_session=True,
                umask=-1 if command.umask is None else command.umask,
            )
        except (OSError, ValueError) as error:
            raise ProgramNotStarted(command.argv[0], str(error)) from error
        try:
            child = _Child(process)
        except OSError as error:
            process.kill()
            process.communicate()
            raise ProgramNotStarted(command.argv[0], str(error)) from error
        try:
            yield child
        finally:
            child.end()

    def _wrapped(self, command: Command, environment: Mapping[str, str]) -> list[str]:
        program = resolved(command.argv[0], environment, command.folder)
        # Who needs time to clean up is only asked to end when we die: nobody is left to wait.
        sent = "TERM" if command.grace_seconds else "KILL"
        wrapped = [self._setpriv, "--pdeathsig", sent, "--"]
        if command.is_isolated and os.geteuid() == 0:
            wrapped += [self._unshare, "--pid", "--fork", "--kill-child=KILL", "--"]
        return [*wrapped, program, *command.argv[1:]]

    @cached_property
    def _setpriv(self) -> str:
        return resolved("setpriv", _MINIMAL_ENVIRONMENT, None)

    @cached_property
    def _unshare(self) -> str:
        return resolved("unshare", _MINIMAL_ENVIRONMENT, None)


class _Child:
    """One started program with its process group.

    Invariant: the group is signalled only before the program is reaped, while its number is ours.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._exit_status: int | None = None
        self.pid = process.pid
        self.ended_fd = os.pidfd_open(process.pid)

    @property
    def stdin(self) -> IO[bytes] | None:
        return self._process.stdin

    @property
    def outputs(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe is not None]

    def signal_group(self, number: signal.Signals) -> None:
        with self._lock:
            if self._exit_status is None:
                # It may be all gone, or (sudo) no longer ours to signal.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def kill_group(self) -> None:
        """Kill the group and wait for the first process of its namespace, if it has one.

        The kernel lets that process go only after all others of the namespace: a mount they used is
        free when this returns.
        """
        first_processes = _open_children(self.pid) if self.poll() is None else []
        self.signal_group(signal.SIGKILL)
        for fd in first_processes:
            select.select([fd], [], [], _LONGEST_DEATH_SECONDS)
            os.close(fd)

    def reap(self) -> int:
        """Kill what the program left behind, take its exit status, and give it."""
        self.signal_group(signal.SIGKILL)
        with self._lock:
            self._exit_status = self._process.wait()
            return self._exit_status

    def poll(self) -> int | None:
        return self._exit_status

    def exit_status(self) -> int:
        return self.reap() if self._exit_status is None else self._exit_status

    def end(self) -> None:
        if self.poll() is None:
            self.kill_group()
        self.exit_status()
        for pipe in (*self.outputs, *([self.stdin] if self.stdin else [])):
            pipe.close()
        os.close(self.ended_fd)


class _Running:
    """A program that works beside us."""

    def __init__(self, child: _Child, output: Output) -> None:
        self._child = child
        self._output = output

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> int | None:
        return self._child.poll()

    def output(self) -> bytes:
        return self._output.kept.content()


@dataclass(slots=True)
class _Deadline:
    """When a program has to have ended; None is never."""

    clock: Clock
    at: float | None

    def remaining_seconds(self) -> float | None:
        return None if self.at is None else max(0.0, self.at - self.clock.monotonic())

    def lift(self) -> None:
        self.at = None


class _Attendance:
    """Feeds a program, reads it and holds it to its time limit, all in one thread."""

    def __init__(
        self, child: _Child, outputs: list[Output], feed: Feed, deadline: "_Deadline"
    ) -> None:
        self._child = child
        self._given = feed
        self._deadline = deadline
        self._pipes = dict(zip((p.fileno() for p in child.outputs), outputs, strict=True))

    def until_end(self) -> bool:
        """Stay until the program has ended and been reaped; tell whether its time ran out."""
        has_timed_out = False
        with selectors.DefaultSelector() as selector:
            self._register(selector)
            has_ended = False
            while not has_ended:
                ready = {key.fd for key, _ in selector.select(self._deadline.remaining_seconds())}
                has_ended = self._child.ended_fd in ready
                for fd in ready - {self._child.ended_fd}:
                    self._serve(fd, selector)
                if not has_ended and self._deadline.remaining_seconds() == 0:
                    has_timed_out = True
                    self._deadline.lift()
                    self._child.kill_group()
            self._child.reap()
            for fd in self._pipes.keys() & selector.get_map().keys():
                self._read_rest(fd)
        for output in self._pipes.values():
            output.end()
        return has_timed_out

    def _register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._child.ended_fd, selectors.EVENT_READ)
        for fd in self._pipes:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)
            selector.register(self._child.stdin.fileno(), selectors.EVENT_WRITE)

    def _serve(self, fd: int, selector: selectors.BaseSelector) -> None:
        """Move what can be moved now through a pipe that is ready."""
        if fd not in self._pipes:
            self._feed(selector)
        elif chunk := os.read(fd, _CHUNK_BYTES):
            self._pipes[fd].add(chunk)
        else:
            selector.unregister(fd)

    def _feed(self, selector: selectors.BaseSelector) -> None:
        stdin = self._child.stdin
        if stdin is None:
            return
        try:
            self._given.sent(os.write(stdin.fileno(), self._given.piece()))
        except BrokenPipeError:
            # A program need not read all it is given; that is not an error of ours.
            self._given.stop()
        if not self._given.piece():
            selector.unregister(stdin.fileno())
            stdin.close()

    def _read_rest(self, fd: int) -> None:
        """Read what the ended program left in a pipe; a stray may still write to it without end."""
        taken = 0
        with suppress(BlockingIOError):
            while taken < _LARGEST_REST_BYTES and (chunk := os.read(fd, _CHUNK_BYTES)):
                self._pipes[fd].add(chunk)
                taken += len(chunk)


def _is_fed(command: Command) -> bool:
    return command.stdin is not None or command.stdin_file is not None


def _open_children(pid: int) -> list[int]:
    """Open the children a process has at this moment, as file descriptors that tell their end."""
    opened: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            with suppress(ProcessLookupError):
                opened.append(os.pidfd_open(int(child)))
    return opened
