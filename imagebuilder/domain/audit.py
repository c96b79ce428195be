"""Audit: who changed what in the catalogue, when and why; every entry is kept for ever."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.digest import Canonical


class AuditAction(StrEnum):
    """What was done to a subject."""

    VERSION_RECORDED = "version-recorded"
    VERSION_COPIED = "version-copied"
    VERSION_ATTESTED = "version-attested"
    KEY_ENDED = "key-ended"
    CHANNEL_MOVED = "channel-moved"
    CHANNEL_GATED = "channel-gated"
    VERSION_REVOKED = "version-revoked"
    VERSION_RESTORED = "version-restored"
    LIFECYCLE_CHANGED = "lifecycle-changed"
    LABELS_CHANGED = "labels-changed"
    DESCRIPTION_CHANGED = "description-changed"
    PLACEMENT_ADDED = "placement-added"
    PLACEMENT_CHANGED = "placement-changed"
    PLACEMENT_WITHDRAWN = "placement-withdrawn"
    DISTRIBUTION_BEGUN = "distribution-begun"
    RETENTION_PLANNED = "retention-planned"
    RETENTION_APPLIED = "retention-applied"
    PIPELINE_APPLIED = "pipeline-applied"
    PIPELINE_REMOVED = "pipeline-removed"
    PIPELINE_PAUSED = "pipeline-paused"
    PIPELINE_RESUMED = "pipeline-resumed"
    CATALOGUE_RESTORED = "catalogue-restored"
    CATALOGUE_COPIED = "catalogue-copied"
    RUN_CANCELLED = "run-cancelled"
    RUN_APPROVED = "run-approved"
    RUN_REJECTED = "run-rejected"
    RUN_RETRIED = "run-retried"
    WAIVER_ADDED = "waiver-added"
    WAIVER_REVOKED = "waiver-revoked"
    CONTENT_ADDED = "content-added"
    CONTENT_REMOVED = "content-removed"


_NAMELESS = "uid "
"""What a person is called whose name the machine does not know begins so."""


def is_named(actor: str) -> bool:
    """Whether it is known who somebody is."""
    return bool(actor.strip()) and not actor.startswith(_NAMELESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody's doing: who, when, and the reason they gave."""

    actor: str
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `subject` is what people name: web@1.2.0/3, web@stable, web, a run.

    Shape: `before` and `after` hold what changed of the subject, None where there was nothing.
    """

    act: Act
    action: AuditAction
    subject: str
    before: Canonical = None
    after: Canonical = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries are asked for; what is None or empty asks for all."""

    subject: str = ""
    action: AuditAction | None = None
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    offset: int = 0
