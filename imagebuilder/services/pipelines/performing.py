"""Performing: one stage of a pipeline's run, in this process, from what the ones before it left."""

from collections.abc import Callable, Mapping
from typing import Any

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import ImageBuilderError, Unavailable, WrongState
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.packer import made_elsewhere
from imagebuilder.domain.pipeline import StartCondition
from imagebuilder.domain.run import Run, RunOrder, RunStage
from imagebuilder.ports.locks import InProgress
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunStore
from imagebuilder.ports.stage_processes import FaultKind, StageFault
from imagebuilder.services.pipelines.planning import BuildRequest
from imagebuilder.services.pipelines.shipping import Shipping
from imagebuilder.services.pipelines.stages import Stages


class StageNotMade(WrongState):
    """A stage was asked for that no process of its own does, or too early."""

    code = "stage-not-made"

    def __init__(self, run_id: str, stage: str, reason: str) -> None:
        """Say which of which run, and why not."""
        super().__init__(
            f"Stage {stage} of run {run_id} cannot be done here.",
            context=reason,
            hint=f"Let the run go on by itself, or: imagebuilder run retry {run_id}",
        )


class Performing:
    """Does what `imagebuilder run-step` is asked to."""

    def __init__(
        self,
        runs: RunStore,
        stages: Callable[[], Stages],
        build_parents: Callable[[BuildRequest, Progress], None],
        shipping: Callable[[], Shipping],
    ) -> None:
        """Read in `runs` what came before; `stages` and `shipping` are made when they are needed.

        `build_parents` builds the parents that were never built.
        """
        self._runs = runs
        self._stages = stages
        self._build_parents = build_parents
        self._shipping = shipping

    def perform(self, run_id: str, stage: RunStage, watcher: Progress) -> Canonical:
        """Do a stage and give what the next ones need to know of it.

        Raises: RunNotFound; StageNotMade; what the stage raises.
        """
        run = self._runs.get(run_id)
        if run.order is None:
            raise StageNotMade(run.id, stage, "It is of no pipeline.")
        request = request_of(run.order)
        match stage:
            case RunStage.BUILD:
                return self._built(run, request, watcher)
            case RunStage.VALIDATE:
                built = self._digest(run.id, RunStage.BUILD, "built", stage)
                reports = self._stages().validate(run, request, built, watcher)
                return {"reports": str(reports)}
            case RunStage.RECORD:
                built = self._digest(run.id, RunStage.BUILD, "built", stage)
                reports = self._digest(run.id, RunStage.VALIDATE, "reports", stage)
                version = self._stages().record(run, request, built, reports, watcher)
                return {"version_id": version.id, "reference": version.reference}
            case RunStage.DISTRIBUTE:
                version_id = VersionId(self._left(run.id, RunStage.RECORD, "version_id", stage))
                return self._shipping().ship(run, run.order, version_id, watcher)
            case RunStage.RESOLVE | RunStage.PROMOTE:
                raise StageNotMade(run.id, stage, "It needs no process of its own.")

    def _built(self, run: Run, request: BuildRequest, watcher: Progress) -> Canonical:
        self._build_parents(request, watcher)
        stages = self._stages()
        digest = stages.build(run, request, watcher)
        built = stages.read(run, digest)
        known = built.before if built.is_unchanged else None
        return {
            "built": str(digest),
            "is_unchanged": built.is_unchanged,
            "version_id": known,
            # When the run ends without a version, such images are taken away.
            "is_elsewhere": built.draft is not None and bool(made_elsewhere(built.draft.plan)),
        }

    def _digest(self, run_id: RunId, stage: RunStage, name: str, asked: RunStage) -> Digest:
        return Digest.parse(self._left(run_id, stage, name, asked))

    def _left(self, run_id: RunId, stage: RunStage, name: str, asked: RunStage) -> str:
        """Give what an earlier stage left under a name. Raises: StageNotMade."""
        for known in self._runs.stages(run_id):
            if known.stage is stage and isinstance(known.result, Mapping):
                fields: Mapping[str, Any] = known.result
                return str(fields[name])
        raise StageNotMade(run_id, asked, f"Stage {stage} is not done.")


def request_of(order: RunOrder) -> BuildRequest:
    """Give what a run's order asks of a build: to build always is to take nothing from before."""
    return BuildRequest(
        recipe_path=order.recipe_path,
        variant=order.variant,
        overrides=dict(order.overrides),
        refresh=order.is_forced or order.starts is StartCondition.ALWAYS,
        max_age_seconds=order.max_age_seconds,
    )


def fault_of(error: ImageBuilderError) -> StageFault:
    """Give an error as what kept a stage from its result, and whether it may work later."""
    match error:
        case InProgress():
            kind = FaultKind.BUSY
        case Unavailable():
            kind = FaultKind.LATER
        case _:
            kind = FaultKind.FINAL
    return StageFault(
        kind=kind, code=error.code, message=error.message, context=error.context, hint=error.hint
    )
