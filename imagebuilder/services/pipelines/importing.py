"""Importing: an image that others made is recorded, so that it can be a parent, scanned, revoked.

Nothing is known of how it was made, and nothing of it was run: it has no tests, which gates tell.
"""

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.bill import Release
from imagebuilder.domain.digest import Canonical, digest_of
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName, is_name
from imagebuilder.domain.image import (
    IMPORTED,
    ImageVersion,
    ParentEdge,
    RecordedLayer,
    VersionDraft,
)
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import AmiParent, RootfsParent, Suite
from imagebuilder.domain.run import Run, StepState
from imagebuilder.domain.units import size_text
from imagebuilder.domain.versions import RecipeVersion
from imagebuilder.ports.building import NewLayer, Roots, Workshop
from imagebuilder.ports.foreign import (
    AmiSource,
    ForeignImage,
    ForeignImageRefused,
    ForeignImages,
    ImageRegistry,
    RegistryReference,
)
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.targets import TargetRefused
from imagebuilder.services.building.stocktaking import Stock, Stocktaking
from imagebuilder.services.pipelines.desk import Desk
from imagebuilder.services.pipelines.open_run import opened_run
from imagebuilder.services.pipelines.parentage import AMI_LINE
from imagebuilder.services.pipelines.recording import matched, signed
from imagebuilder.services.pipelines.watching import RecordedProgress, failing_step

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """What to import, a file, what a registry has or an AMI, and as what."""

    given: PurePath | RegistryReference | AmiParent
    image: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTools:
    """What opens foreign images and looks into them."""

    images: ForeignImages
    registry: ImageRegistry
    amis: AmiSource
    workshop: Workshop
    stocktaking: Stocktaking


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The version there is now; `is_unchanged` when that file was recorded as it before."""

    version: ImageVersion
    is_unchanged: bool = False


class Importing:
    """Records images that others made."""

    def __init__(self, desk: Desk, tools: ImportTools, process: str) -> None:
        """Open them with tools; process says to others who is at it."""
        self._with = desk
        self._tools = tools
        self._process = process

    def import_(self, order: ImportOrder, watcher: Progress) -> Imported:
        """Record a file as a version of an image, unless the newest one is that file.

        Raises: ImportMisnamed; ForeignImageRefused; RegistryImageRefused; TargetUnavailable;
        TargetRefused; ArchiveRefused; NotPrivileged; InProgress.
        """
        desk, image, asked = self._with, *_named(order)
        desk.sweeping.sweep()
        with (
            desk.working(image, self._process, "import"),
            opened_run(desk, image, self._process) as run,
        ):
            progress = RecordedProgress(run.run.id, watcher, desk.runs, desk.run_files, desk.clock)
            with failing_step(progress):
                imported = self._imported(order, image, asked, run.run, progress)
                run.succeeded(imported.version.id, is_unchanged=imported.is_unchanged)
                return imported

    def import_parent(self, ami: AmiParent, watcher: Progress) -> Imported:
        """Record an AMI that a recipe is built on. Raises: as `import_`, with its place there."""
        order = ImportOrder(given=ami, image=ami.image, version=AMI_LINE)
        try:
            return self.import_(order, watcher)
        except (TargetRefused, ForeignImageRefused) as refused:
            refused.origin = ami.origin
            raise

    def _imported(
        self,
        order: ImportOrder,
        image: ImageName,
        asked: RecipeVersion,
        run: Run,
        progress: RecordedProgress,
    ) -> Imported:
        desk = self._with
        with ExitStack() as held:
            source, file = self._given(order.given, held, progress)
            progress.step_started("open")
            foreign = held.enter_context(self._tools.images.opened(file, lambda _: None))
            what = f"{foreign.format}, {size_text(foreign.size_bytes)}, {foreign.digest.short}"
            progress.step_ended(StepState.SUCCEEDED, what)
            before = desk.cataloguing.newest(image)
            if before is not None and self._is_kept(before) and _is_of(before, foreign, asked):
                return Imported(version=before, is_unchanged=True)
            with self._tools.workshop.opened(()) as roots:
                layer = self._layer(foreign, source, roots, progress)
                stock = self._stock(layer, roots, progress)
            desk.layers.settle()
            desk.blobs.adopt(foreign.copy)
            parts = _Parts(source, foreign, layer, stock)
        version = desk.cataloguing.record(_draft(image, asked, run, parts))
        matched(desk, version, progress)
        signed(desk, version, progress)
        return Imported(version=version)

    def _is_kept(self, version: ImageVersion) -> bool:
        """Whether retention has not ended a version: else it is made anew, as a build would be."""
        return not self._with.usability.gone(version)

    def _given(
        self,
        given: PurePath | RegistryReference | AmiParent,
        held: ExitStack,
        progress: RecordedProgress,
    ) -> tuple[str, PurePath]:
        """Give where an image comes from, as its record says it, and its file on this machine."""
        if isinstance(given, PurePath):
            return f"file:{given.name}", given
        progress.step_started("fetch")
        match given:
            case RegistryReference():
                fetching = self._tools.registry.fetched(given, lambda _: None)
            case AmiParent():
                fetching = self._tools.amis.fetched(given, lambda _: None)
        fetched = held.enter_context(fetching)
        progress.step_ended(StepState.SUCCEEDED, fetched.source)
        return fetched.source, fetched.file

    def _layer(
        self, foreign: ForeignImage, source: str, roots: Roots, progress: RecordedProgress
    ) -> Layer:
        """Find or make the layer that holds all files of the root."""
        progress.step_started(IMPORTED)
        key = digest_of({IMPORTED: str(foreign.digest)})
        with self._with.layers.building(key):
            found = self._with.layers.find(key, ()).layer
            if found is not None:
                progress.step_ended(StepState.CACHED, size_text(found.size_bytes))
                return found
            parent = PlannedParent(
                asked=source,
                identity=str(foreign.digest),
                source=RootfsParent(path=str(foreign.archive)),
            )
            with roots.parent(parent, progress.line) as root:
                layer = root.seal(NewLayer(key=key, name=IMPORTED))
            self._with.layers.publish(layer)
        progress.step_ended(StepState.SUCCEEDED, size_text(layer.size_bytes))
        return layer

    def _stock(self, layer: Layer, roots: Roots, progress: RecordedProgress) -> Stock:
        progress.step_started("bill of materials")
        with roots.scratch([layer]) as root:
            stock = self._tools.stocktaking.take(root.path, (), ())
        found = stock.contents
        told = f"{len(found.packages)} packages of {found.release.name}"
        progress.step_ended(StepState.SUCCEEDED, told)
        return stock


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was made of an image, and where it comes from."""

    source: str
    foreign: ForeignImage
    layer: Layer
    stock: Stock


def _named(order: ImportOrder) -> tuple[ImageName, RecipeVersion]:
    if not is_name(order.image):
        raise ImportMisnamed(f"{order.image[:80]!r} is not a name that an image may have.")
    try:
        return ImageName(order.image), RecipeVersion.parse(order.version)
    except ValueError as error:
        raise ImportMisnamed(f"{error}.") from error


def _is_of(before: ImageVersion, foreign: ForeignImage, asked: RecipeVersion) -> bool:
    number = before.version.version
    is_asked = (number.major, number.minor) == (asked.major, asked.minor) and (
        asked.patch in {None, number.patch}
    )
    return is_asked and before.definition_digest == digest_of({IMPORTED: str(foreign.digest)})


def _draft(image: ImageName, asked: RecipeVersion, run: Run, parts: _Parts) -> VersionDraft:
    source, foreign, layer, stock = parts.source, parts.foreign, parts.layer, parts.stock
    plan: Mapping[str, Canonical] = {
        IMPORTED: {"source": source, "digest": str(foreign.digest)},
        "suite": _suite(stock.contents.release),
    }
    return VersionDraft(
        image=image,
        asked=asked,
        run_id=run.id,
        plan_digest=digest_of(plan),
        definition_digest=digest_of({IMPORTED: str(foreign.digest)}),
        plan=plan,
        parent=ParentEdge(asked=source, identity=str(foreign.digest)),
        disk_digest=foreign.disk_digest,
        artifacts=(
            Artifact(
                format=foreign.format,
                digest=foreign.digest,
                size_bytes=foreign.size_bytes,
                virtual_size_bytes=foreign.virtual_size_bytes,
            ),
        ),
        layers=(
            RecordedLayer(
                name=layer.name,
                key=layer.key,
                content=layer.content,
                size_bytes=layer.size_bytes,
            ),
        ),
        packages=stock.contents.installed,
        reports=(),
        documents=(),
        bill=stock.bill,
    )


def _suite(release: Release) -> str:
    """Give the Debian suite at the bottom, by which children find archives; empty of another."""
    if release.distribution == "debian":
        with suppress(ValueError):
            return Suite(release.codename)
    return ""


class ImportMisnamed(InvalidInput):
    """An image is to be imported as what no image can be."""

    code = "import-misnamed"

    def __init__(self, reason: str) -> None:
        """Say what it cannot be."""
        super().__init__(
            "The image cannot be imported as that.",
            context=reason,
            hint="Write such as --name vendor-base --version 1.0.x.",
        )
