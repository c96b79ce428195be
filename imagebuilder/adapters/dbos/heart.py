"""Heart: a process shows that it lives, and has the work of those that do not taken over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imagebuilder.adapters.dbos.internals import recover
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.lease import EXECUTOR_PREFIX, Lease, LeaseLost
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import Duty
from imagebuilder.ports.leases import LeaseStore
from imagebuilder.ports.locks import InProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartRate:
    """How often a process shows that it lives, and for how long that is believed."""

    ttl_seconds: float = 30.0
    beat_seconds: float = 5.0


class Heart:
    """Beats in a thread of its own."""

    def __init__(
        self,
        leases: LeaseStore,
        clock: Clock,
        rate: HeartRate,
        on_loss: Callable[[LeaseLost], None],
    ) -> None:
        """Renew by rate; on_loss is called once when others were told that this process is dead."""
        self._leases = leases
        self._clock = clock
        self._rate = rate
        self._on_loss = on_loss
        self._stopped = threading.Event()
        self._in_touch_since: float | None = None

    @contextmanager
    def beating(self, executor: str, duty: Duty, *, recovers: bool) -> Iterator[None]:
        """Hold the process's lease; with `recovers`, what others leave behind is taken over.

        Raises: StoreUnavailable; InProgress: another process has that name.
        """
        name = f"{EXECUTOR_PREFIX}{executor}"
        lease = self._leases.take(
            name,
            executor,
            self._rate.ttl_seconds,
            {"controls": duty.controls, "pools": dict(duty.pools)},
        )
        if lease is None:
            raise InProgress(name, executor)
        self._in_touch_since = self._clock.monotonic()
        thread = threading.Thread(
            target=self._beat, args=(lease, recovers), name="heart", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
            self._release(lease)

    def _release(self, lease: Lease) -> None:
        """Let others take over at once what was not ended."""
        try:
            self._leases.release(lease)
        except Unavailable:
            return  # then it runs out by itself

    def _beat(self, lease: Lease, recovers: bool) -> None:  # noqa: FBT001 - a thread's argument
        while not self._stopped.wait(self._rate.beat_seconds):
            try:
                is_ours = self._leases.renew(lease, self._rate.ttl_seconds)
                if is_ours:
                    self._sweep(recovers=recovers)
            except Unavailable:
                # After an outage all leases look expired: contact counts from the next beat.
                self._in_touch_since = None
                continue
            if not is_ours:
                self._on_loss(LeaseLost(lease.name, lease.holder))
                return
            if self._in_touch_since is None:
                self._in_touch_since = self._clock.monotonic()

    def _sweep(self, *, recovers: bool) -> None:
        """Forget dead processes, and have their runs begun again where they were."""
        since = self._in_touch_since
        if since is None or self._clock.monotonic() - since < self._rate.ttl_seconds:
            return
        dead = [lease for lease in self._leases.leases(EXECUTOR_PREFIX) if lease.is_expired]
        if not dead:
            return
        if recovers:
            recover([lease.name.removeprefix(EXECUTOR_PREFIX) for lease in dead])
        # Only afterwards: who is killed in between leaves them to be found again.
        for lease in dead:
            self._leases.forget(lease)
