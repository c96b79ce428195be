"""The double of AWS as the adapters meet it, and disks to bring there."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3

from imagebuilder.adapters.aws.accounts import Accounts, Entrance
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.target import Access, Audience, AwsHome, AwsPlaces, Target, TargetSpec
from imagebuilder.ports.disks import BLOCK_BYTES
from imagebuilder.ports.targets import Forerunner, Shipment
from tests.aws_double import Double
from tests.aws_double.accounts import admin_key
from tests.aws_double.organization import join
from tests.aws_double.serving import HOME, REGION, SECRET
from tests.build import SOME_DAY, a_version
from tests.fakes.clock import FakeClock

SECRETS = {"env:EXTERNAL_ID": b"a-secret"}
ROLE = "golden-distribute"
AT_HOME = Entrance(account=HOME, region=REGION)


def no_pause(seconds: float) -> None:
    """Let time be short."""


class QuickClock(FakeClock):
    """Time that moves on when somebody pauses, and only then."""

    def pause(self, seconds: float) -> None:
        """Be later at once."""
        self.advance(seconds)


@contextmanager
def environment_at(endpoint: str, account: str = HOME) -> Iterator[None]:
    """Be whoever has an account of the double at an endpoint, within."""
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": admin_key(account),
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
    }
    with mock.patch.dict(os.environ, variables):
        yield


def calls_to(double: Double, clock: QuickClock | None = None) -> Calls:
    """Give calls to a double, which lose no time by pauses."""
    if clock is None:
        return _quick_calls(double.endpoint)
    return Calls(Accounts(SECRETS.__getitem__, endpoint=double.endpoint), clock, pause=clock.pause)


@lru_cache(maxsize=1)
def _quick_calls(endpoint: str) -> Calls:
    accounts = Accounts(SECRETS.__getitem__, endpoint=endpoint)
    return Calls(accounts, SystemClock(), pause=no_pause)


def a_disk(path: Path, blocks: Mapping[int, bytes], size_bytes: int = 64 * BLOCK_BYTES) -> Path:
    """Give a sparse raw disk; blocks that are not given are holes."""
    with path.open("wb") as file:
        for index, content in blocks.items():
            file.seek(index * BLOCK_BYTES)
            file.write(content)
        file.truncate(size_bytes)
    return path


def a_role_of(double: Double, account: str) -> None:
    """Let an account have a role that trusts home, when it says the secret."""
    a_role_at(double.endpoint, account)


def a_role_at(endpoint: str, account: str) -> None:
    """Let an account have such a role, of the double at an endpoint."""
    secret = SECRETS["env:EXTERNAL_ID"].decode()
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"},
                "Action": ["sts:AssumeRole"],
                "Condition": {"StringEquals": {"sts:ExternalId": secret}},
            }
        ],
    }
    keys = {"aws_access_key_id": admin_key(account), "aws_secret_access_key": SECRET}
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=REGION, **keys)
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))


def a_key_of(double: Double, account: str, region: str, *others: str) -> str:
    """Give a key that its account and some others may use."""
    named = [f"arn:aws:iam::{one}:root" for one in (account, *others)]
    allow = {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    made = double.client("kms", account, region).create_key(Policy=policy)
    return str(made["KeyMetadata"]["Arn"])


def a_unit_of(double: Double, *accounts: str) -> Mapping[str, str]:
    """Give a unit of home's new organization, with some accounts in it. Shape: its Id and Arn."""
    organizations = double.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    made = organizations.create_organizational_unit(ParentId=root, Name="web")
    unit: Mapping[str, str] = made["OrganizationalUnit"]
    for account in accounts:
        join(HOME, account, unit["Id"])
    return unit


def launch(double: Double, account: str, region: str, image: str) -> str:
    """Let an account run a machine of an AMI, and give the machine's id."""
    ec2 = double.client("ec2", account, region)
    started = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")
    return str(started["Instances"][0]["InstanceId"])


def launchable(double: Double, account: str, region: str) -> list[str]:
    """Give the AMIs that an account is shown as ones it may launch in a region."""
    listed = double.client("ec2", account, region).describe_images()["Images"]
    return [image["ImageId"] for image in listed if image["State"] == "available"]


def snapshot_blocks(double: Double, snapshot: str) -> Iterator[tuple[int, bytes]]:
    """Give index and content of each block that a snapshot of home's lists, as AWS hands it out."""
    ebs = double.client("ebs")
    token: dict[str, str] = {}
    while True:
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot, **token)
        for entry in page["Blocks"]:
            read = ebs.get_snapshot_block(SnapshotId=snapshot, **entry)
            yield entry["BlockIndex"], read["BlockData"].read()
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def aws_places(*accounts: str, regions: tuple[str, ...] = (REGION,), **more: Any) -> AwsPlaces:
    """Give places in accounts that are entered by the role, with home as home."""
    values: dict[str, Any] = {
        "home": AwsHome(account=HOME, region=REGION),
        "audience": Audience(accounts=accounts),
        "regions": regions,
        "access": Access(role=ROLE, external_id="env:EXTERNAL_ID"),
    }
    return AwsPlaces(**(values | more))


@dataclass
class Route:
    """A version on its way to the places of one entry, without any book of it.

    Shape: `placed` maps a target's key to its placement. `order` tells deliveries of a version to
    a target apart.
    """

    carrier: AwsCarrier
    places: AwsPlaces
    disk: Path
    scratch: Path
    version: ImageVersion = field(default_factory=a_version)
    forerunner: Forerunner | None = None
    placed: dict[str, Placement] = field(default_factory=dict)
    order: str = ""

    @property
    def targets(self) -> Sequence[Target]:
        """All targets, in order."""
        return self.carrier.targets(TargetSpec(name="ours", place=self.places))

    def target(self, key: str) -> Target:
        """One of them."""
        return next(target for target in self.targets if target.key == key)

    def place(self, target: Target) -> Placement:
        """Bring the version to a target."""
        placed = self.carrier.place(target, self.shipment(target), lambda _: None)
        self.placed[target.key] = Placement(
            version_id=self.version.id,
            target=target.key,
            external_id=placed.external_id,
            placed=Act(actor="eva", at=SOME_DAY, why=""),
            traits=placed.traits,
        )
        return self.placed[target.key]

    def place_all(self) -> Mapping[str, str]:
        """Bring it everywhere, and give what it is called by target."""
        return {target.key: self.place(target).external_id for target in self.targets}

    def shipment(self, target: Target) -> Shipment:
        """What is brought to a target."""
        return Shipment(
            version=self.version,
            words={"image": self.version.image, "version": "1.2.0", "build": "1"},
            disk=lambda: nullcontext(self.disk),
            file=lambda _: self.disk,
            token=Digest.of_bytes(f"{self.version.id}{target.key}{self.order}".encode()).hex[:32],
            scratch=self.scratch / target.key.replace("/", "-"),
            source=self.placed.get(target.after or ""),
            forerunner=self.forerunner if target.after is None else None,
        )
