"""StageProcesses that are no processes: a test says what each stage leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage
from imagebuilder.ports.stage_processes import StageFault, StageReport

GOOD: Mapping[RunStage, Canonical] = {
    RunStage.BUILD: {"built": "b", "is_unchanged": False, "version_id": None},
    RunStage.VALIDATE: {"reports": "r"},
    RunStage.RECORD: {"version_id": "version-1", "reference": "web@1.0.0/1"},
    RunStage.DISTRIBUTE: {"distributions": {}},
}


@dataclass
class FakeStageProcesses:
    """Leaves what is good, after the faults that were put in its way."""

    faults: list[StageFault] = field(default_factory=list)
    reports: dict[RunStage, Canonical] = field(default_factory=dict)
    meanwhile: Callable[[], object] = lambda: None
    done: list[RunStage] = field(default_factory=list)
    limits: list[float | None] = field(default_factory=list)

    def run(
        self,
        run_id: RunId,
        stage: RunStage,
        limit_seconds: float | None,
        is_wanted: Callable[[], bool],
    ) -> StageReport | None:
        """Do a stage and give what its process left; None when it is not wanted any more."""
        self.done.append(stage)
        self.limits.append(limit_seconds)
        self.meanwhile()
        if not is_wanted():
            return None
        if self.faults:
            return StageReport(fault=self.faults.pop(0))
        return StageReport(result={**GOOD, **self.reports}[stage])
