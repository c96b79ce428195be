"""Staffing: what a run needs decided, promoted and counted in the process that runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.need import Decision
from imagebuilder.domain.run import Run, RunOrder
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.services.gating import Gating
from imagebuilder.services.pipelines.deciding import Deciding, DecisionAsked, Decisions
from imagebuilder.services.promoting import MoveOrder, Promoting

_SESSION_SECONDS = 15.0
"""Runs that are due at one time are decided on by one look at documents and archives.

A run that was wanted after that look has another: what was changed just before it counts.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offices:
    """Who decides, who moves channels in a pipeline's name, and who counts how runs ended."""

    deciding: Deciding
    promoting: Callable[[str], Promoting]
    gating: Callable[[], Gating]
    ended: Callable[[Run], None]
    versions: VersionStore
    clock: Clock


class PipelineStaff:
    """Asks the offices. Safe to use from several threads."""

    def __init__(self, offices: Offices) -> None:
        """Let `offices` do what they do."""
        self._offices = offices
        self._lock = Lock()
        self._looked: _Look | None = None

    def decide(self, order: RunOrder, wanted_at: datetime) -> Decision:
        """Say whether to build, by a look that is no older. Raises: any ImageBuilderError."""
        asked = DecisionAsked(
            recipe_path=order.recipe_path,
            variant=order.variant,
            overrides=order.overrides,
            when=order.starts,
            security_only=order.is_security_only,
            max_age_seconds=order.max_age_seconds,
            forced=order.is_forced,
        )
        with self._lock:
            return self._decisions(wanted_at).decide(asked)

    def promote(self, run: Run) -> Canonical:
        """Let the run's channel, if it has one, mean its version, and say what it means.

        The pipeline's own gates are asked, whether or not it has a channel.

        Raises: PromotionRefused; GateRefused; ChannelMoved.
        """
        order = run.order
        if order is None or run.version_id is None:
            return {"channel": None}
        if order.gates is not None:
            version = self._offices.versions.get(run.version_id)
            self._offices.gating().refuse_by(version, order.gates, f"pipeline {order.pipeline}")
        if order.channel is None:
            return {"channel": None}
        reference = self._offices.versions.references([run.version_id])[run.version_id]
        promoting = self._offices.promoting(f"pipeline {order.pipeline}")
        shown = promoting.set(reference, order.channel, MoveOrder(why=f"run {run.id}"))
        unsigned = {"unsigned": shown.complaint} if shown.complaint else {}
        return {"channel": shown.channel, "reference": reference, **unsigned}

    def ended(self, run: Run) -> None:
        """Count how a run ended; in the caller's transaction."""
        self._offices.ended(run)

    def _decisions(self, wanted_at: datetime) -> Decisions:
        clock, looked = self._offices.clock, self._looked
        if looked is None or not looked.is_for(wanted_at, clock.monotonic()):
            at, monotonic = clock.now(), clock.monotonic()
            looked = _Look(decisions=self._offices.deciding.opened(), at=at, monotonic=monotonic)
            self._looked = looked
        return looked.decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What decides by one look at the world, and when that began."""

    decisions: Decisions
    at: datetime
    monotonic: float

    def is_for(self, wanted_at: datetime, now: float) -> bool:
        """Whether it is new enough, and was not begun before what is decided on was wanted."""
        return wanted_at <= self.at and now - self.monotonic <= _SESSION_SECONDS
