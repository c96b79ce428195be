"""Cascading: what is built on an image of ours runs when what it stands on is another version now.

What is looked at is how things stand and not what happened: so it does not matter who published a
version or moved a channel, whether any process was there to see it, or how often that is asked.
Grandchildren follow in their turn, when their own parent has published something.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.cascade import Follower, followers_of
from imagebuilder.domain.errors import WrongState
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, Reference
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.domain.run import Run, RunQuery
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.pipelines import PipelineStore
from imagebuilder.ports.runs import RunStore
from imagebuilder.services.triggering import StartOrder

_LOOK_AGAIN_SECONDS = 60.0
"""A revocation comes into force, and a channel falls back, without anybody doing anything then."""
_RUNS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeDesk:
    """Where pipelines, versions and runs are kept, and who makes runs."""

    pipelines: PipelineStore
    versions: VersionStore
    runs: RunStore
    audit: AuditLog
    clock: Clock
    start: Callable[[StartOrder], object]


@dataclass(slots=True)
class _Seen:
    """How things stood at the last look. Shape: `meant` maps what was asked for to a version."""

    stamp: tuple[str, int] | None = None
    looked: float = float("-inf")
    meant: dict[str, VersionId | None] = field(default_factory=dict)
    waits: bool = False


class Cascading:
    """Starts pipelines whose parent moved."""

    def __init__(self, desk: CascadeDesk) -> None:
        """Look at what is on `desk`."""
        self._desk = desk
        self._seen = _Seen()

    def begin(self) -> None:
        """Look at everything anew: somebody else may have seen to it meanwhile."""
        self._seen = _Seen()

    def tick(self) -> None:
        """Start what is due. When nothing changed since the last look, it costs two questions.

        Raises: StoreUnavailable: what was not started is the next time.
        """
        seen, now = self._seen, self._desk.clock.monotonic()
        stamp = (self._desk.pipelines.stamp(), self._desk.audit.count())
        is_same = stamp == seen.stamp and not seen.waits
        if is_same and now - seen.looked < _LOOK_AGAIN_SECONDS:
            return
        waits = self._look()
        self._seen.stamp, self._seen.looked, self._seen.waits = stamp, now, waits

    def _look(self) -> bool:
        """Start what is due; whether something is that has to wait for a run under way."""
        applied = (each for each in self._desk.pipelines.all() if each.pause is None)
        followers = followers_of(each.pipeline for each in applied)
        meant = self._meant(followers)
        stands_on = self._desk.versions.newest_parents({each.image for each in followers})
        has_waiting = False
        for follower in followers:
            parent = meant[follower.asked]
            if parent is not None and self._is_behind(follower, parent.id, stands_on):
                has_waiting |= not self._started(follower, parent)
        self._seen.meant = {asked: p.id if p else None for asked, p in meant.items()}
        return has_waiting

    def _meant(self, followers: Iterable[Follower]) -> Mapping[str, ImageVersion | None]:
        """Give what each thing that is followed means now; None when there is nothing usable."""
        at = self._desk.clock.now()
        meant: dict[str, ImageVersion | None] = {}
        for follower in followers:
            if follower.asked in meant:
                continue
            asked = Reference(name=follower.follows.image, asked=follower.follows.asked)
            try:
                meant[follower.asked] = self._desk.versions.find(asked, at)
            except WrongState:
                meant[follower.asked] = None
        return meant

    def _is_behind(
        self,
        follower: Follower,
        parent: VersionId,
        stands_on: Mapping[ImageName, VersionId | None],
    ) -> bool:
        """Whether a variant's newest version stands on another parent than it would now.

        One that was never built follows what is published from now on, and not what was before.
        """
        if follower.image in stands_on:
            return stands_on[follower.image] != parent
        known = self._seen.meant
        return follower.asked in known and known[follower.asked] != parent

    def _started(self, follower: Follower, parent: ImageVersion) -> bool:
        """Start a run unless there was one because of that parent; False when it has to wait.

        A run under way may have begun before the parent moved, so it is waited for.
        """
        query = RunQuery(
            pipeline=follower.pipeline, variant=follower.variant, limit=_RUNS_LOOKED_AT
        )
        runs = self._desk.runs.find(query)
        if any(not run.state.is_final for run in runs):
            return False
        if not any(_is_because_of(run, parent.id) for run in runs):
            self._desk.start(
                StartOrder(
                    pipeline=follower.pipeline,
                    variants=(follower.variant,),
                    trigger=Trigger.PARENT,
                    by=follower.asked,
                    why=f"it is {parent.reference} now",
                    parent=parent.id,
                )
            )
        return True


def _is_because_of(run: Run, parent: VersionId) -> bool:
    return run.order is not None and run.order.parent == parent
