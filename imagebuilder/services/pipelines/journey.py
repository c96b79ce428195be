"""BuildImage: the whole journey. Nothing is recorded that was not booted and tested."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.matrix import variant_image
from imagebuilder.domain.recipe import CircularParents, ImageParent
from imagebuilder.domain.run import Run, RunInterrupted, RunState
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.runs import RunStore
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job, Maker
from imagebuilder.services.pipelines.planning import BuildRequest, Preparation
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step
from imagebuilder.services.sweeping import run_lock


class BuildImage:
    """Builds an image from a recipe's path, its missing parents first."""

    def __init__(self, desk: Desk, make: Maker, process: str) -> None:
        """Let make do what there is to build; process says to others who is building."""
        self._with = desk
        self._make = make
        self._process = process

    def build(self, request: BuildRequest, watcher: Progress) -> BuildResult:
        """Build and record a version, or find that the newest one is what would be built.

        Raises: any ImageBuilderError; the run is then kept as failed, with its logs.
        """
        self._with.sweeping.sweep()
        self.build_parents(request, watcher)
        return self._build(request, watcher)

    def build_parents(self, request: BuildRequest, watcher: Progress) -> None:
        """Build the parents that were never built, the lowest first. Raises: as `build`."""
        for path in self.missing_parents(request.recipe_path):
            self._build(BuildRequest(recipe_path=path, keep=request.keep), watcher)

    def plan(self, request: BuildRequest) -> Preparation:
        """Give what a build would start from; nothing is made or recorded."""
        return self._with.planning.prepare(request)

    def missing_parents(self, recipe_path: str) -> tuple[str, ...]:
        """Give the recipes of the parent images that were never built, the lowest first.

        Raises: CircularParents; VersionNotFound: no recipe makes what is missing.
        """
        paths: list[str] = []
        chain: list[ImageName] = []
        path = recipe_path
        while True:
            recipe = self._with.authoring.recipe(path).value
            chain.append(recipe.name)
            parent = recipe.parent
            if not isinstance(parent, ImageParent):
                return tuple(paths)
            if parent.name in chain:
                circle = (*chain[chain.index(parent.name) :], parent.name)
                raise CircularParents(circle, origin=recipe.parent_origin)
            missing = self._missing(parent)
            if missing is None:
                return tuple(paths)
            found = self._with.authoring.find_recipe(parent.name, path)
            if found is None:
                missing.hint = (
                    f"Build {parent.name} first; no recipe of that name is beside this one."
                )
                raise missing
            path = found
            paths.insert(0, path)

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
            with self._run(image) as run:
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
                    return run.ended(replace(result, warnings=warnings))

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
        job = Job(request=request, prepared=prepared, run=run)
        return self._make(job, progress)

    @contextmanager
    def _run(self, image: ImageName) -> Iterator["_OpenRun"]:
        """Keep a run's record true, however it ends."""
        run = Run(
            id=RunId(self._with.ids.new("run")),
            image=image,
            state=RunState.RUNNING,
            started_at=self._with.clock.now(),
            place=self._with.sweeping.place,
        )
        with self._with.locks.hold(run_lock(run.id), self._process):
            self._with.runs.save(run)
            opened = _OpenRun(run, self._with.runs, self._with.clock)
            try:
                yield opened
            except ImageBuilderError as error:
                opened.end(RunState.FAILED, error_code=error.code, error=error.message)
                raise
            except (KeyboardInterrupt, RunInterrupted):
                opened.end(RunState.CANCELLED, error="It was cancelled.")
                raise
            except BaseException as error:
                opened.end(RunState.FAILED, error_code="unexpected", error=repr(error))
                raise


class _OpenRun:
    """A run that is not over yet."""

    def __init__(self, run: Run, runs: RunStore, clock: Clock) -> None:
        self.run = run
        self._runs = runs
        self._clock = clock

    def ended(self, result: BuildResult) -> BuildResult:
        """Record that it ended well."""
        version_id = result.version.id if result.version else None
        state = RunState.UNCHANGED if result.is_unchanged else RunState.SUCCEEDED
        self.run = replace(self.run, version_id=version_id)
        self.end(state)
        return result

    def end(self, state: RunState, *, error_code: str = "", error: str = "") -> None:
        """Record how it ended."""
        self.run = replace(
            self.run, state=state, ended_at=self._clock.now(), error_code=error_code, error=error
        )
        self._runs.save(self.run)
