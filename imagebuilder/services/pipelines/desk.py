"""Desk and workers: what a build works with, and what it ends with."""

from dataclasses import dataclass
from pathlib import PurePath

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import (
    ImageVersion,
)
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, PackageSources, Workshop
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.disks import DiskBuilder
from imagebuilder.ports.inspection import Booter, TestRunner
from imagebuilder.ports.locks import Locks
from imagebuilder.ports.runs import RunFiles, RunStore
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.building.stacking import (
    Stacking,
)
from imagebuilder.services.cataloguing import Cataloguing
from imagebuilder.services.pipelines.planning import Planning
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
    """What decides whether to build, and keeps the records."""

    authoring: Authoring
    planning: Planning
    stacking: Stacking
    cataloguing: Cataloguing
    sweeping: Sweeping
    layers: LayerStore
    blobs: BlobStore
    sources: PackageSources
    runs: RunStore
    run_files: RunFiles
    locks: Locks
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What is needed only when there is something to build."""

    workshop: Workshop
    disks: DiskBuilder
    tests: TestRunner
    booter: Booter
