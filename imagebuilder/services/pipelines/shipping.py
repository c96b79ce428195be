"""Shipping: a run's version is brought to where its pipeline's distributions say."""

from collections.abc import Callable
from pathlib import PurePath
from threading import Lock

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.distribution import DeliveryState, DeliveryStep
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.run import Run, RunOrder, StepState
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunFiles, RunStore
from imagebuilder.services.distributing.desk import DistributionDesk
from imagebuilder.services.distributing.distributing import Choice, Distributing
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step


class Shipping:
    """Distributes in the name of pipelines; each document is a step of the run."""

    def __init__(
        self,
        desk: Callable[[str], DistributionDesk],
        versions: VersionStore,
        runs: RunStore,
        files: RunFiles,
    ) -> None:
        """Work at the `desk` of somebody, and keep what happens in the record of the run."""
        self._desk = desk
        self._versions = versions
        self._runs = runs
        self._files = files

    def ship(
        self, run: Run, order: RunOrder, version_id: VersionId, watcher: Progress
    ) -> Canonical:
        """Bring a version to all targets of all documents, and give what is where.

        What one document cannot have done keeps nobody from doing the others.
        Durable: done again, only what is missing is done. Raises: as `Distributing.distribute`.
        """
        desk = self._desk(f"pipeline {order.pipeline}")
        version = self._versions.get(version_id)
        progress = RecordedProgress(run.id, watcher, self._runs, self._files, desk.books.clock)
        shipped: dict[str, Canonical] = {}
        failures: list[ImageBuilderError] = []
        for path in order.distributions:
            progress.step_started(f"distribute to {PurePath(path).name}")
            told = _Told(progress)
            try:
                with failing_step(progress):
                    done = Distributing(desk).distribute(
                        version.reference, path, Choice(), told, why=f"run {run.id}"
                    )
            except ImageBuilderError as error:
                failures.append(error)
                continue
            count = len(done.distribution.steps)
            progress.step_ended(StepState.SUCCEEDED, f"{count} targets")
            shipped[done.distribution.name] = {"id": done.distribution.id, "targets": count}
        if failures:
            # The others stand as failed steps in the run's record.
            raise failures[0]
        return {"distributions": shipped}


class _Told:
    """Lets the log of a step say what happens at each target."""

    def __init__(self, progress: Progress) -> None:
        """Write to the running step."""
        self._progress = progress
        self._lock = Lock()

    def changed(self, step: DeliveryStep) -> None:
        """Write how it ended."""
        if step.state is not DeliveryState.RUNNING:
            self._line(f"{step.state} {step.target} {step.failure or step.external_id}")

    def moved(self, target: str, size_bytes: int) -> None:
        """Bytes are for those who watch."""

    def troubled(self, target: str, why: str) -> None:
        """Write that it is tried again."""
        self._line(f"again {target} {why}")

    def _line(self, text: str) -> None:
        with self._lock:
            self._progress.line(text)
