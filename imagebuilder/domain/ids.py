"""Names and ids as distinct types, so that one is never passed for another."""

import re
from typing import NewType

RunId = NewType("RunId", str)
VersionId = NewType("VersionId", str)
ImageName = NewType("ImageName", str)
ChannelName = NewType("ChannelName", str)
ComponentName = NewType("ComponentName", str)
PipelineName = NewType("PipelineName", str)
DistributionName = NewType("DistributionName", str)
DistributionId = NewType("DistributionId", str)

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,126}$"
"""What images, components and pipelines may be called: safe as a file name and in a reference."""


CHANNEL_PATTERN = r"^[a-z][a-z0-9-]{1,62}$"
"""What channels may be called: no wildcard and no version looks like it."""


def is_channel_name(text: str) -> bool:
    """Whether text may name a channel."""
    return re.fullmatch(CHANNEL_PATTERN, text) is not None


def is_name(text: str) -> bool:
    """Whether text may name an image, a component or a pipeline."""
    return re.fullmatch(NAME_PATTERN, text) is not None
