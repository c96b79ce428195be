"""A LeaseStore in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.lease import Lease
from imagebuilder.ports.clock import Clock


@dataclass(slots=True)
class FakeLeaseStore:
    """Leases of one clock. Shape: `until` maps a name to the clock's second at which it ends."""

    clock: Clock
    held: dict[str, Lease] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)

    def take(
        self, name: str, holder: str, ttl_seconds: float, details: Mapping[str, Canonical]
    ) -> Lease | None:
        before = self.held.get(name)
        is_own = before is not None and before.holder == holder
        if before and not is_own and 0 < self._remaining(name) <= ttl_seconds + 1:
            return None
        token = before.token + (not is_own) if before else 1
        taken = Lease(
            name=name,
            holder=holder,
            token=token,
            remaining_seconds=ttl_seconds,
            details=details,
        )
        self.held[name] = taken
        self._lasts(name, ttl_seconds)
        return taken

    def renew(self, lease: Lease, ttl_seconds: float) -> bool:
        if self._is_held(lease):
            self._lasts(lease.name, ttl_seconds)
        return self._is_held(lease)

    def release(self, lease: Lease) -> None:
        self.renew(lease, 0.0)

    def leases(self, prefix: str) -> Sequence[Lease]:
        return [
            replace(self.held[name], remaining_seconds=self._remaining(name))
            for name in sorted(self.held)
            if name.startswith(prefix)
        ]

    def forget(self, lease: Lease) -> None:
        if self._is_held(lease) and self._remaining(lease.name) <= 0:
            del self.held[lease.name], self.until[lease.name]

    def _is_held(self, lease: Lease) -> bool:
        held = self.held.get(lease.name)
        return held is not None and (held.holder, held.token) == (lease.holder, lease.token)

    def _lasts(self, name: str, seconds: float) -> None:
        self.until[name] = self.clock.now().timestamp() + seconds

    def _remaining(self, name: str) -> float:
        return self.until[name] - self.clock.now().timestamp()
