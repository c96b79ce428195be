"""A RunStore and RunFiles in memory."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path, PurePath

from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import Run, RunState, StepRun
from imagebuilder.ports.runs import RunNotFound


class FakeRunStore:
    """Keeps runs and steps in dictionaries."""

    def __init__(self) -> None:
        """Begin empty."""
        self.runs: dict[str, Run] = {}
        self.kept_steps: dict[str, dict[int, StepRun]] = {}

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id."""
        self.runs[run.id] = run

    def save_step(self, run_id: RunId, step: StepRun) -> None:
        """Keep a step as it stands now, replacing what was kept under its number."""
        if run_id not in self.runs:
            raise RunNotFound(run_id, ())
        self.kept_steps.setdefault(run_id, {})[step.number] = step

    def get(self, run_id: str) -> Run:
        """Give the run whose id is, or uniquely starts with, run_id."""
        if run_id in self.runs:
            return self.runs[run_id]
        matching = sorted(known for known in self.runs if known.startswith(run_id))
        if len(matching) != 1:
            raise RunNotFound(run_id, matching)
        return self.runs[matching[0]]

    def steps(self, run_id: RunId) -> Sequence[StepRun]:
        """Give a run's steps in their order."""
        kept = self.kept_steps.get(run_id, {})
        return [kept[number] for number in sorted(kept)]

    def newest(self, limit: int, image: ImageName | None = None) -> Sequence[Run]:
        """Give the newest runs first, of one image when it is named."""
        found = [run for run in self.runs.values() if image in (None, run.image)]
        return sorted(found, key=lambda run: (run.started_at, run.id), reverse=True)[:limit]

    def running(self) -> Sequence[Run]:
        """Give the runs that are recorded as running, oldest first."""
        found = [run for run in self.runs.values() if run.state is RunState.RUNNING]
        return sorted(found, key=lambda run: (run.started_at, run.id))


class FakeRunFiles:
    """Keeps logs in a dictionary; `folder` makes a temporary one on demand."""

    def __init__(self) -> None:
        """Begin empty."""
        self.logs: dict[tuple[str, int], list[str]] = {}
        self.kept_details: dict[tuple[str, int], set[str]] = {}
        self._root: Path | None = None

    def append(self, run_id: RunId, number: int, step: str, text: str) -> None:
        """Add a line to a step's log."""
        self.logs.setdefault((run_id, number), []).append(text)

    def log(self, run_id: RunId, number: int) -> str:
        """Give a step's log; empty when it said nothing."""
        return "".join(f"{line}\n" for line in self.logs.get((run_id, number), ()))

    def keep_details(self, run_id: RunId, number: int, component: str, document: bytes) -> None:
        """Keep what a component did within a step."""
        name = f"{number:02d}-{component}.detailedoutput.json"
        Path(self.folder(run_id), name).write_bytes(document)
        self.kept_details.setdefault((run_id, number), set()).add(name)

    def details(self, run_id: RunId, number: int) -> Sequence[PurePath]:
        """Give the files of what components did within a step."""
        names = self.kept_details.get((run_id, number), ())
        return sorted(self.folder(run_id) / name for name in names)

    def folder(self, run_id: RunId) -> PurePath:
        """Give the run's own folder, made when it is not there."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="fake-runs-"))
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        folder = self._root / run_id
        folder.mkdir(exist_ok=True)
        return folder
