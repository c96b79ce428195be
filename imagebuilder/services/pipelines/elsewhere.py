"""Elsewhere: images that were made where they stay, as the plan of a version keeps them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from imagebuilder.domain.distribution import PlacementState
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.packer import PackerSource, made_elsewhere
from imagebuilder.domain.recipe import AmiParent, Recipe
from imagebuilder.domain.run import RunState
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.live_builds import LiveBuildFailed
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.runs import RunNotFound, RunStore
from imagebuilder.services.placing import Placing

_NO_AMI = "InvalidAMIID"
"""What the codes begin with by which EC2 says that an AMI is not there, or not seen."""

_WITHOUT_VERSION = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)


class ParentNotStarted(WrongState):
    """No machine can be started from the version that a recipe is built on."""

    code = "parent-not-started"

    def __init__(self, parent: ImageVersion, source: str, lacks: str) -> None:
        """Name the version, and what it lacks for a source."""
        super().__init__(
            f"Source {source} starts no machine from {parent.reference}: it has {lacks}.",
            hint="Build the parent with artifacts: [qcow2] for qemu; for amazon, place it in the "
            "source's region, or name the image in the source and write parent: packer:WORD.",
        )


def is_elsewhere(version: ImageVersion) -> bool:
    """Whether something of a version was made where it stays."""
    return bool(made_elsewhere(version.plan))


def placed(placing: Placing, placements: PlacementStore, version: ImageVersion) -> None:
    """See that what was made of a version elsewhere is a placement of it.

    Durable: done again it finds what is there. Raises: PlacementExists: it is another version's.
    """
    for made in made_elsewhere(version.plan):
        known = placements.find(made.target, made.external_id)
        if known is None or known.version_id != version.id:
            placing.add(version.id, made.target, made.external_id, why="made by Packer")


def started_from(
    source: PackerSource, parent: ImageVersion, placements: PlacementStore
) -> PackerSource:
    """Give a source at AWS with the image of its parent there; others as they are.

    Raises: ParentNotStarted: there is none in its region.
    """
    if not source.type.startswith("amazon-"):
        return source
    region = source.settings.get("region")
    for placement in placements.of([parent.id]):
        is_aws = placement.target.startswith("aws:")
        is_placed = placement.state is PlacementState.PLACED
        if is_aws and placement.target.endswith(f"/{region}") and is_placed:
            settings = {**source.settings, "source_ami": placement.external_id}
            return replace(source, settings=settings)
    raise ParentNotStarted(parent, source.name, f"no placement in {region}")


def recorded_images(
    runs: RunStore, versions: VersionStore, run_id: RunId
) -> Collection[str] | None:
    """Give the ids of the images elsewhere that a run recorded: none when it ended without them.

    None when it may still record some, and when nothing is known of it: the run of another
    catalogue is not over because this one has no version of it.
    """
    version = versions.of_run(run_id)
    if version is not None:
        return {made.external_id for made in made_elsewhere(version.plan)}
    try:
        run = runs.get(run_id)
    except RunNotFound:
        return None
    return () if run.id == run_id and run.state in _WITHOUT_VERSION and not run.version_id else None


@contextmanager
def told_of_parent(recipe: Recipe) -> Iterator[None]:
    """Let a failure tell the place of the parent in a recipe when that names no AMI there is."""
    try:
        yield
    except LiveBuildFailed as failed:
        if isinstance(recipe.parent, AmiParent) and _NO_AMI in failed.message:
            failed.origin = recipe.parent_origin
            failed.hint = (
                f"See the id and the region, {recipe.parent.region}, or have the AMI's owner share "
                f"it with the account that source {failed.source} enters."
            )
        raise
