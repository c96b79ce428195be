"""What of an account points to an image: its instances, launch templates and parameters."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.aws_double.images import found
from tests.aws_double.listing import paged
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal

Reference = tuple[str, str]
"""What names an image, by ARN, and the image."""


def _instances(asked: Asked) -> Iterator[Reference]:
    for reservation in asked.moto("ec2").reservations.values():
        for instance in reservation.instances:
            if instance.state != "terminated":
                yield f"{_ec2(asked)}:instance/{instance.id}", str(instance.image_id)


def _templates(asked: Asked) -> Iterator[Reference]:
    for template in asked.moto("ec2").launch_templates.values():
        for version in template.versions:
            yield f"{_ec2(asked)}:launch-template/{template.id}", str(version.image_id)


def _parameters(asked: Asked) -> Iterator[Reference]:
    place = f"arn:aws:ssm:{asked.region}:{asked.account}:parameter"
    for parameter in asked.moto("ssm").describe_parameters([], []):
        yield f"{place}/{parameter.name.lstrip('/')}", str(parameter.value)


def _ec2(asked: Asked) -> str:
    return f"arn:aws:ec2:{asked.region}:{asked.account}"


_KINDS: Final[Mapping[str, Callable[[Asked], Iterator[Reference]]]] = {
    "ec2:Instance": _instances,
    "ec2:LaunchTemplate": _templates,
    "ssm:Parameter": _parameters,
}


@operation("ec2", "DescribeImageReferences")
def describe_image_references(asked: Asked) -> Answer:
    """List what of the caller's own points to some images."""
    asked_for = [one["ResourceType"] for one in asked.get("ResourceTypes") or []]
    if not asked_for and not asked.get("IncludeAllResourceTypes"):
        said = "Either IncludeAllResourceTypes or ResourceTypes must be given."
        raise Refusal("MissingParameter", said)
    wanted = {found(asked, image_id).id for image_id in asked.parameters["ImageIds"]}
    listed: list[dict[str, Any]] = [
        {"ImageId": image, "ResourceType": kind, "Arn": arn}
        for kind, references in _KINDS.items()
        if asked.get("IncludeAllResourceTypes") or kind in asked_for
        for arn, image in sorted(set(references(asked)))
        if image in wanted
    ]
    return paged(asked, "ImageReferences", listed)
