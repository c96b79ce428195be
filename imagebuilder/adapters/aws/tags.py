"""Tags by which we know what is ours, at AWS."""

from collections.abc import Iterable, Mapping
from typing import Any

TOKEN = "imagebuilder:token"  # noqa: S105 - the name of a tag
"""Which delivery made it: what has it is not made again."""
VERSION_ID = "imagebuilder:version-id"
IMAGE = "imagebuilder:image"
VERSION = "imagebuilder:version"
DISK = "imagebuilder:disk-sha256"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Give tags as AWS takes them."""
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    """Give the tags of what was described."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def tagged(kinds: Iterable[str], tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give what sets tags on what a call makes, of these kinds."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)} for kind in kinds]


def found_by(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the filters that find what has all of the tags."""
    return [{"Name": f"tag:{name}", "Values": [value]} for name, value in tags.items()]
