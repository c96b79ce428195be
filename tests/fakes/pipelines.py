"""A PipelineStore in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from imagebuilder.domain.cascade import is_built_on
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.ports.pipelines import (
    AppliedPipeline,
    KeptDecision,
    Pause,
    PipelineNotFound,
)


class FakePipelineStore:
    """Keeps pipelines in a dictionary and decisions in a list, in the order of their adding."""

    def __init__(self) -> None:
        """Begin empty."""
        self.pipelines: dict[str, AppliedPipeline] = {}
        self.kept_decisions: list[KeptDecision] = []
        self._changes = 0

    def put(self, applied: AppliedPipeline) -> None:
        """Keep a pipeline under its name, replacing what was kept; its cursor never goes back."""
        before = self.pipelines.get(applied.pipeline.name)
        cursor_at = max(applied.cursor_at, before.cursor_at) if before else applied.cursor_at
        self._keep(replace(applied, cursor_at=cursor_at))

    def remove(self, name: PipelineName) -> None:
        """Forget a pipeline; its runs and decisions stay."""
        self.get(name)
        del self.pipelines[name]
        self._changes += 1

    def get(self, name: str) -> AppliedPipeline:
        """Give a pipeline."""
        if name not in self.pipelines:
            raise PipelineNotFound(name, sorted(self.pipelines))
        return self.pipelines[name]

    def all(self) -> Sequence[AppliedPipeline]:
        """Give all of them by name."""
        return [self.pipelines[name] for name in sorted(self.pipelines)]

    def following(self, image: ImageName) -> Sequence[AppliedPipeline]:
        """Give those whose recipe is built on versions of an image of ours, by name."""
        return [applied for applied in self.all() if is_built_on(applied.pipeline, image)]

    def stamp(self) -> str:
        """Give what changes when any pipeline is applied, removed, paused or resumed."""
        return str(self._changes)

    def named(self, names: Collection[PipelineName]) -> Sequence[AppliedPipeline]:
        """Give those of some names, by name; one that is not there is left out."""
        return [applied for applied in self.all() if applied.pipeline.name in names]

    def set_cursors(self, slots: Mapping[PipelineName, datetime]) -> None:
        """Keep which slots were seen to; an earlier one than is kept changes nothing."""
        for applied in self.named(slots):
            name = applied.pipeline.name
            cursor_at = max(applied.cursor_at, slots[name])
            self.pipelines[name] = replace(applied, cursor_at=cursor_at)

    def set_pause(self, name: PipelineName, pause: Pause | None) -> bool:
        """Pause or resume; False when it stood so already."""
        kept = self.get(name)
        if (kept.pause is None) == (pause is None):
            return False
        self._keep(replace(kept, pause=pause))
        return True

    def count_end(self, name: PipelineName, *, is_failure: bool) -> int:
        """Count a scheduled run's end, and give how many failed since one did not."""
        kept = self.pipelines.get(name)
        if kept is None:
            return 0
        self.pipelines[name] = replace(kept, failures=kept.failures + 1 if is_failure else 0)
        return self.pipelines[name].failures

    def add_decision(self, decision: KeptDecision) -> None:
        """Keep what was decided for a run; a second word on the same run replaces the first."""
        others = [kept for kept in self.kept_decisions if kept.run_id != decision.run_id]
        self.kept_decisions = [*others, decision]

    def decisions(
        self, name: PipelineName | None, limit: int, run_id: RunId | None = None
    ) -> Sequence[KeptDecision]:
        """Give what was decided last, the newest first."""
        found = [
            kept
            for kept in reversed(self.kept_decisions)
            if name in (None, kept.pipeline) and run_id in (None, kept.run_id)
        ]
        return sorted(found, key=lambda kept: kept.at, reverse=True)[:limit]

    def _keep(self, applied: AppliedPipeline) -> None:
        self.pipelines[applied.pipeline.name] = applied
        self._changes += 1
