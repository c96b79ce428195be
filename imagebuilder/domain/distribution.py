"""Placement: one version at one target, under the id it has there."""

from dataclasses import dataclass
from datetime import datetime

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a version was put: the account and region, the registry, the host.

    `external_id` is what it is called there (ami-0abc...). Invariant: unique with its target.
    `launched_at` is when it was last seen in use; `withdrawn` is set once it is gone from there.
    """

    version_id: VersionId
    target: str
    external_id: str
    placed: Act
    launched_at: datetime | None = None
    withdrawn: Act | None = None
