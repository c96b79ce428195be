"""Packing: the stage of a build in which Packer makes the image, of machines that it starts.

It stands where Making and Examining stand for an image of layers, and gives the same Built: so
recording, signing and all that follows know of no difference. The plan's layers are then the steps
that are done on each machine, by the same runner; none of them is kept, and the image is the disk,
or the image elsewhere, that came of it. That is looked at twice: the machine while it still runs,
before it becomes an image, and a fresh one of what was made: a boot of the disk, a start at AWS.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TypeAlias

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.built import Built, Seen
from imagebuilder.domain.component import PhaseName
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Outcome, TestReport, TestResult
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import ImageVersion, ParentEdge, VersionDraft
from imagebuilder.domain.kept import kept_mapping
from imagebuilder.domain.packer import MadeThere, PackerSource, made_elsewhere, stand_in
from imagebuilder.domain.plan import PlannedLayer
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import size_text
from imagebuilder.ports.disks import DiskImporter, ImportedDisk
from imagebuilder.ports.inspection import TestSuite
from imagebuilder.ports.live import LiveMachines
from imagebuilder.ports.live_builds import (
    LiveBuilder,
    LiveBuildFailed,
    LiveMachine,
    LiveOrder,
    LiveOutcome,
    LivePlace,
    LiveProduct,
    SourcePlaces,
)
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.services.building.stocktaking import Stock, Stocktaking
from imagebuilder.services.pipelines.desk import Desk, Job
from imagebuilder.services.pipelines.elsewhere import (
    ParentNotStarted,
    started_from,
    told_of_parent,
)
from imagebuilder.services.pipelines.examining import about, component_tests
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.placing import Placing
from imagebuilder.services.provisioning.components import ComponentRunner, Means
from imagebuilder.services.validating import LiveExamination, Validating

Carried: TypeAlias = Callable[[Machine], AbstractContextManager[PurePath]]
"""Gives a folder with what a machine's own lists say of its packages, as in its root."""

_SUFFIXES = {f".{each.value}": each for each in ArtifactFormat if each is not ArtifactFormat.TAR}
_LONGEST_NAME = 128
_IMAGE_LABEL = "imagebuilder-image"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveShop:
    """What makes images of machines that run, and looks at them."""

    builder: LiveBuilder
    places: SourcePlaces
    machines: LiveMachines
    importer: DiskImporter
    carried: Carried
    means: Means
    stocktaking: Stocktaking
    placing: Placing
    placements: PlacementStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What was built; `disk` is its raw disk, None when the image stays elsewhere."""

    built: Built
    disk: PurePath | None = None


@dataclass(slots=True)
class _Noted:
    """What was seen of machines while they ran."""

    reports: list[TestReport] = field(default_factory=list)
    stock: Stock | None = None


class Packing:
    """Has made what was prepared."""

    def __init__(
        self,
        desk: Desk,
        shop: LiveShop,
        validating: Validating,
        job: Job,
        progress: RecordedProgress,
    ) -> None:
        """Do a job in a shop."""
        self._with = desk
        self._shop = shop
        self._validating = validating
        self._job = job
        self._progress = progress
        self._noted = _Noted()

    @contextmanager
    def made(self) -> Iterator[Packed]:
        """Give what was built; an image elsewhere is taken away when an error ends the block.

        Raises: SourceRefused; LiveBuildFailed; LiveBuildTimedOut; BuilderUnfit; ParentNotStarted;
        DiskUnreadable; ComponentFailed; ValidationFailed.
        """
        order = self._order()
        names = ", ".join(source.name for source in order.sources)
        with ExitStack() as held:
            self._progress.step_started(f"start a machine: {names}")
            built = self._shop.builder.built(order, self._work, self._progress.line)
            with told_of_parent(self._job.prepared.recipe):
                outcome = held.enter_context(built)
            self._progress.step_ended(StepState.SUCCEEDED, _counted(outcome))
            disk = self._disk(order, outcome, held)
            yield Packed(built=self._built(outcome, disk), disk=disk.raw if disk else None)

    def seen(self, built: Built, disk: PurePath | None) -> Seen:
        """Give what fresh machines of all that was made say: its disk booted, its images started.

        Raises: ValidationFailed; LiveBuildFailed; LiveBuildTimedOut; TestsUnusable;
        ComponentFailed.
        """
        reports: list[TestReport] = []
        if disk is not None:
            firmware = self._job.prepared.plan.disk.firmware[0]
            reports += self._validating.validate_fresh(self._examination(), disk, firmware)
        there = [] if built.draft is None else made_elsewhere(built.draft.plan)
        for source in self._job.prepared.plan.sources:
            made = [each for each in there if each.source == source.name]
            if made and source.type.startswith("amazon-"):
                reports += self._looked_at(source, made)
        # Of what nobody here can start there is only what its machine said.
        return Seen(reports=tuple(reports) or built.reports)

    def withdraw(self, built: Built) -> None:
        """Take away what was made elsewhere of what will not be recorded, and tell it.

        What cannot be taken away now is told too: the trace of its build is still there.
        """
        sources = {source.name: source for source in self._job.prepared.plan.sources}
        for made in [] if built.draft is None else made_elsewhere(built.draft.plan):
            place = LivePlace(region=made.region, id=made.external_id, target=made.target)
            try:
                lines = self._shop.places.withdraw(sources[made.source], place)
            except ImageBuilderError as error:
                lines = [f"image {place.id} is still in {place.region}: {error.message}"]
            for line in lines:
                self._progress.line(line)

    def _looked_at(self, source: PackerSource, made: Sequence[MadeThere]) -> list[TestReport]:
        """Start a machine from an image that was just made, and give what that and tests say."""
        region = source.settings.get("region")
        first = next((each for each in made if each.region == region), made[0])
        settings = {k: v for k, v in source.settings.items() if k != "source_ami_filter"}
        # Nothing is made, but Packer wants to know how it would be called.
        look = f"{self._job.run.id}-look"
        name = f"{self._job.prepared.plan.image}-{look}-{source.name}"[:_LONGEST_NAME]
        settings |= {"source_ami": first.external_id, "ami_name": name, "region": first.region}
        order = LiveOrder(
            image=self._job.prepared.plan.image,
            run_id=RunId(look),
            sources=(replace(source, settings=settings),),
        )
        step = f"start {first.external_id} to a login"
        reports: list[TestReport] = []

        def work(machine: LiveMachine) -> None:
            self._progress.step_ended(StepState.SUCCEEDED, f"{machine.login} {machine.id}".strip())
            boot = TestResult(name=step, outcome=Outcome.PASSED, seconds=0.0, detail=machine.id)
            with self._shop.machines.connected(machine.login) as connected:
                reports.extend(
                    self._validating.validate_machine(
                        self._examination(), connected, f"a fresh {source.name}", boot
                    )
                )
            self._progress.step_started(f"put away: {source.name}")

        self._progress.step_started(step)
        self._shop.builder.looked_at(order, work, self._progress.line)
        self._progress.step_ended(StepState.SUCCEEDED)
        return reports

    def refuse_unrecorded(self, draft: VersionDraft) -> None:
        """Let pass what is all on this machine: nobody would know of an image elsewhere.

        Raises: LiveBuildFailed: something was made elsewhere; it is taken away by that.
        """
        places = ", ".join(f"{e.external_id} at {e.target}" for e in made_elsewhere(draft.plan))
        if places:
            names = ", ".join(source.name for source in self._job.prepared.plan.sources)
            raise LiveBuildFailed(names, f"nothing was to be recorded, but it made {places}")

    def _order(self) -> LiveOrder:
        prepared = self._job.prepared
        plan, parent_id = prepared.plan, prepared.plan.parent.version_id
        parent = None if parent_id is None else self._with.cataloguing.show(parent_id)
        disk, sources = None, plan.sources
        if parent is not None:
            sources = tuple(
                started_from(source, parent, self._shop.placements) for source in sources
            )
            qemu = next((source for source in sources if source.type == "qemu"), None)
            disk = None if qemu is None else self._parent_disk(qemu, parent)
        return LiveOrder(
            image=plan.image,
            run_id=self._job.run.id,
            sources=sources,
            disk=disk,
            only=self._job.request.only,
            labels={_IMAGE_LABEL: plan.image},
        )

    def _parent_disk(self, source: PackerSource, parent: ImageVersion) -> PurePath:
        """Give the file of a version that a machine can start from, verified."""
        files = {artifact.format: artifact.digest for artifact in parent.artifacts}
        digest = files.get(ArtifactFormat.QCOW2, files.get(ArtifactFormat.RAW))
        if digest is None:
            raise ParentNotStarted(parent, source.name, "no qcow2 or raw file")
        self._with.blobs.verify(digest)
        return self._with.blobs.path(digest)

    def _work(self, machine: LiveMachine) -> None:
        """Do all components on a machine that is up, and see what tests say of it."""
        self._progress.step_ended(StepState.SUCCEEDED, f"{machine.login} {machine.id}".strip())
        try:
            with self._shop.machines.connected(machine.login) as connected:
                for step in self._job.prepared.plan.layers:
                    self._component(step, connected, machine)
                name = f"machine {machine.source}"
                reports = self._validating.validate_machine(self._examination(), connected, name)
                self._noted.reports += reports
                if self._noted.stock is None:
                    self._noted.stock = self._stock(connected)
        except ImageBuilderError as failure:
            # What Packer does now, to put it away, is told too.
            self._progress.step_ended(StepState.FAILED, failure.message)
            self._progress.step_started(f"put away: {machine.source}")
            raise
        self._progress.step_started(f"make the image: {machine.source}")

    def _component(self, step: PlannedLayer, connected: Machine, machine: LiveMachine) -> None:
        if step.component is None:
            return
        self._progress.step_started(step.name)
        runner = ComponentRunner(
            component=step.component,
            parameters=step.parameters,
            machine=connected,
            means=self._shop.means,
            on=str(machine.login),
            on_line=self._progress.line,
            on_detail=self._progress.detailed,
        )
        for phase in (PhaseName.BUILD, PhaseName.VALIDATE):
            runner.run(phase)
        self._progress.step_ended(StepState.SUCCEEDED, f"on {machine.source}")

    def _stock(self, machine: Machine) -> Stock:
        self._progress.step_started("bill of materials")
        before = self._job.prepared.before
        archives = self._job.prepared.archives
        with self._shop.carried(machine) as root:
            known = [] if before is None else [before.bill]
            stock = self._shop.stocktaking.take(root, archives, known)
        if stock.complaint:
            self._progress.line(stock.complaint)
        found = stock.contents
        detail = f"{len(found.packages)} packages of {found.release.name}"
        self._progress.step_ended(StepState.SUCCEEDED, detail)
        return stock

    def _examination(self) -> LiveExamination:
        prepared = self._job.prepared
        return LiveExamination(
            image=prepared.plan.image,
            tests=TestSuite(entries=prepared.tests, recipe=about(prepared.plan)),
            consoles=self._with.run_files.folder(self._job.run.id),
            component_tests=component_tests(self._job, self._shop.means, self._progress),
        )

    def _disk(self, order: LiveOrder, outcome: LiveOutcome, held: ExitStack) -> ImportedDisk | None:
        """Take in the disk that was made on this machine, if there is one."""
        sources = {source.name: source for source in order.sources}
        local = [product for product in outcome.products if product.files]
        if not local:
            return None
        if len(local) > 1:
            names = ", ".join(product.source for product in local)
            raise LiveBuildFailed(names, "a version has one disk, and these made several")
        file, format_ = _disk_file(local[0], sources[local[0].source])
        self._progress.step_started("disk")
        formats = self._job.prepared.plan.artifacts
        disk = held.enter_context(self._shop.importer.imported(file, format_, formats))
        self._progress.step_ended(StepState.SUCCEEDED, size_text(disk.size_bytes))
        return disk

    def _artifacts(self, disk: ImportedDisk) -> Iterator[Artifact]:
        for format_, file in disk.files.items():
            self._progress.step_started(f"artifact {format_}")
            digest = self._with.blobs.adopt(file)
            size_bytes = self._with.blobs.size_bytes(digest)
            self._progress.step_ended(StepState.SUCCEEDED, size_text(size_bytes))
            yield Artifact(
                format=format_,
                digest=digest,
                size_bytes=size_bytes,
                virtual_size_bytes=disk.size_bytes,
            )

    def _built(self, outcome: LiveOutcome, disk: ImportedDisk | None) -> Built:
        prepared, plan, stock = self._job.prepared, self._job.prepared.plan, self._noted.stock
        there = [
            [place.target, place.id, place.region, product.source]
            for product in outcome.products
            for place in product.places
        ]
        if disk is None and not there:
            names = ", ".join(product.source for product in outcome.products)
            raise LiveBuildFailed(names, "what it made is neither a disk nor an image elsewhere")
        draft = VersionDraft(
            image=plan.image,
            asked=plan.recipe_version,
            run_id=self._job.run.id,
            plan_digest=plan.digest,
            definition_digest=plan.definition,
            plan={
                **kept_mapping(plan.document()),
                "there": there,
                "missing_sources": _missing(plan.sources, outcome),
            },
            parent=ParentEdge(
                asked=plan.parent.asked,
                identity=plan.parent.identity,
                version_id=plan.parent.version_id,
            ),
            disk_digest=disk.digest if disk else stand_in({"there": there}),
            artifacts=tuple(self._artifacts(disk)) if disk else (),
            layers=(),
            packages=stock.contents.installed if stock else (),
            reports=(),
            documents=prepared.documents,
            bill=stock.bill if stock else None,
        )
        missing = (f"source {name} failed: {why}" for name, why in outcome.failures.items())
        return Built(
            draft=draft,
            before=prepared.before.id if prepared.before else None,
            reason=prepared.reason,
            warnings=(*prepared.warnings, *missing),
            reports=tuple(self._noted.reports),
        )


def _disk_file(product: LiveProduct, source: PackerSource) -> tuple[PurePath, ArtifactFormat]:
    """Give the file of a product that is a disk, and what its builder wrote it as."""
    if source.type == "qemu":
        written = str(source.settings.get("format", ArtifactFormat.QCOW2.value))
        disks = [file for file in product.files if file.name == "disk"] or [*product.files]
        return disks[0], ArtifactFormat(written)
    known = [file for file in product.files if file.suffix in _SUFFIXES]
    if len(known) != 1:
        names = ", ".join(file.name for file in product.files)
        raise LiveBuildFailed(product.source, f"none, or several, of its files are a disk: {names}")
    return known[0], _SUFFIXES[known[0].suffix]


def _missing(sources: Sequence[PackerSource], outcome: LiveOutcome) -> list[str]:
    """Give the sources of which nothing was made: they failed, or were not to be built."""
    made = {product.source for product in outcome.products}
    return [source.name for source in sources if source.name not in made]


def _counted(outcome: LiveOutcome) -> str:
    made = ", ".join(product.source for product in outcome.products)
    failed = ", ".join(outcome.failures)
    return f"made {made}; failed {failed}" if failed else f"made {made}"
