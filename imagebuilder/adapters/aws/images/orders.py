"""Orders: an AMI as it is to be in a region of an account."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.tags import DISK, IMAGE, TOKEN, VERSION, VERSION_ID
from imagebuilder.domain.target import AwsPlaces, Target, filled
from imagebuilder.ports.targets import Placed, Shipment

TAG = "tag:"
_NAMESPACE = uuid.UUID("0b0f6ad4-5a5e-4e53-8f6e-3c1d0a7b6a55")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An AMI as it is to be. `target` is what errors name; `key` is empty where none is asked.

    `made` is told the id of the AMI as soon as it has one.
    """

    target: str
    entrance: Entrance
    name: str
    description: str
    tags: Mapping[str, str]
    token: str
    made: Callable[[str], None]
    key: str = ""
    parameter: str = ""

    @property
    def traits(self) -> Mapping[str, str]:
        """What a placement keeps of it: what withdrawing asks an AMI for, so that it is ours."""
        return {"name": self.name, **{f"{TAG}{name}": value for name, value in self.tags.items()}}

    def token_for(self, what: str) -> str:
        """Give the token of a call, the same whenever it is made for this order."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.token}/{what}"))


def places_of(target: Target) -> AwsPlaces:
    """Give where an entry says its versions go. Raises: TypeError: it is no entry of AWS."""
    place = target.spec.place
    if not isinstance(place, AwsPlaces):
        raise TypeError(f"{target.key} is no place of AWS")
    return place


def entrance_of(target: Target) -> Entrance:
    """Give the way to a target's region of an account."""
    places, account = places_of(target), target.where["account"]
    access = places.home.access if account == places.home.account else places.access
    return Entrance(account=account, region=target.where["region"], access=access)


def home_of(target: Target, region: str = "") -> Entrance:
    """Give the way to the home of a target's entry, or to another region of its account."""
    home = places_of(target).home
    return Entrance(account=home.account, region=region or home.region, access=home.access)


def order_of(target: Target, shipment: Shipment) -> Order:
    """Give what a shipment is to become at a target. Raises: TemplateMalformed."""
    places, entrance = places_of(target), entrance_of(target)
    version = shipment.version
    words = {**shipment.words, "region": entrance.region, "account": entrance.account}
    tags = {name: filled(value, words) for name, value in places.tags.items()}
    ours = {
        TOKEN: shipment.token,
        VERSION_ID: version.id,
        IMAGE: version.image,
        VERSION: str(version.version),
    }
    if not shipment.there:  # what Packer made there is of a disk that we never saw
        ours[DISK] = str(version.disk_digest)
    order = Order(
        target=target.key,
        entrance=entrance,
        name=filled(places.ami_name, words),
        description=f"imagebuilder {version.reference}",
        tags={**tags, **ours},
        token=shipment.token,
        made=lambda image: shipment.on_made(Placed(external_id=image, traits=order.traits)),
        key=places.keys.get(entrance.region, ""),
        parameter=filled(places.parameter, words),
    )
    return order
