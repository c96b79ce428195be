"""Stages: a build in parts that can each be done by another process, and done again.

What a stage leaves to the next is a document among the blobs; its digest is all that a caller has
to remember. Between two stages nothing is held: what the documents name is claimed in the name of
the run, and so nobody takes it from the store until the run has ended.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from imagebuilder.domain.built import (
    Built,
    Examined,
    Needs,
    RecipeChangedMeanwhile,
    Seen,
    StageDocumentUnusable,
    built_document,
    built_of,
    examined_document,
    examined_of,
)
from imagebuilder.domain.digest import Canonical, Digest, canonical_json
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.image import ImageVersion, VersionDraft
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import Run
from imagebuilder.ports.progress import Progress
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job
from imagebuilder.services.pipelines.elsewhere import is_elsewhere, placed
from imagebuilder.services.pipelines.examining import Examining, Specimen
from imagebuilder.services.pipelines.making import Making, Workers, unchanged
from imagebuilder.services.pipelines.packing import Packing
from imagebuilder.services.pipelines.planning import BuildRequest
from imagebuilder.services.pipelines.recording import recorded, signed
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step
from imagebuilder.services.validating import Validating


class Stages:
    """Does one stage of a run after the other; each can be done in another process, and done again.

    The run is somebody else's to keep: no stage changes what is recorded of it but its steps.
    """

    def __init__(self, desk: Desk, workers: Callable[[], Workers], process: str) -> None:
        """Let workers do what there is to do; process says to others who is at it."""
        self._with = desk
        self._workers = workers
        self._process = process

    def build(self, run: Run, request: BuildRequest, watcher: Progress) -> Digest:
        """Make layers, disk and artifacts, and give the digest of what tells all of it.

        Durable: what was built and its document survive our own death. Done again, it finds the
        layers that were made before.

        Raises: any ImageBuilderError, as a build does; RecipeChangedMeanwhile: the recipe makes
        another image now.
        """
        with self._stage("build", run, watcher) as progress:
            self._with.attesting.refuse_unusable_key()
            prepared = self._with.planning.prepare(request)
            if prepared.recipe.name != run.image:
                what = f"{request.recipe_path} makes {prepared.recipe.name} now."
                raise RecipeChangedMeanwhile(run.image, what)
            built = self._built(Job(request=request, prepared=prepared, run=run), progress)
            return self._kept(run, built_document(built), built.needs)

    def validate(self, run: Run, request: BuildRequest, built: Digest, watcher: Progress) -> Digest:
        """Boot and test what was built, and give the digest of what was said of it.

        Its layers are those that were built, and its disk as well, whatever the archives and the
        parent's image have today. Nothing is to be said of a build that changed nothing.

        Raises: ValidationFailed; RecipeChangedMeanwhile: the documents are others by now, and their
        tests might be; StageDocumentUnusable; LayerMissing; LayerDamaged; BlobMissing.
        """
        with self._stage("validation", run, watcher) as progress:
            made = self.read(run, built)
            seen = Seen()
            if made.draft is not None:
                job = self._job_of(run, request, made.draft)
                look = self._seen_live if job.prepared.plan.sources else self._seen
                seen = look(job, made, made.draft, progress)
            examined = Examined(built=built, seen=seen)
            # What was built is claimed again: a run that failed, and goes on, claims nothing more.
            needs = made.needs | examined.needs | Needs(blobs=frozenset({built}))
            return self._kept(run, examined_document(examined), needs)

    def record(
        self,
        run: Run,
        request: BuildRequest,  # noqa: ARG002 - the stages are called alike
        built: Digest,
        reports: Digest,
        watcher: Progress,
    ) -> ImageVersion:
        """Record the version that passed, and give it; when nothing changed, the one there is.

        Durable: a run records one version, also when this is done again, or by several at once.

        Raises: ParentUnusable; NewestRevoked; StageDocumentUnusable: the reports are of something
        else.
        """
        with self._stage("record", run, watcher) as progress:
            known = self._with.cataloguing.of_run(run.id)
            if known is not None:
                self._placed(known)
                signed(self._with, known, progress)
                return known
            made = self.read(run, built)
            if made.draft is None:
                return self._unchanged(made, built)
            examined = self._examined(reports)
            if examined.built != built:
                raise StageDocumentUnusable(reports, f"It speaks of {examined.built.short}.")
            version = recorded(self._with, made.draft, examined.seen, progress)
            self._placed(version)
            return version

    def read(self, run: Run, built: Digest) -> Built:
        """Give what a run built, of the document that its first stage gave.

        Raises: StageDocumentUnusable: it is of another run, or imagebuilder; BlobMissing.
        """
        try:
            made = built_of(self._document(built))
        except ValueError as error:
            raise StageDocumentUnusable(built, f"{error}.") from error
        if made.draft is not None and made.draft.run_id != run.id:
            raise StageDocumentUnusable(built, f"It was written by run {made.draft.run_id}.")
        return made

    @contextmanager
    def _stage(self, what: str, run: Run, watcher: Progress) -> Iterator[RecordedProgress]:
        """Let nobody else work on the image, and keep the steps of a stage."""
        desk = self._with
        progress = RecordedProgress(run.id, watcher, desk.runs, desk.run_files, desk.clock)
        with desk.working(run.image, self._process, what), failing_step(progress):
            yield progress
            # The next stage may be done on another machine.
            desk.shared(progress)

    def _built(self, job: Job, progress: RecordedProgress) -> Built:
        prepared, workers = job.prepared, self._workers
        if prepared.is_unchanged and not job.request.until_artifact:
            return unchanged(prepared)
        self._with.refuse_unknown_content(prepared)
        if prepared.plan.sources:
            with _packing(self._with, workers(), job, progress).made() as packed:
                return packed.built
        with Making(self._with, workers(), job, progress).made() as made:
            self._with.layers.settle()
            if made.disk is not None:
                # At hand it needs no conversion when it is booted.
                workers().disks.remember(job.run.image, made.disk)
            return made.built

    def _job_of(self, run: Run, request: BuildRequest, draft: VersionDraft) -> Job:
        """Give what is to be looked at. Raises: RecipeChangedMeanwhile."""
        prepared = self._with.planning.pinned(request, draft)
        if prepared.plan.definition != draft.definition_digest:
            what = "Its recipe, a component, a value of an account or a test is another one now."
            raise RecipeChangedMeanwhile(draft.image, what)
        return Job(request=request, prepared=prepared, run=run)

    def _seen(
        self,
        job: Job,
        built: Built,  # noqa: ARG002 - as of what is made of machines, which says more
        draft: VersionDraft,
        progress: RecordedProgress,
    ) -> Seen:
        layers = tuple(self._with.layers.get(layer.content) for layer in draft.layers)
        workers = self._workers()
        with ExitStack() as held:
            roots = held.enter_context(workers.workshop.opened(job.prepared.archives))
            disk = self._recalled(draft, held)
            specimen = Specimen(plan=job.prepared.plan, layers=layers, roots=roots, disk=disk)
            return _examining(self._with, workers, job, progress).seen(specimen, draft, progress)

    def _seen_live(
        self, job: Job, built: Built, draft: VersionDraft, progress: RecordedProgress
    ) -> Seen:
        with ExitStack() as held:
            disk = self._recalled(draft, held)
            packing = _packing(self._with, self._workers(), job, progress)
            try:
                return packing.seen(built, disk)
            except StepFailed:
                # It will never be recorded, and nobody would know of it.
                packing.withdraw(built)
                raise

    def _recalled(self, draft: VersionDraft, held: ExitStack) -> PurePath | None:
        """Give the raw disk of what was built, as long as held is open; None when it has none."""
        artifacts = {each.format: self._with.blobs.path(each.digest) for each in draft.artifacts}
        artifacts.pop(ArtifactFormat.TAR, None)
        if not artifacts:
            return None
        disks = self._workers().disks
        return held.enter_context(disks.recalled(draft.image, draft.disk_digest, artifacts))

    def _placed(self, version: ImageVersion) -> None:
        # Of what was made on this machine nothing has to be loaded for it.
        if is_elsewhere(version):
            live = self._workers().live
            placed(live.placing, live.placements, version)

    def _unchanged(self, made: Built, digest: Digest) -> ImageVersion:
        if made.before is None:
            raise StageDocumentUnusable(digest, "It names no version.")
        before = self._with.cataloguing.show(made.before)
        # A revocation may have come into force since it was found to be the same.
        self._with.usability.refuse_revoked(before)
        return before

    def _examined(self, reports: Digest) -> Examined:
        try:
            return examined_of(self._document(reports))
        except ValueError as error:
            raise StageDocumentUnusable(reports, f"{error}.") from error

    def _document(self, digest: Digest) -> Mapping[str, Any]:
        document = json.loads(self._with.blobs.read(digest))
        if not isinstance(document, dict):
            raise ValueError("it is no document of a stage")  # noqa: TRY004 - another file
        return document

    def _kept(self, run: Run, document: Canonical, needs: Needs) -> Digest:
        digest = self._with.blobs.put(canonical_json(document))
        self._with.claims.claim(run.id, needs | Needs(blobs=frozenset({digest})))
        return digest


def in_one(desk: Desk, workers: Workers, job: Job, progress: RecordedProgress) -> BuildResult:
    """Do all stages of a job at once; nothing is written down for another process.

    What was built is where it was made while it is looked at, and is claimed by nobody, since the
    store stays shared to the end.
    """
    if job.prepared.plan.sources:
        return _packed_in_one(desk, workers, job, progress)
    with Making(desk, workers, job, progress).made() as made:
        built = made.built
        result = BuildResult(
            run_id=job.run.id,
            version=job.prepared.before if built.is_unchanged else None,
            is_unchanged=built.is_unchanged,
            built=built.made,
            warnings=built.warnings,
            reason=built.reason,
        )
        if built.draft is None:
            return result
        if job.request.until_artifact:
            files = ((a.format, desk.blobs.path(a.digest)) for a in built.draft.artifacts)
            return replace(result, files=tuple(files))
        seen = _examining(desk, workers, job, progress).seen(made.specimen, built.draft, progress)
        desk.layers.settle()
        version = recorded(desk, built.draft, seen, progress)
        if made.disk is not None:
            workers.disks.remember(version.image, made.disk)
    return replace(result, version=version)


def _packed_in_one(
    desk: Desk, workers: Workers, job: Job, progress: RecordedProgress
) -> BuildResult:
    packing = _packing(desk, workers, job, progress)
    with packing.made() as packed:
        built = packed.built
        if built.draft is None:
            raise ValueError("what was made of a machine is never as before")
        result = BuildResult(
            run_id=job.run.id,
            version=None,
            built=tuple(step.name for step in job.prepared.plan.layers),
            warnings=built.warnings,
            reason=built.reason,
        )
        if job.request.until_artifact:
            packing.refuse_unrecorded(built.draft)
            files = ((a.format, desk.blobs.path(a.digest)) for a in built.draft.artifacts)
            return replace(result, files=tuple(files))
        version = recorded(desk, built.draft, packing.seen(built, packed.disk), progress)
        placed(workers.live.placing, workers.live.placements, version)
    return replace(result, version=version)


def _packing(desk: Desk, workers: Workers, job: Job, progress: RecordedProgress) -> Packing:
    validating = Validating(workers.tests, workers.booter, desk.blobs, progress)
    return Packing(desk, workers.live, validating, job, progress)


def _examining(desk: Desk, workers: Workers, job: Job, progress: Progress) -> Examining:
    validating = Validating(workers.tests, workers.booter, desk.blobs, progress)
    return Examining(desk, validating, workers.booter, workers.means, job)
