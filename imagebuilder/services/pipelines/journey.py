"""BuildImage: the whole journey. Nothing is recorded that was not booted and tested."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.matrix import variant_image
from imagebuilder.domain.recipe import AmiParent, CircularParents, ImageParent
from imagebuilder.domain.run import Run
from imagebuilder.ports.progress import Progress
from imagebuilder.services.pipelines.deciding import MissingParent
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job, Maker
from imagebuilder.services.pipelines.open_run import opened_run
from imagebuilder.services.pipelines.planning import BuildRequest, Preparation
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step

if TYPE_CHECKING:
    from imagebuilder.domain.ids import ImageName

Fetch: TypeAlias = Callable[[AmiParent, Progress], object]
"""Records an AMI as the image that it is built on as."""


class BuildImage:
    """Builds an image from a recipe's path, its missing parents first."""

    def __init__(self, desk: Desk, make: Maker, fetch: Fetch, process: str) -> None:
        """Let make do what there is to build; process says to others who is building."""
        self._with = desk
        self._make = make
        self._fetch = fetch
        self._process = process

    def build(self, request: BuildRequest, watcher: Progress) -> BuildResult:
        """Build and record a version, or find that the newest one is what would be built.

        Raises: any ImageBuilderError; the run is then kept as failed, with its logs.
        """
        self._with.sweeping.sweep()
        # Nobody wants to hear at the end of a build that its key cannot be opened.
        self._with.attesting.refuse_unusable_key()
        self.build_parents(request, watcher)
        return self._build(request, watcher)

    def build_parents(self, request: BuildRequest, watcher: Progress) -> None:
        """Build, or fetch, the parents that are missing, the lowest first. Raises: as `build`."""
        for missing in self.missing_parents(request.recipe_path):
            if isinstance(missing, AmiParent):
                self._fetch(missing, watcher)
            else:
                self._build(BuildRequest(recipe_path=missing, keep=request.keep), watcher)

    def plan(self, request: BuildRequest) -> Preparation:
        """Give what a build would start from; nothing is made or recorded."""
        return self._with.planning.prepare(request)

    def missing_parents(self, recipe_path: str) -> tuple[MissingParent, ...]:
        """Give the recipes of the parents that were never built, the lowest first.

        An AMI at the bottom is given as itself while no version that is not retired is of it.

        Raises: CircularParents; VersionNotFound: no recipe makes what is missing.
        """
        found: list[MissingParent] = []
        chain: list[ImageName] = []
        path = recipe_path
        while True:
            recipe = self._with.authoring.recipe(path).value
            chain.append(recipe.name)
            parent = recipe.parent
            if isinstance(parent, AmiParent) and not recipe.sources and self._is_to_fetch(parent):
                found.insert(0, parent)
            if not isinstance(parent, ImageParent):
                return tuple(found)
            if parent.name in chain:
                circle = (*chain[chain.index(parent.name) :], parent.name)
                raise CircularParents(circle, origin=recipe.parent_origin)
            missing = self._missing(parent)
            if missing is None:
                return tuple(found)
            made_by = self._with.authoring.find_recipe(parent.name, path)
            if made_by is None:
                missing.hint = (
                    f"Build {parent.name} first; no recipe of that name is beside this one."
                )
                raise missing
            path = made_by
            found.insert(0, path)

    def _is_to_fetch(self, parent: AmiParent) -> bool:
        newest = self._with.cataloguing.newest(parent.image)
        return newest is None or bool(self._with.usability.gone(newest))

    def _missing(self, parent: ImageParent) -> VersionNotFound | None:
        """Give the reason why a parent image cannot be built on, None when it can."""
        reference = f"{parent.name}@{parent.asked}" if parent.asked else parent.name
        try:
            self._with.cataloguing.show(reference)
        except VersionNotFound as missing:
            return missing
        return None

    def _build(self, request: BuildRequest, watcher: Progress) -> BuildResult:
        recipe = self._with.authoring.recipe(request.recipe_path).value
        image = variant_image(recipe.name, request.variant)
        # From here on nothing is taken from the store that this build may count on.
        with self._with.working(image, self._process):
            prepared = self._with.planning.prepare(request)
            with opened_run(self._with, image, self._process) as run:
                progress = RecordedProgress(
                    run.run.id,
                    watcher,
                    self._with.runs,
                    self._with.run_files,
                    self._with.clock,
                )
                with failing_step(progress):
                    result = self._result(prepared, request, progress, run.run)
                    warnings = (*result.warnings, *self._with.shared(progress))
                    version_id = result.version.id if result.version else None
                    run.succeeded(version_id, is_unchanged=result.is_unchanged)
                    return replace(result, warnings=warnings)

    def _result(
        self,
        prepared: Preparation,
        request: BuildRequest,
        progress: RecordedProgress,
        run: Run,
    ) -> BuildResult:
        """Build unless nothing changed."""
        if prepared.is_unchanged and not request.until_artifact:
            return BuildResult(
                run_id=run.id,
                version=prepared.before,
                is_unchanged=True,
                warnings=prepared.warnings,
            )
        self._with.refuse_unknown_content(prepared)
        job = Job(request=request, prepared=prepared, run=run)
        return self._make(job, progress)
