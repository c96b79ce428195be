"""The desk of distributing: where all that is needed lies, and how changes are kept."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from imagebuilder.domain.audit import Act, AuditAction
from imagebuilder.domain.distribution import (
    DeliveryState,
    DeliveryStep,
    Distribution,
    Placement,
    audit_entry,
)
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.target import TargetKind, TargetKindUnsupported, TargetSpec
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.disks import DiskBuilder
from imagebuilder.ports.distributions import DistributionStore
from imagebuilder.ports.locks import Locks
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.scratch import ScratchFolders
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.targets import Carrier
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.distributing.reading import DistributionReading
from imagebuilder.services.gating import Gating

AT_ONCE = 16
"""So many targets are spoken to at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a target that does not answer is tried; each wait is twice the one before."""

    attempts: int = 4
    wait_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """Where what is carried is kept.

    `bundle` gives what was signed of a version, empty when nothing was.
    """

    disks: Callable[[], DiskBuilder]
    blobs: BlobStore
    bundle: Callable[[VersionId], bytes]
    scratch: ScratchFolders


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionBooks:
    """Where versions, their placements and distributions are kept, and who is told of changes."""

    versions: VersionStore
    standings: StandingStore
    placements: PlacementStore
    distributions: DistributionStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionDesk:
    """All that distributing works with."""

    books: DistributionBooks
    gating: Gating
    locks: Locks
    reading: DistributionReading
    carriers: Mapping[TargetKind, Carrier]
    warehouse: Warehouse
    actor: str
    patience: Patience = field(default_factory=Patience)

    def carrier(self, spec: TargetSpec) -> Carrier:
        """Give the carrier of an entry's kind. Raises: TargetKindUnsupported."""
        if spec.kind not in self.carriers:
            raise TargetKindUnsupported(spec.kind, tuple(self.carriers))
        return self.carriers[spec.kind]

    def distributions(self, ids: Collection[VersionId]) -> Sequence[Distribution]:
        """Give the distributions of versions; what somebody said is gone is withdrawn in them."""
        placements = self.books.placements.of(ids)
        gone = {(p.target, p.external_id) for p in placements if p.withdrawn is not None}

        def known(step: DeliveryStep) -> DeliveryStep:
            is_gone = step.state is DeliveryState.DONE and (step.target, step.external_id) in gone
            return replace(step, state=DeliveryState.WITHDRAWN) if is_gone else step

        kept = self.books.distributions.of(ids)
        return [replace(each, steps=tuple(map(known, each.steps))) for each in kept]

    def now(self) -> datetime:
        """Give the moment."""
        return self.books.clock.now()

    def act(self, why: str = "") -> Act:
        """Give what is done now, in the name of whom it is done for."""
        return Act(actor=self.actor, at=self.now(), why=why)

    def tell(
        self, action: AuditAction, act: Act, before: Placement | None, after: Placement
    ) -> None:
        """Keep in the audit what became of a placement."""
        self.books.audit.add(audit_entry(action, act, before, after))
