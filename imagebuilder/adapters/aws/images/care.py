"""ImageCare: what became of AMIs that were placed, and their end."""

from collections.abc import Iterator

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.finishing import (
    DEPRECATED_AT,
    PARAMETER,
    TEMPLATE,
    TEMPLATE_VERSION,
)
from imagebuilder.adapters.aws.images.keys import Keys
from imagebuilder.adapters.aws.images.making import ImageMaking
from imagebuilder.adapters.aws.images.orders import TAG
from imagebuilder.adapters.aws.images.permissions import Permissions
from imagebuilder.adapters.aws.images.pointers import Pointers
from imagebuilder.adapters.aws.images.sight import ImageSight, Shown, snapshots_of
from imagebuilder.adapters.aws.images.usages import ImageUsages
from imagebuilder.adapters.aws.tags import VERSION_ID, tags_of
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.targets import Drift, TargetRefused

KEY = "key"
SNAPSHOT = "snapshot"
NOTHING = "nothing"


class ImageCare:
    """Looks after AMIs of ours."""

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._calls = calls
        self._sight = ImageSight(calls)
        self._permissions = Permissions(calls)
        self._pointers = Pointers(calls)
        self._making = ImageMaking(calls)
        self._keys = Keys(calls)
        self._usages = ImageUsages(calls)

    def drifts(
        self, entrance: Entrance, placement: Placement, admitted: frozenset[str]
    ) -> Iterator[Drift]:
        """Give what is not as it was left; admitted are who may have leave to launch it.

        Raises: CallRefused; TargetUnavailable.
        """
        image = placement.external_id
        shown = self._sight.shown(entrance, image)
        if shown is None:
            yield Drift(what="image", wanted=image, found=NOTHING)
            return
        if shown["State"] != "available":
            yield Drift(what="state", wanted="available", found=shown["State"])
        tags = tags_of(shown)
        for name, wanted in placement.traits.items():
            if name.startswith(TAG) and tags.get(name.removeprefix(TAG)) != wanted:
                yield Drift(what=name, wanted=wanted, found=tags.get(name[len(TAG) :], NOTHING))
        wanted_at = placement.traits.get(DEPRECATED_AT, NOTHING)
        if (found_at := shown.get("DeprecationTime", NOTHING)) != wanted_at:
            yield Drift(what="deprecation", wanted=wanted_at, found=found_at)
        for who in sorted(self._permissions.granted(entrance, image) - admitted):
            yield Drift(what="launch permission", wanted=NOTHING, found=who)
        yield from self._key_drifts(entrance, placement, shown)
        yield from self.pointer_drifts(entrance, placement)

    def pointer_drifts(self, entrance: Entrance, placement: Placement) -> Iterator[Drift]:
        """Give which pointers point elsewhere now. Raises: as `drifts`."""
        traits, image = placement.traits, placement.external_id
        if name := traits.get(PARAMETER):
            found = self._pointers.parameter(entrance, name)
            if found != image:
                yield Drift(what=f"parameter {name}", wanted=image, found=found or NOTHING)
        if template := traits.get(TEMPLATE):
            wanted = traits[TEMPLATE_VERSION]
            found = self._pointers.default_version(entrance, template)
            if found != wanted:
                what = f"default version of {template}"
                yield Drift(what=what, wanted=wanted, found=found or NOTHING)

    def leave_drifts(self, entrance: Entrance, image: str, who: str) -> Iterator[Drift]:
        """Give whether somebody lost the leave to launch an AMI. Raises: as `drifts`."""
        shown = self._sight.shown(entrance, image)
        if shown is None:
            yield Drift(what="image", wanted=image, found=NOTHING)
        elif who not in self._permissions.granted(entrance, image):
            yield Drift(what="launch permission", wanted=who, found=NOTHING)

    def _key_drifts(
        self, entrance: Entrance, placement: Placement, shown: Shown
    ) -> Iterator[Drift]:
        wanted = placement.traits.get(KEY, "")
        try:
            found = self._keys.of_snapshots(entrance, snapshots_of(shown))
        except CallRefused as refused:
            if refused.code != "InvalidSnapshot.NotFound":
                raise
            snapshots = ", ".join(snapshots_of(shown))
            yield Drift(what="snapshot", wanted=snapshots, found=NOTHING)
            return
        if found != wanted:
            yield Drift(what="key", wanted=wanted or NOTHING, found=found or NOTHING)

    def unpoint(self, entrance: Entrance, placement: Placement) -> None:
        """Let no pointer of ours point to a placement. Raises: as `withdraw`."""
        traits, image = placement.traits, placement.external_id

        def is_alive(other: str) -> bool:
            shown = self._sight.shown(entrance, other) if other.startswith("ami-") else None
            return shown is not None and shown["State"] == "available"

        if name := traits.get(PARAMETER):
            self._pointers.unset_parameter(entrance, name, image, is_alive)
        if template := traits.get(TEMPLATE):
            self._pointers.unset_template(entrance, template, image, is_alive)

    def withdraw(
        self, target: str, entrance: Entrance, placement: Placement, *, delete: bool
    ) -> None:
        """See that nobody can launch an AMI, and that it is gone if that is asked.

        Raises: TargetRefused: it is not ours, or in use; CallRefused; TargetUnavailable.
        """
        image = placement.external_id
        shown = self._sight.shown(entrance, image)
        # What Packer made in an account has no tag of ours; its placement says that it is ours.
        wanted = placement.traits.get(f"{TAG}{VERSION_ID}")
        if shown is not None and wanted and tags_of(shown).get(VERSION_ID) != wanted:
            raise TargetRefused(
                target,
                "ec2:DisableImage",
                f"{image} in {entrance.key} does not have the tag {VERSION_ID} of this version.",
                "Take it away by hand if it is yours, or give it back its tag.",
            )
        try:
            self.unpoint(entrance, placement)
        except (CallRefused, ImageBuilderError):
            # What points to it may be out of our hands; nobody is to launch it all the same.
            if shown is not None:
                self._close(entrance, shown)
            raise
        if shown is None:
            # Whoever deregistered it may have been cut off before its snapshots were deleted.
            kept = placement.traits.get(SNAPSHOT, "") if delete and wanted else ""
            for snapshot in filter(None, kept.split(",")):
                self._making.remove_snapshot(entrance, snapshot, {VERSION_ID: wanted or ""})
            return
        if delete and (used := list(self._usages.of(entrance, placement))):
            raise TargetRefused(
                target,
                "ec2:DeregisterImage",
                f"{image} in {entrance.key} is used by {', '.join(it.what for it in used)}.",
                "End what uses it first, or withdraw it without deleting it.",
            )
        self._close(entrance, shown, is_kept=not delete)
        if delete:
            self._making.remove(entrance, shown)

    def _close(self, entrance: Entrance, shown: Shown, *, is_kept: bool = True) -> None:
        """Take all leave to launch an AMI away; what is kept is disabled too."""
        for who in self._permissions.granted(entrance, shown["ImageId"]):
            self._permissions.revoke(entrance, shown, who)
        if is_kept and shown["State"] != "disabled":
            self._calls.call(entrance, "ec2:DisableImage", ImageId=shown["ImageId"])

    def revoke(self, entrance: Entrance, image: str, who: str) -> None:
        """Let somebody no longer launch an AMI. Raises: CallRefused; TargetUnavailable."""
        shown = self._sight.shown(entrance, image)
        if shown is not None:
            self._permissions.revoke(entrance, shown, who)
