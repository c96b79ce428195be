"""Tags of images and snapshots, each account's own; moto keeps those of all else."""

from collections.abc import Mapping
from typing import Any

from tests.aws_double import images, snapshot_calls
from tests.aws_double.listing import Values, checked_tags, filtered, paged
from tests.aws_double.operations import Answer, Asked, PassedOn, operation
from tests.aws_double.refusals import Refusal

_MOST = 50


def _tags(asked: Asked, resource: str) -> dict[str, str] | None:
    """Give the caller's tags of an image or snapshot; None if it is neither."""
    if resource.startswith("ami-"):
        return images.found(asked, resource).tags.setdefault(asked.account, {})
    if resource.startswith("snap-"):
        return snapshot_calls.found(asked, resource).tags.setdefault(asked.account, {})
    return None


def _split(asked: Asked) -> tuple[list[dict[str, str]], list[str]]:
    ours, others = [], []
    for resource in asked.parameters["Resources"]:
        tags = _tags(asked, resource)
        if tags is None:
            others.append(resource)
        else:
            ours.append(tags)
    return ours, others


@operation("ec2", "CreateTags")
def create_tags(asked: Asked) -> None:
    """Tag some resources, all or none."""
    ours, others = _split(asked)
    if not ours:
        raise PassedOn
    new = checked_tags(asked.parameters["Tags"])
    if any(len(tags | new) > _MOST for tags in ours):
        raise Refusal("TagLimitExceeded", f"More than {_MOST} tags on one resource.")
    for tags in ours:
        tags.update(new)
    if others:
        asked.moto().create_tags(others, new)


@operation("ec2", "DeleteTags")
def delete_tags(asked: Asked) -> None:
    """Take tags from some resources; one with a value only if it has that value."""
    ours, others = _split(asked)
    if not ours:
        raise PassedOn
    for tags in ours:
        for tag in asked.get("Tags") or [{"Key": key} for key in list(tags)]:
            if tag.get("Value") in {None, tags.get(tag["Key"])}:
                tags.pop(tag["Key"], None)
    if others:
        given = {tag["Key"]: tag.get("Value") for tag in asked.get("Tags") or []}
        asked.moto().delete_tags(others, given)


_FILTERS: Mapping[str, Values] = {
    "key": lambda it: [it["Key"]],
    "value": lambda it: [it["Value"]],
    "resource-id": lambda it: [it["ResourceId"]],
    "resource-type": lambda it: [it["ResourceType"]],
}


@operation("ec2", "DescribeTags")
def describe_tags(asked: Asked) -> Answer:
    """List the caller's tags."""
    listed: list[dict[str, Any]] = [
        {"ResourceId": item.id, "ResourceType": kind, "Key": key, "Value": value}
        for kind, items in (
            ("image", asked.world.images.by_id.values()),
            ("snapshot", asked.world.snapshots.by_id.values()),
        )
        for item in items
        if item.region == asked.region
        for key, value in item.tags.get(asked.account, {}).items()
    ]
    listed += [
        {
            "ResourceId": tag["resource_id"],
            "ResourceType": tag["resource_type"],
            "Key": tag["key"],
            "Value": tag["value"],
        }
        for tag in asked.moto().describe_tags()
    ]
    listed = filtered(asked, listed, _FILTERS, lambda it: {it["Key"]: it["Value"]})
    return paged(asked, "Tags", listed)
