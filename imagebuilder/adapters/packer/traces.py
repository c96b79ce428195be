"""Traces: what is running for a build, written down so that it can be ended when we cannot.

The file of a build is locked as long as its process lives; whoever can lock it may clear up. That
of one whose images are elsewhere stays until they are a version's, or are taken away.
"""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from imagebuilder.adapters.packer.folder import RUN_VARIABLE
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LiveOrder, LivePlace, RecordedImages, SourcePlaces
from imagebuilder.ports.process import OnLine

_LOOK_SECONDS = 0.1
_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often it is looked for a Packer that lost us, and cleans up, until it is left to that."""

    looks: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What a trace tells. Shape: `made` are images, each with the name of its source."""

    run: RunId
    sources: Sequence[PackerSource] = ()
    named: Sequence[str] = ()
    made: Sequence[tuple[str, LivePlace]] = ()


class Trace:
    """That of a build of ours, to add to."""

    def __init__(self, held: int) -> None:
        """Add to the file that is held."""
        self._held = held
        self.is_elsewhere = False

    def note(self, name: str) -> None:
        """Keep a name of something that is known by nothing else."""
        os.write(self._held, f"{name}\n".encode())
        os.fsync(self._held)

    def made(self, source: str, place: LivePlace) -> None:
        """Keep that an image was made elsewhere."""
        self.is_elsewhere = True
        self.note(json.dumps([source, place.region, place.id]))


class Traces:
    """Keeps them in a folder, and clears up after the dead."""

    def __init__(
        self,
        folder: Path,
        places: SourcePlaces,
        recorded: RecordedImages,
        patience: Patience | None = None,
    ) -> None:
        """Keep them below folder; places clears up elsewhere what was not recorded."""
        self._folder = folder
        self._places = places
        self._recorded = recorded
        self._patience = patience or Patience()

    def path_of(self, run_id: RunId) -> Path:
        """Give the file of a run's trace, by which all of its processes are known as well."""
        return self._folder / f"{run_id}.json"

    @contextmanager
    def kept(self, order: LiveOrder, on_line: OnLine) -> Iterator[Trace]:
        """Keep what an order starts in the block; an error clears up what is left of it, and tells.

        What an earlier build of the run made elsewhere is taken away first: it begins anew.

        Raises: PlacesUnavailable; what keeps from knowing which images were recorded.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self.path_of(order.run_id)
        # Between its making and its locking nobody may take it for that of a dead process.
        with self._door():
            if path.exists():
                for line in self._withdrawn(_read(path), self._recorded(order.run_id) or ()):
                    on_line(line)
            with path.open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                held = os.dup(file.fileno())
        trace = Trace(held)
        try:
            trace.note(json.dumps(_document(order)))
            yield trace
        except BaseException:
            for line in self._cleared(path, is_over=True):
                on_line(line)
            raise
        else:
            if not trace.is_elsewhere:
                path.unlink()
        finally:
            os.close(held)

    def take_away(self) -> Sequence[str]:
        """Clear up after builds whose process is gone, and tell what was done, a line each.

        Images that were made stay while their run may still record them, and when it did.
        """
        if not self._folder.is_dir():
            return []
        lines: list[str] = []
        with self._door():
            for path in sorted(self._folder.glob("*.json")):
                with suppress(FileNotFoundError), path.open() as file:
                    if _is_free(file):
                        lines += self._cleared(path, is_over=False)
        return lines

    def _cleared(self, path: Path, *, is_over: bool) -> list[str]:
        """Clear up after one; its trace stays when that cannot be done to the end now."""
        left = _read(path)
        if self._is_at_work(path):
            return [f"packer still puts away what {left.run} started"]
        lines = _ended_processes(path)
        try:
            recorded = self._recorded(left.run)
            if left.made:
                if recorded is None and not is_over:
                    return lines
                lines += self._withdrawn(left, recorded or ())
            else:
                for source in left.sources:
                    lines += self._places.clear(
                        source, left.run, left.named, is_recorded=bool(recorded)
                    )
        except ImageBuilderError as error:
            return [*lines, f"what {left.run} left is still there: {error.message} {error.context}"]
        path.unlink()
        return lines

    def _withdrawn(self, left: _Left, recorded: Collection[str]) -> list[str]:
        """Take away the images of a trace that were not recorded. Raises: PlacesUnavailable."""
        sources = {source.name: source for source in left.sources}
        return [
            line
            for name, place in left.made
            if place.id not in recorded and name in sources
            for line in self._places.withdraw(sources[name], place)
        ]

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


def _read(path: Path) -> _Left:
    """Give what a trace tells; of one that was not written to its end, what there is."""
    first, *more = path.read_text().splitlines() or [""]
    try:
        document = json.loads(first)
        sources = [PackerSource(**source) for source in document["sources"]]
        run = RunId(document["run"])
    except (ValueError, KeyError, TypeError):
        return _Left(run=RunId(path.stem))
    named, made = list[str](), list[tuple[str, LivePlace]]()
    for line in more:
        try:
            source, region, known_as = json.loads(line)
        except (ValueError, TypeError):
            named.append(line)
        else:
            made.append((source, LivePlace(region=region, id=known_as)))
    return _Left(run=run, sources=sources, named=named, made=made)


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
