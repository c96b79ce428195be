"""Images, who sees them, and when they are there."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from tests.aws_double.operations import Asked
from tests.aws_double.organization import is_within
from tests.aws_double.refusals import Refusal

_IMAGE_ID: Final = re.compile(r"ami-[0-9a-f]{8}([0-9a-f]{9})?")
_NAME: Final = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")

Permission = tuple[Literal["UserId", "Group", "OrganizationArn", "OrganizationalUnitArn"], str]
PUBLIC: Final[Permission] = ("Group", "all")


@dataclass(slots=True, kw_only=True)
class Image:
    """One image: what it was made with, and what became of it."""

    id: str
    account: str
    region: str
    name: str
    made_at: datetime
    mappings: list[dict[str, Any]]
    attributes: dict[str, Any] = field(default_factory=dict)
    """As DescribeImages tells them: Architecture, BootMode, TpmSupport, SourceImageId ..."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """By account: others may tag what they see, for themselves."""
    state: Literal["pending", "available", "failed", "disabled"] = "pending"
    reason: str = ""
    permissions: set[Permission] = field(default_factory=set)
    deprecated_at: datetime | None = None
    protection: str = "disabled"
    protected_until: datetime | None = None
    looks_left: int = 0
    hidden_calls: int = 0
    will_fail: str = ""

    @property
    def is_public(self) -> bool:
        """Tell whether everybody may launch it."""
        return PUBLIC in self.permissions

    @property
    def snapshots(self) -> list[str]:
        """Give the ids of its snapshots, in the order of its devices."""
        found = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in self.mappings)
        return [snapshot for snapshot in found if snapshot]

    def may_be_launched_by(self, account: str, *, is_explicit: bool = False) -> bool:
        """Tell whether an account owns it or has it shared; explicit: by name or organization."""
        if not is_explicit and (account == self.account or self.is_public):
            return True
        return any(
            (kind == "UserId" and named == account)
            or (kind.startswith("Organization") and is_within(account, named))
            for kind, named in self.permissions
        )


class Images:
    """All images of all accounts; each is seen pending once before it is available."""

    def __init__(self) -> None:
        """There are none."""
        self.by_id: dict[str, Image] = {}
        self.deregistered: dict[str, str] = {}
        self.tokens: dict[tuple[str, str, str], tuple[str, object]] = {}
        self.pending_looks = 1
        self.blocks_public: set[tuple[str, str]] = set()

    def of(self, account: str, region: str) -> list[Image]:
        """Give the images of an account in a region."""
        return [it for it in self.by_id.values() if (it.account, it.region) == (account, region)]

    def seen(self, account: str, region: str) -> list[Image]:
        """Give all that an account sees in a region."""
        return [
            image
            for image in self.by_id.values()
            if image.region == region and image.may_be_launched_by(account)
        ]

    def using(self, snapshot: str) -> list[Image]:
        """Give the images that a snapshot is of."""
        return [image for image in self.by_id.values() if snapshot in image.snapshots]


def look(asked: Asked, image: Image) -> None:
    """Let an image, and its snapshots before it, be nearer to being there: somebody asked."""
    if image.state != "pending":
        return
    image.looks_left -= 1
    if image.looks_left >= 0:
        return
    image.state = "failed" if image.will_fail else "available"
    image.reason = image.will_fail
    for named in image.snapshots:
        snapshot = asked.world.snapshots.by_id.get(named)
        if snapshot and snapshot.state == "pending":
            snapshot.state = "error" if snapshot.will_fail else "completed"


def keep(asked: Asked, image: Image) -> None:
    """Let there be one more image."""
    asked.world.images.by_id[image.id] = image
    if not image.looks_left:
        look(asked, image)


def not_found(image_id: str) -> Refusal:
    """Give what is said of an image that the caller does not see."""
    return Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")


def found(asked: Asked, image_id: str, region: str | None = None) -> Image:
    """Give an image that the caller sees.

    Raises:
        Refusal: it is no id, or of no image that the caller sees
    """
    if not _IMAGE_ID.fullmatch(image_id):
        raise Refusal("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    images = asked.world.images
    if images.deregistered.get(image_id) == asked.account:
        said = f"The image ID '{image_id}' is no longer available"
        raise Refusal("InvalidAMIID.Unavailable", said)
    image = images.by_id.get(image_id)
    if image is None or image.region != (region or asked.region):
        raise not_found(image_id)
    if image.hidden_calls > 0:
        image.hidden_calls -= 1
        raise not_found(image_id)
    if not image.may_be_launched_by(asked.account):
        raise not_found(image_id)
    return image


def owned(asked: Asked, image_id: str, *states: str) -> Image:
    """Give an image of the caller's own, in one of some states if any are named.

    Raises:
        Refusal: there is none, it is somebody else's, or it is not in such a state
    """
    image = found(asked, image_id)
    if image.account != asked.account:
        raise Refusal("AuthFailure", f"Not authorized for image:{image_id}", status=403)
    if states and image.state not in states:
        said = f"The image ID '{image_id}' is {image.state}"
        raise Refusal("InvalidAMIID.Unavailable", said)
    return image


def check_name(asked: Asked, name: str) -> None:
    """Hold the name of a new image to what names may be, and to be a new one.

    Raises:
        Refusal: it may not be one, another image has it, or there are too many images
    """
    if not _NAME.fullmatch(name):
        said = (
            "AMI names must be between 3 and 128 characters long, and may contain letters, "
            "numbers, '(', ')', '.', '-', '/' and '_'"
        )
        raise Refusal("InvalidAMIName.Malformed", said)
    others = asked.world.images.of(asked.account, asked.region)
    for other in others:
        if other.name == name:
            said = f"AMI name {name} is already in use by AMI {other.id}"
            raise Refusal("InvalidAMIName.Duplicate", said)
    if len(others) >= asked.world.quotas.images:
        said = f"You have reached your quota of {asked.world.quotas.images} AMIs for this Region."
        raise Refusal("ResourceLimitExceeded", said)
