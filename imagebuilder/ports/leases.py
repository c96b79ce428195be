"""LeaseStore: who holds which right, by one clock for all processes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.lease import Lease


class LeaseStore(Protocol):
    """Keeps leases. Durable; every call is one transaction, and time is the store's own."""

    def take(
        self, name: str, holder: str, ttl_seconds: float, details: Mapping[str, Canonical]
    ) -> Lease | None:
        """Take or renew a lease for so long; None when another holds it.

        Its token stays while the holder does, and is higher with each new one.
        """
        ...

    def renew(self, lease: Lease, ttl_seconds: float) -> bool:
        """Make a lease last longer; False when it is somebody else's, or gone."""
        ...

    def release(self, lease: Lease) -> None:
        """End a lease at once, so that others need not wait; of another's token nothing happens."""
        ...

    def leases(self, prefix: str) -> Sequence[Lease]:
        """Give the leases whose names start so, by name, expired ones too."""
        ...

    def forget(self, lease: Lease) -> None:
        """Take an expired lease off the list, unless it was renewed or taken meanwhile."""
        ...
