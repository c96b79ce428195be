"""All that a double knows besides what moto knows."""

import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.aws_double.accounts import Accounts
from tests.aws_double.block_spool import BlockSpool
from tests.aws_double.calls import CallLog
from tests.aws_double.faults import Faults
from tests.aws_double.images import Images
from tests.aws_double.resource_shares import Share
from tests.aws_double.snapshots import Snapshots


class Clock:
    """The time of the double, which a test may let run ahead."""

    def __init__(self) -> None:
        """Begin with the time of the machine."""
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Give the time."""
        return datetime.now(UTC) + self._ahead

    def advance(self, **spans: float) -> None:
        """Let time pass, in the words of timedelta."""
        self._ahead += timedelta(**spans)


@dataclass(slots=True, kw_only=True)
class Refresh:
    """One refresh of the instances of a group."""

    id: str
    group: str
    began_at: datetime
    instances: int
    preferences: dict[str, Any]
    desired: dict[str, Any] | None
    status: str = "Pending"
    reason: str = ""
    percent: int = 0
    ended_at: datetime | None = None
    waits_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Quotas:
    """How much an account may have in a region."""

    images: int = 50000
    pending_snapshots: int = 100
    concurrent_copies: int = 20


@dataclass(slots=True, kw_only=True)
class World:
    """What the handlers share; changed under its lock."""

    spool: BlockSpool
    accounts: Accounts = field(default_factory=Accounts)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    log: CallLog = field(default_factory=CallLog)
    lock: threading.RLock = field(default_factory=threading.RLock)
    snapshots: Snapshots = field(default_factory=Snapshots)
    images: Images = field(default_factory=Images)
    quotas: Quotas = field(default_factory=Quotas)
    template_tokens: dict[tuple[str, str, str], tuple[int, object]] = field(default_factory=dict)
    refreshes: dict[tuple[str, str, str], list[Refresh]] = field(default_factory=dict)
    failing_images: set[str] = field(default_factory=set)
    """Images whose instances never become healthy."""
    shares: list[Share] = field(default_factory=list)
    encrypts_by_default: set[tuple[str, str]] = field(default_factory=set)
    store_tasks: list[dict[str, Any]] = field(default_factory=list)


def new_world(folder: Path) -> World:
    """Give a world where nothing is yet; blocks are kept in a file in the folder."""
    return World(spool=BlockSpool(folder / "blocks"))


def new_id(prefix: str) -> str:
    """Give an id as AWS makes them."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"
