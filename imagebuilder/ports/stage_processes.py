"""StageProcesses: a stage of a run is done in a process of its own, which can be ended any time."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage


class FaultKind(StrEnum):
    """What a fault means for who waits: whether the same may work later, and who is to act."""

    LATER = "later"
    BUSY = "busy"
    FINAL = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFault:
    """Why a stage gave no result, in an error's own words."""

    kind: FaultKind
    code: str
    message: str
    context: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What a stage's process left: what it made, or why it made nothing.

    Invariant: `fault` is None exactly when there is a result.
    """

    result: Canonical = None
    fault: StageFault | None = None


class StageProcesses(Protocol):
    """Starts them. None outlives the call, nor this process, also when that is killed."""

    def run(
        self,
        run_id: RunId,
        stage: RunStage,
        limit_seconds: float | None,
        is_wanted: Callable[[], bool],
    ) -> StageReport | None:
        """Do a stage and give what its process left; None when it was ended as not wanted any more.

        `is_wanted` is asked twice a second; who is not wanted has a second to put things away.
        """
        ...
