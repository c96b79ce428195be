"""Where a contract is held: a double, or a real account that somebody lets us use."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.aws_double import Double

LIVE_REGION: Final = "IMAGEBUILDER_TEST_AWS_REGION"
"""Names a region of a real account; its credentials are found as boto3 finds them."""


@dataclass(slots=True, kw_only=True)
class Place:
    """Clients of one account and region, and what was made with them."""

    ebs: Any
    ec2: Any
    snapshots: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

    def remember(self) -> None:
        """Note from now on what is made, so that it can be taken away."""
        for client, operation, name, made in (
            (self.ebs, "StartSnapshot", "SnapshotId", self.snapshots),
            (self.ec2, "RegisterImage", "ImageId", self.images),
        ):
            service = client.meta.service_model.service_id.hyphenize()

            def note(parsed: Any, name: str = name, made: list[str] = made, **_: Any) -> None:
                if name in parsed and parsed[name] not in made:
                    made.append(parsed[name])

            client.meta.events.register(f"after-call.{service}.{operation}", note)

    def clear(self) -> None:
        """Take away what was made, images first; what fails stops nothing else."""
        with ExitStack() as last_first:
            for snapshot in self.snapshots:
                last_first.callback(self.ec2.delete_snapshot, SnapshotId=snapshot)
            for image in self.images:
                last_first.callback(self.ec2.deregister_image, ImageId=image)


def at_double(double: Double) -> Place:
    """Give a place in a double, which is forgotten as a whole."""
    return Place(ebs=double.client("ebs"), ec2=double.client("ec2"))


@contextmanager
def at_aws() -> Iterator[Place]:
    """Give a place in a real account, and leave nothing behind there.

    Raises:
        KeyError: no region is named
    """
    session = boto3.session.Session(region_name=os.environ[LIVE_REGION])
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    place = Place(
        ebs=session.client("ebs", config=config), ec2=session.client("ec2", config=config)
    )
    place.remember()
    try:
        yield place
    finally:
        place.clear()
