"""Publish: whoever follows an image is told of its new versions, and of what its channels mean."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from imagebuilder.domain.cascade import Publication

Publish: TypeAlias = Callable[[Publication, datetime], object]
"""Sees to what follows from a publication, in the caller's transaction. Told twice of one moment,
it does so once."""


def unfollowed(publication: Publication, at: datetime) -> None:
    """Do nothing: nobody follows."""
    del publication, at
