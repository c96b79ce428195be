"""Leading: of all processes that could, one looks at the clock and hands out work.

The lease only saves work: what is done under it is safe when two do it at once for a moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Thread

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.lease import SCHEDULER_LEASE, Lease
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.engine import Presence
from imagebuilder.ports.leases import LeaseStore

_TTL_SECONDS = 15.0
_RENEW_SECONDS = 5.0
_ASK_SECONDS = 1.0
_TICK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something the leader does every so often; `begin` and `cease` go with its being leader.

    What is slow is done beside the others, and not again before it ended.
    """

    name: str
    every_seconds: float
    do: Callable[[], object]
    begin: Callable[[], object] = lambda: None
    cease: Callable[[], object] = lambda: None
    is_slow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchword:
    """Who this process is, and whether it is to do anything any more.

    `on_trouble` is told when a chore could not be done because something does not answer.
    """

    holder: str
    presence: Presence
    on_trouble: Callable[[str, Unavailable], None]
    ttl_seconds: float = _TTL_SECONDS


@dataclass(slots=True)
class _Term:
    """A time of being leader."""

    lease: Lease
    renewed: float
    done: dict[str, float] = field(default_factory=dict)


class Leading:
    """Does the chores of the leader whenever this process is it."""

    def __init__(
        self, leases: LeaseStore, clock: Clock, chores: Sequence[Chore], watchword: Watchword
    ) -> None:
        """Stand for leader by `leases`; measure time with clock."""
        self._leases = leases
        self._clock = clock
        self._chores = chores
        self._who = watchword
        self._term: _Term | None = None
        self._asked: float | None = None
        self._beside: dict[str, Thread] = {}

    @property
    def is_leader(self) -> bool:
        """Whether this process is the leader, as far as it knows."""
        return self._term is not None

    def attend(self) -> None:
        """Lead, or wait to, until this process is to leave; the lease is free afterwards."""
        try:
            while self._who.presence.is_staying:
                self.tick()
                self._who.presence.wait(_TICK_SECONDS)
        finally:
            self._cease(gives_back=True)

    def tick(self) -> None:
        """Do what is due now."""
        try:
            self._stand()
        except Unavailable as trouble:
            self._who.on_trouble("lease", trouble)
            if self._has_run_out():
                self._cease(gives_back=False)
        term = self._term
        if term is None:
            return
        for chore in self._chores:
            now = self._clock.monotonic()
            if now - term.done.get(chore.name, float("-inf")) < chore.every_seconds:
                continue
            term.done[chore.name] = now
            if chore.is_slow:
                self._attempt_beside(chore)
            else:
                self._attempt(chore)

    def _attempt_beside(self, chore: Chore) -> None:
        thread = self._beside.get(chore.name)
        if thread is None or not thread.is_alive():
            thread = Thread(target=self._attempt, args=(chore,), name=chore.name, daemon=True)
            self._beside[chore.name] = thread
            thread.start()

    def _attempt(self, chore: Chore) -> None:
        try:
            chore.do()
        except Unavailable as trouble:
            # It is done again when it is due again; whoever looks at the log knows why not now.
            self._who.on_trouble(chore.name, trouble)

    def _stand(self) -> None:
        """Become leader, or stay it, or see that another is."""
        now = self._clock.monotonic()
        term = self._term
        if term is not None:
            if now - term.renewed < min(_RENEW_SECONDS, self._who.ttl_seconds / 3):
                return
            if self._leases.renew(term.lease, self._who.ttl_seconds):
                term.renewed = now
                return
            self._cease(gives_back=False)
        elif self._asked is not None and now - self._asked < _ASK_SECONDS:
            return
        self._asked = now
        lease = self._leases.take(SCHEDULER_LEASE, self._who.holder, self._who.ttl_seconds, {})
        if lease is not None:
            self._term = _Term(lease, now)
            for chore in self._chores:
                chore.begin()

    def _has_run_out(self) -> bool:
        """Whether others may be leader by now, seen by our own clock."""
        term = self._term
        return term is not None and (self._clock.monotonic() - term.renewed > self._who.ttl_seconds)

    def _cease(self, *, gives_back: bool) -> None:
        term, self._term = self._term, None
        if term is None:
            return
        for chore in reversed(self._chores):
            chore.cease()
        if gives_back:
            try:
                self._leases.release(term.lease)
            except Unavailable as trouble:
                self._who.on_trouble("lease", trouble)  # then it runs out by itself
