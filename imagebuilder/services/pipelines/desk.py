"""Desk: what decides on a build and keeps its records, and what goes in and out of one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat, Suite
from imagebuilder.domain.run import Run, StepState
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, PackageSources
from imagebuilder.ports.claims import ClaimStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.locks import STORE_LOCK, Locks
from imagebuilder.ports.runs import RunFiles, RunStore
from imagebuilder.services.assessing import Assessing
from imagebuilder.services.attesting import Attesting
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.cataloguing import Cataloguing
from imagebuilder.services.matching import Matching
from imagebuilder.services.pipelines.planning import BuildRequest, Planning, Preparation
from imagebuilder.services.pipelines.usability import Usability
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.sweeping import Sweeping


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """How a build ended well.

    `version` is None when it was to end with the files; `built` are the layers made now.
    """

    run_id: RunId
    version: ImageVersion | None
    is_unchanged: bool = False
    built: tuple[str, ...] = ()
    files: tuple[tuple[ArtifactFormat, PurePath], ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What decides whether to build, and keeps the records.

    `complaints` gives what was wrong with the shared store since it was asked last.
    """

    authoring: Authoring
    planning: Planning
    usability: Usability
    cataloguing: Cataloguing
    attesting: Attesting
    matching: Matching
    assessing: Assessing
    sweeping: Sweeping
    layers: LayerStore
    blobs: BlobStore
    sources: PackageSources
    runs: RunStore
    run_files: RunFiles
    claims: ClaimStore
    locks: Locks
    clock: Clock
    ids: IdSource
    complaints: Callable[[], tuple[str, ...]] = tuple

    @contextmanager
    def working(self, on: ImageName, process: str, what: str = "build") -> Iterator[None]:
        """Let nobody else work on an image in the block, nor take anything from the store.

        Raises: InProgress: somebody else works on the image.
        """
        with (
            self.locks.hold(f"image {on}", process),
            self.locks.share(STORE_LOCK, f"{what} of {on} by {process}"),
        ):
            yield

    def refuse_unknown_content(self, prepared: Preparation) -> None:
        """Let pass what is scanned by content and an engine that are there.

        Raises: ContentMissing; ProfileUnknown; ProgramMissing.
        """
        suite = prepared.plan.parent.suite
        # Debian's unstable calls itself by the release to come, which nobody knows from here.
        release = f"debian:{suite}" if suite and suite != Suite.SID else ""
        self.assessing.refuse_unknown(prepared.plan.scans, release)

    def shared(self, progress: RecordedProgress) -> tuple[str, ...]:
        """See that other machines have what was made; give what was wrong, and keep it in the log.

        No build fails of that.
        """
        self.layers.settle()
        complaints = self.complaints()
        if complaints:
            progress.step_started("shared store")
            for complaint in complaints:
                progress.line(complaint)
            progress.step_ended(StepState.SKIPPED, "the build went on without")
        return complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be made, and under which run it is kept."""

    request: BuildRequest
    prepared: Preparation
    run: Run


Maker: TypeAlias = Callable[[Job, RecordedProgress], BuildResult]
"""Does a job. It stands for all that only a build with something to make has to load."""
