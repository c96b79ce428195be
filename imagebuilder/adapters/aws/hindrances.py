"""What would keep a version from a target of AWS, found by asking and changing nothing."""

from collections.abc import Iterator, Sequence

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.advice import objection_to
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.entering import stranger
from imagebuilder.adapters.aws.expanding import COPY, SHARE
from imagebuilder.adapters.aws.images.keys import Keys, key_arn
from imagebuilder.adapters.aws.images.orders import entrance_of, home_of, places_of
from imagebuilder.adapters.aws.images.permissions import is_account
from imagebuilder.adapters.aws.images.pointers import Pointers
from imagebuilder.adapters.aws.images.sight import ImageSight
from imagebuilder.adapters.aws.tags import VERSION_ID, tags_of
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import AwsPlaces, Delivery, Target, filled

_AWS_KEPT = "AWS"


class Hindrances:
    """Looks at places before anything is brought there."""

    def __init__(self, calls: Calls) -> None:
        """Ask by calls."""
        self._calls = calls
        self._sight = ImageSight(calls)
        self._pointers = Pointers(calls)
        self._keys = Keys(calls)

    def of(
        self, target: Target, version: ImageVersion, takers: Sequence[Target]
    ) -> list[Objection]:
        """Give what speaks against bringing a version to a target. Raises: TargetUnavailable."""
        places, found = places_of(target), list[Objection]()
        if target.where["kind"] == SHARE:
            steps = [self._share(target, places)]
        else:
            entrance = entrance_of(target)
            is_source = any(taker.where["account"] != entrance.account for taker in takers)
            steps = [
                self._entered(entrance),
                self._region(entrance, places, is_source=is_source),
                self._key(target, entrance, places, is_source=is_source),
                self._name(target, entrance, version),
                self._template(entrance, places),
            ]
        for step in steps:
            try:
                found += step
            except CallRefused as refused:
                found.append(objection_to(refused))
            if found:
                break  # what follows would fail for the same reason
        return found

    def _entered(self, entrance: Entrance) -> Iterator[Objection]:
        if wrong := stranger(self._calls, entrance):
            yield wrong

    def _region(
        self, entrance: Entrance, places: AwsPlaces, *, is_source: bool
    ) -> Iterator[Objection]:
        is_encrypted = self._keys.is_default(entrance)
        if places.keys.get(entrance.region) or not is_encrypted:
            return
        if (
            is_source
            and self._keys.told(entrance, self._keys.default(entrance))["KeyManager"] == _AWS_KEPT
        ):
            yield Objection(
                reason=f"{entrance.key} encrypts all that is new with its default key (ec2:"
                "GetEbsEncryptionByDefault), and AWS lets nobody else use what that key encrypts.",
                remedy=f"Name a key of account {entrance.account} for {entrance.region} in keys, "
                "and let its policy admit the accounts that get the image.",
            )

    def _key(
        self, target: Target, entrance: Entrance, places: AwsPlaces, *, is_source: bool
    ) -> Iterator[Objection]:
        named = places.keys.get(entrance.region, "")
        if named:
            key = self._keys.told(entrance, named)
            if key["KeyState"] != "Enabled":
                yield Objection(
                    reason=f"{entrance.key}: key {named} is {key['KeyState']} (kms:DescribeKey).",
                    remedy="Enable the key, or name another one.",
                )
            if is_source and key["KeyManager"] == _AWS_KEPT:
                yield Objection(
                    reason=f"{entrance.key} has {named} from AWS (kms:DescribeKey), and AWS lets "
                    "nobody else use what it encrypts.",
                    remedy="Name a key of your own, which can be shared.",
                )
        home = home_of(target)
        home_key = places.keys.get(home.region, "")
        if target.where["kind"] == COPY and home_key and entrance.account != home.account:
            # The copying account reads the home's snapshot, so it needs the home's key too.
            at_home = Entrance(account=entrance.account, region=home.region, access=entrance.access)
            self._keys.told(at_home, key_arn(home_key, home))

    def _name(
        self, target: Target, entrance: Entrance, version: ImageVersion
    ) -> Iterator[Objection]:
        name = filled(places_of(target).ami_name, _words(version, entrance))
        named = self._sight.named(entrance, name)
        if named is not None and tags_of(named).get(VERSION_ID) != version.id:
            yield Objection(
                reason=f"{entrance.key} has an AMI named {name} already: {named['ImageId']} "
                f"(ec2:DescribeImages), which is not of {version.reference}.",
                remedy="Give another ami_name, or rename or deregister that AMI.",
            )

    def _template(self, entrance: Entrance, places: AwsPlaces) -> Iterator[Objection]:
        template = places.launch_template
        if not template or not is_destination(entrance, places):
            return
        if not self._pointers.default_version(entrance, template):
            yield Objection(
                reason=f"{entrance.key} has no launch template {template} "
                "(ec2:DescribeLaunchTemplates).",
                remedy="Make it there, or leave launch_template out.",
            )

    def _share(self, target: Target, places: AwsPlaces) -> Iterator[Objection]:
        who, region = target.where["account"], target.where["region"]
        if not is_account(who) or not places.access.role:
            return
        entrance = entrance_of(target)
        yield from self._entered(entrance)
        if named := places.keys.get(region, ""):
            self._keys.told(entrance, key_arn(named, home_of(target, region)))


def is_destination(entrance: Entrance, places: AwsPlaces) -> bool:
    """Tell whether an AMI is to be used in a place, or only waits there to be copied."""
    if entrance.region not in places.regions:
        return False
    match places.delivery:
        case Delivery.SHARE:
            return entrance.account == places.home.account
        case Delivery.COPY:
            is_audience = entrance.account in places.audience.accounts
            return is_audience or entrance.account != places.home.account


def _words(version: ImageVersion, entrance: Entrance) -> dict[str, str]:
    return {
        "image": version.image,
        "version": str(version.version.version),
        "build": str(version.version.build),
        "region": entrance.region,
        "account": entrance.account,
    }
