"""Snapshots, who sees them, and when they are done."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

EVERYBODY = "all"


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """One snapshot: its own blocks, and with those of its parents once it is completed."""

    id: str
    account: str
    region: str
    size_gib: int
    started_at: datetime
    lineage: str
    """The first of its parents: snapshots of one lineage can be compared."""
    description: str = ""
    parent: str | None = None
    key: str | None = None
    """The key that it is encrypted with, by its ARN."""
    volume: str = "vol-ffffffff"
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """By account: others may tag what they see, for themselves."""
    state: Literal["pending", "completed", "error"] = "pending"
    blocks: dict[int, bytes] = field(default_factory=dict)
    full: dict[int, bytes] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    hidden_calls: int = 0
    looks_left: int = 0
    idle_limit: timedelta = timedelta(minutes=60)
    touched_at: datetime | None = None
    is_sealed: bool = False
    """Whether no more blocks are taken, though it may be pending still."""
    is_copy: bool = False
    will_fail: str = ""

    def is_seen_by(self, account: str) -> bool:
        """Tell whether an account may make volumes of it."""
        return account == self.account or bool({account, EVERYBODY} & self.shared)

    def look(self) -> None:
        """Let it be nearer to its end, now that somebody asked."""
        if self.state == "pending" and self.is_sealed:
            if self.looks_left <= 0:
                self.state = "error" if self.will_fail else "completed"
            self.looks_left -= 1


class Snapshots:
    """All snapshots of all accounts."""

    def __init__(self) -> None:
        """There are none; each is seen pending once before it is completed."""
        self.by_id: dict[str, Snapshot] = {}
        self.tokens: dict[tuple[str, str, str], tuple[Snapshot, object]] = {}
        self.pending_looks = 1

    def add(self, snapshot: Snapshot) -> Snapshot:
        """Keep one more."""
        self.by_id[snapshot.id] = snapshot
        return snapshot

    def seen(self, snapshot_id: str, account: str, region: str) -> Snapshot | None:
        """Give a snapshot if the account sees it there."""
        found = self.by_id.get(snapshot_id)
        if found is None or found.region != region or not found.is_seen_by(account):
            return None
        return found

    def every(self, region: str) -> list[Snapshot]:
        """Give those of a region."""
        return [snapshot for snapshot in self.by_id.values() if snapshot.region == region]
