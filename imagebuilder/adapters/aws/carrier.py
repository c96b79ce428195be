"""AwsCarrier: versions become AMIs in regions of accounts, and are shared, without an instance."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.advice import told
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.entering import refuse_stranger
from imagebuilder.adapters.aws.expanding import COPY, HOME, Expanding
from imagebuilder.adapters.aws.hindrances import Hindrances, is_destination
from imagebuilder.adapters.aws.images.admission import Admission
from imagebuilder.adapters.aws.images.care import KEY, SNAPSHOT, ImageCare
from imagebuilder.adapters.aws.images.finishing import PARAMETER, TEMPLATE, Finishing
from imagebuilder.adapters.aws.images.firmware import firmware_of
from imagebuilder.adapters.aws.images.keys import Keys
from imagebuilder.adapters.aws.images.making import ImageMaking
from imagebuilder.adapters.aws.images.orders import (
    TAG,
    Order,
    entrance_of,
    home_of,
    order_of,
    places_of,
)
from imagebuilder.adapters.aws.images.permissions import Permissions, is_account
from imagebuilder.adapters.aws.images.sight import ImageSight, Shown, snapshots_of
from imagebuilder.adapters.aws.images.usages import ImageUsages
from imagebuilder.adapters.aws.snapshots.making import Cargo, SnapshotMaking
from imagebuilder.adapters.aws.tags import DISK
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import AwsPlaces, Target, TargetSpec
from imagebuilder.domain.units import GIB
from imagebuilder.ports.targets import (
    Drift,
    Forerunner,
    OnBytes,
    OnMade,
    Placed,
    PlacingFailed,
    Shipment,
    Usage,
)


class AwsCarrier:
    """Brings versions to accounts and regions."""

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._calls = calls
        self._expanding = Expanding(calls)
        self._hindrances = Hindrances(calls)
        self._snapshots = SnapshotMaking(calls)
        self._sight = ImageSight(calls)
        self._making = ImageMaking(calls)
        self._permissions = Permissions(calls)
        self._admission = Admission(calls)
        self._finishing = Finishing(calls)
        self._care = ImageCare(calls)
        self._keys = Keys(calls)
        self._usages = ImageUsages(calls)

    def targets(self, spec: TargetSpec) -> Sequence[Target]:
        """Give the home, then its copies, then who they are shared with. Raises: as the port."""
        home = Target(key="", spec=spec)
        return self._expanding.targets(spec, places_of(home))

    def hindrances(
        self, target: Target, version: ImageVersion, takers: Sequence[Target] = ()
    ) -> Sequence[Objection]:
        """Give what speaks against it: no way in, a key, a name. Raises: as the port."""
        return self._hindrances.of(target, version, takers)

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        """See that the AMI is there as the entry wants it. Raises: as the port."""
        order = order_of(target, shipment)
        with told(target.key):
            match target.where["kind"]:
                case "home":
                    made = self._made(order, shipment, on_bytes)
                    return self._placed(target, order, made, shipment.on_made)
                case "copy":
                    made = self._copied(target, order, shipment)
                    return self._placed(target, order, made, shipment.on_made)
                case _:
                    return self._shared(target, order, shipment)

    def drifts(
        self, target: Target, placement: Placement, takers: Sequence[Target] = ()
    ) -> Sequence[Drift]:
        """Give what was changed by hand. Raises: as the port."""
        who, entrance = target.where["account"], entrance_of(target)
        with told(target.key):
            refuse_stranger(self._calls, self._owner(target))
            if target.where["kind"] in {HOME, COPY}:
                admitted = frozenset(taker.where["account"] for taker in takers)
                return list(self._care.drifts(entrance, placement, admitted))
            owner = self._owner(target)
            lost = list(self._care.leave_drifts(owner, placement.external_id, who))
            return lost or list(self._care.pointer_drifts(entrance, placement))

    def usages(self, target: Target, placement: Placement) -> Sequence[Usage]:
        """Give what runs of it or would, where we may look. Raises: as the port."""
        if not self._may_enter(target):
            return []
        entrance = entrance_of(target)
        with told(target.key):
            refuse_stranger(self._calls, entrance)
            return list(self._usages.of(entrance, placement))

    def withdraw(self, target: Target, placement: Placement, *, delete: bool) -> None:
        """See that nobody can launch it there any more. Raises: as the port."""
        entrance = entrance_of(target)
        self._admission.forget(placement.external_id)
        with told(target.key):
            owner = self._owner(target)
            refuse_stranger(self._calls, owner)
            if target.where["kind"] in {HOME, COPY}:
                self._care.withdraw(target.key, entrance, placement, delete=delete)
                return
            if self._may_enter(target):
                refuse_stranger(self._calls, entrance)
                self._care.unpoint(entrance, placement)
            self._care.revoke(owner, placement.external_id, target.where["account"])

    def _made(self, order: Order, shipment: Shipment, on_bytes: OnBytes) -> Shown:
        if shipment.there:
            return self._making.taken(order, shipment.there)
        image = self._making.there(order)
        if image:
            return self._making.settled(order, image, "ec2:RegisterImage")
        with ExitStack() as held:
            disk = held.enter_context(shipment.disk())
            key = self._keys.wanted(order.entrance, order.key)
            parent, base = self._base(order, shipment, (disk, key), held)
            cargo = Cargo(
                disk=disk,
                digest=str(shipment.version.disk_digest),
                token=order.token,
                scratch=shipment.scratch,
                base=base,
                parent=parent,
                key=key,
                description=order.description,
                tags=order.tags,
            )
            snapshot = self._snapshots.made(order.entrance, cargo, on_bytes)
            return self._making.registered(order, snapshot, firmware_of(disk))

    def _base(
        self, order: Order, shipment: Shipment, wanted: tuple[PurePath, str], held: ExitStack
    ) -> tuple[str, PurePath | None]:
        """Give the snapshot that only changes need to be sent after, and the disk it was made of.

        Encryption follows the snapshot before, so where the key is another one all must be sent.
        """
        disk, key = wanted
        before = shipment.forerunner
        if before is None or not _is_of_its_disk(before):
            return "", None
        shown = self._sight.shown(order.entrance, before.placement.external_id)
        if shown is None or snapshots_of(shown) != [before.placement.traits.get(SNAPSHOT)]:
            return "", None
        if self._keys.of_snapshots(order.entrance, snapshots_of(shown)) != key:
            return "", None
        base = held.enter_context(before.disk())
        if _gib(base) > _gib(disk):  # a snapshot may not be smaller than its parent
            return "", None
        return snapshots_of(shown)[0], base

    def _copied(self, target: Target, order: Order, shipment: Shipment) -> Shown:
        image = self._making.there(order)
        if image:
            return self._making.settled(order, image, "ec2:CopyImage")
        source, home = _source(order, shipment), home_of(target)
        if order.entrance.account != home.account:
            self._admission.admit(home, source, order.entrance.account)
        return self._making.copied(order, source, home.region)

    def _shared(self, target: Target, order: Order, shipment: Shipment) -> Placed:
        source, who = _source(order, shipment), target.where["account"]
        owner = home_of(target, order.entrance.region)
        shown = self._sight.available(owner, source, "ec2:DescribeImages")
        self._permissions.grant(owner, shown, who)
        if who not in self._permissions.granted(owner, source):
            reason = f"{who} is not among those who may launch {source}."
            raise PlacingFailed(target.key, "ec2:ModifyImageAttribute", reason)
        traits = {"shared-with": who}
        if self._may_enter(target):
            to_be_set = _pointers(order, places_of(target))
            shipment.on_made(Placed(external_id=source, traits=traits | to_be_set))
            traits |= self._finishing.point(order, places_of(target), shown)
        return Placed(external_id=source, traits=traits)

    def _placed(self, target: Target, order: Order, shown: Shown, on_made: OnMade) -> Placed:
        traits = {SNAPSHOT: ",".join(snapshots_of(shown)), **order.traits}
        if key := self._encrypted_with(order, shown):
            traits[KEY] = key
        places = places_of(target)
        is_used = is_destination(order.entrance, places)
        to_be_set = _pointers(order, places) if is_used else {}
        on_made(Placed(external_id=shown["ImageId"], traits=traits | to_be_set))
        if is_used:
            traits |= self._finishing.finish(order, places, shown)
        if places.export_bucket and target.where["kind"] == HOME:
            traits |= self._finishing.export(order, places.export_bucket, shown)
        return Placed(external_id=shown["ImageId"], traits=traits)

    def _encrypted_with(self, order: Order, shown: Shown) -> str:
        """Give the key of an AMI. Raises: PlacingFailed: it is another than the one ordered."""
        found = self._keys.of_snapshots(order.entrance, snapshots_of(shown))
        wanted = self._keys.wanted(order.entrance, order.key) if order.key else found
        if found != wanted:
            raise PlacingFailed(
                order.target,
                "ec2:DescribeSnapshots",
                f"{shown['ImageId']} is encrypted with {found or 'no key'}, not with {wanted}.",
                "A key is for good: withdraw the version there with --delete, then distribute it.",
            )
        return found

    def _owner(self, target: Target) -> Entrance:
        """Give the way to the account whose AMI a target is, or lets somebody use."""
        entrance = entrance_of(target)
        return (
            entrance if target.where["kind"] in {HOME, COPY} else home_of(target, entrance.region)
        )

    def _may_enter(self, target: Target) -> bool:
        if target.where["kind"] in {HOME, COPY}:
            return True
        return is_account(target.where["account"]) and bool(places_of(target).access.role)


def _pointers(order: Order, places: AwsPlaces) -> dict[str, str]:
    """Give what is going to point to an AMI."""
    found = {TEMPLATE: places.launch_template, PARAMETER: order.parameter}
    return {what: name for what, name in found.items() if name}


def _is_of_its_disk(before: Forerunner) -> bool:
    """Tell whether the AMI of the version before was made of its disk, and not by Packer."""
    return before.placement.traits.get(f"{TAG}{DISK}") == str(before.disk_digest)


def _gib(disk: PurePath) -> int:
    return -(-Path(disk).stat().st_size // GIB)


def _source(order: Order, shipment: Shipment) -> str:
    if shipment.source is None:
        reason = "It is told of no place where the version is already."
        raise PlacingFailed(order.target, "ec2:CopyImage", reason)
    return shipment.source.external_id
