"""A RunStore and RunFiles in memory."""

import shutil
import tempfile
import weakref
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import (
    UNFINISHED,
    Approval,
    Run,
    RunQuery,
    RunStage,
    RunState,
    StageRun,
    StepRun,
    StepState,
    UnfinishedRun,
)
from imagebuilder.ports.runs import RunNotFound


class FakeRunStore:
    """Keeps runs and steps in dictionaries."""

    def __init__(self) -> None:
        """Begin empty."""
        self.runs: dict[str, Run] = {}
        self.kept_steps: dict[str, dict[int, StepRun]] = {}
        self.kept_stages: dict[str, dict[RunStage, StageRun]] = {}
        self.approvals: dict[str, Approval] = {}

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id."""
        before = self.runs.get(run.id)
        self.runs[run.id] = replace(run, cancelled_by=before.cancelled_by if before else "")

    def add(self, run: Run) -> bool:
        """Keep a new run; False, and nothing kept, when its slot has a run already."""
        slot = _slot(run)
        if run.id in self.runs or (slot and slot in map(_slot, self.runs.values())):
            return False
        self.save(run)
        return True

    def add_all(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Keep new runs as `add` does, and give those that are kept now."""
        return [run for run in runs if self.add(run)]

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """Give the runs of pipelines that are not over."""
        return [
            UnfinishedRun(
                id=run.id,
                state=run.state,
                attempt=run.attempt,
                is_cancelled=bool(run.cancelled_by),
            )
            for run in self.runs.values()
            if run.order is not None and run.state in UNFINISHED
        ]

    def those(self, ids: Collection[RunId]) -> Sequence[Run]:
        """Give the runs of some ids, by id; one that is not there is left out."""
        return [self.runs[run_id] for run_id in sorted(ids) if run_id in self.runs]

    def move(self, run: Run, given: Collection[RunState]) -> bool:
        """Save the run if what is kept of it is in one of the states; else False."""
        if run.id not in self.runs or self.runs[run.id].state not in given:
            return False
        self.save(run)
        return True

    def requeue(self, run: Run, given: Collection[RunState]) -> bool:
        """As `move`, for a run that begins again: who asked to cancel it is forgotten."""
        is_moved = self.move(run, given)
        if is_moved:
            self.runs[run.id] = replace(self.runs[run.id], cancelled_by="")
        return is_moved

    def cancel(self, run_id: RunId, actor: str) -> bool:
        """Keep who wants a run to end; False when it is over already, or asked to by another."""
        run = self.runs.get(run_id)
        if run is None or run.cancelled_by or run.state not in UNFINISHED:
            return False
        self.runs[run_id] = replace(run, cancelled_by=actor)
        return True

    def save_stage(self, run_id: RunId, stage: StageRun) -> StageRun:
        """Keep a stage as it stands now, and give what is kept: a success stays as it is."""
        if run_id not in self.runs:
            raise RunNotFound(run_id, ())
        kept = self.kept_stages.setdefault(run_id, {})
        before = kept.get(stage.stage)
        if before is None or before.state is not StepState.SUCCEEDED:
            kept[stage.stage] = stage
        return kept[stage.stage]

    def forget_stages(self, run_id: RunId, stages: Collection[RunStage]) -> None:
        """See that some stages of a run count as never begun, also those that succeeded."""
        for stage in stages:
            self.kept_stages.get(run_id, {}).pop(stage, None)

    def stages(self, run_id: RunId) -> Sequence[StageRun]:
        """Give the stages that a run began, in the order of stages."""
        kept = self.kept_stages.get(run_id, {})
        return [kept[stage] for stage in RunStage if stage in kept]

    def settle(self, approval: Approval) -> bool:
        """Keep a person's word on a run; False when there is one already."""
        return self.approvals.setdefault(approval.run_id, approval) is approval

    def approval(self, run_id: RunId) -> Approval | None:
        """Give a person's word on a run."""
        return self.approvals.get(run_id)

    def find(self, query: RunQuery) -> Sequence[Run]:
        """Give the runs that are asked for, those started last first."""
        found = [run for run in self.runs.values() if _is_asked_for(run, query)]
        return sorted(found, key=lambda run: (run.started_at, run.id), reverse=True)[: query.limit]

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
        return self.find(RunQuery(image=image, limit=limit))

    def running(self) -> Sequence[Run]:
        """Give the runs without an order that are recorded as running, oldest first."""
        running = (run for run in self.runs.values() if run.state is RunState.RUNNING)
        found = [run for run in running if run.order is None]
        return sorted(found, key=lambda run: (run.started_at, run.id))


def _slot(run: Run) -> tuple[object, ...] | None:
    order = run.order
    if order is None or order.slot_at is None:
        return None
    return (order.pipeline, order.variant, order.slot_at)


def _is_asked_for(run: Run, query: RunQuery) -> bool:
    order = run.order
    return (
        query.pipeline in (None, order.pipeline if order else None)
        and query.variant in (None, order.variant if order else None)
        and query.image in (None, run.image)
        and (not query.states or run.state in query.states)
        and (query.since_at is None or run.started_at >= query.since_at)
    )


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

    def log_after(self, run_id: RunId, number: int, offset: int) -> tuple[str, int]:
        """Give the lines that a step's log has behind an offset, and the offset behind them."""
        text = self.log(run_id, number).encode()[offset:]
        return text.decode(), offset + len(text)

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
