"""RetentionStore: what retention asks of a catalogue, and the plans it made."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.retention import Subject
from imagebuilder.domain.retirement import RetentionPlan, Users


class RetentionStore(Protocol):
    """Knows how far versions went, and keeps plans. Durable: each call is one transaction."""

    def subjects(self, images: Collection[str] | None = None) -> Sequence[Subject]:
        """Give the versions that are not deleted, of all images or of some, by recording.

        Their lifecycle and their children are told; of labels, channels and placements nothing.
        """
        ...

    def images(self) -> Sequence[str]:
        """Give the names of all images."""
        ...

    def users(self) -> Users:
        """Give what the versions that are not deleted are made of."""
        ...

    def evidence(self) -> frozenset[Digest]:
        """Give the blobs of what tests and scans said and was signed, bills, and scans' content.

        Those of deleted versions too, and content that no scan was made with yet.
        """
        ...

    def reactivate(self, version_id: VersionId) -> None:
        """Let a version that is deprecated or disabled be active again; a deleted one stays so."""
        ...

    def unfreed(self) -> Sequence[VersionId]:
        """Give the deleted versions whose files nobody said to be gone, the last recorded first."""
        ...

    def set_freed(self, version_id: VersionId, at: datetime) -> None:
        """Keep that nothing is left of the files of a deleted version."""
        ...

    def add(self, plan: RetentionPlan) -> None:
        """Keep a plan."""
        ...

    def plan(self, plan_id: str) -> RetentionPlan:
        """Give the plan whose id is, or uniquely starts with, plan_id.

        Raises: RetentionPlanNotFound.
        """
        ...

    def plans(self, limit: int) -> Sequence[RetentionPlan]:
        """Give the plans made last, the newest first."""
        ...

    def set_applied(self, plan_id: str, at: datetime) -> None:
        """Keep that a plan is done."""
        ...
