"""Traces: what is running for a build, written down so that it can be ended when we cannot.

The file of a build is locked as long as its process lives; whoever can lock it may clear up.
"""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from imagebuilder.adapters.packer.folder import RUN_VARIABLE
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LiveOrder, SourcePlaces

_LOOK_SECONDS = 0.1
_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often it is looked for a Packer that lost us, and cleans up, until it is left to that."""

    looks: int = 20


class Traces:
    """Keeps them in a folder, and clears up after the dead."""

    def __init__(
        self, folder: Path, places: SourcePlaces, patience: Patience | None = None
    ) -> None:
        """Keep them below folder; places clears up elsewhere."""
        self._folder = folder
        self._places = places
        self._patience = patience or Patience()

    def path_of(self, run_id: RunId) -> Path:
        """Give the file of a run's trace, by which all of its processes are known as well."""
        return self._folder / f"{run_id}.json"

    @contextmanager
    def kept(self, order: LiveOrder) -> Iterator[Callable[[str], None]]:
        """Keep what an order starts in the block; an error clears up what is left of it.

        Give what keeps a name too, of something that is known by nothing else.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self.path_of(order.run_id)
        # Between its making and its locking nobody may take it for that of a dead process.
        with self._door(), path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = os.dup(file.fileno())

        def note(line: str) -> None:
            os.write(held, f"{line}\n".encode())
            os.fsync(held)

        try:
            note(json.dumps(_document(order)))
            yield note
        except BaseException:
            self._cleared(path)
            raise
        else:
            path.unlink()
        finally:
            os.close(held)

    def take_away(self) -> Sequence[str]:
        """Clear up after builds whose process is gone, and tell what was done, a line each."""
        if not self._folder.is_dir():
            return []
        lines: list[str] = []
        with self._door():
            for path in sorted(self._folder.glob("*.json")):
                with suppress(FileNotFoundError), path.open() as file:
                    if _is_free(file):
                        lines += self._cleared(path)
        return lines

    def _cleared(self, path: Path) -> list[str]:
        """Clear up after one; its trace stays when that cannot be done to the end now."""
        run, sources, named = _read(path)
        if self._is_at_work(path):
            return [f"packer still puts away what {run} started"]
        lines = _ended_processes(path)
        try:
            for source in sources:
                lines += self._places.clear(source, run, named)
        except ImageBuilderError as error:
            return [*lines, f"what {run} left is still there: {error.message} {error.context}"]
        path.unlink()
        return lines

    def _is_at_work(self, path: Path) -> bool:
        """Whether Packer itself is still there: it was told to end, and knows best what to do."""
        pause = threading.Event()
        for _ in range(self._patience.looks):
            if not any(_name(pid) == "packer" for pid in _processes_of(path)):
                return False
            pause.wait(_LOOK_SECONDS)
        return True

    @contextmanager
    def _door(self) -> Iterator[None]:
        opened = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)


def _document(order: LiveOrder) -> Mapping[str, Any]:
    return {"run": order.run_id, "sources": [source.document() for source in order.sources]}


def _read(path: Path) -> tuple[RunId, list[PackerSource], list[str]]:
    """Give the run, the sources and the names of a trace; of an unfinished one only its run."""
    first, *named = path.read_text().splitlines() or [""]
    try:
        document = json.loads(first)
        sources = [PackerSource(**source) for source in document["sources"]]
        return RunId(document["run"]), sources, named
    except (ValueError, KeyError, TypeError):
        return RunId(path.stem), [], []


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes_of(path: Path) -> list[int]:
    """Give the processes of the run whose trace lies there, whoever their parent is by now."""
    marker = f"{RUN_VARIABLE}={path}".encode()
    found = []
    for entry in _PROCESSES.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _ended_processes(path: Path) -> list[str]:
    """See that no process is left of the run whose trace lies there."""
    lines = []
    for pid in _processes_of(path):
        name = _name(pid)
        # Held by a file descriptor, the number cannot become somebody else's meanwhile.
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            if pid in _processes_of(path):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                lines.append(f"process {pid} ({name}) of {path.stem} was ended")
            os.close(handle)
    return lines


def _name(pid: int) -> str:
    with suppress(OSError):
        return (_PROCESSES / str(pid) / "comm").read_text().strip()
    return ""
