"""Delivering: the steps of a distribution, many at once, each recorded as soon as it is done.

Each target has a thread that speaks to it. They keep the books one at a time.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from imagebuilder.domain.audit import AuditAction
from imagebuilder.domain.distribution import (
    DeliveryState,
    DeliveryStep,
    Distribution,
    Failure,
    PlaceMalformed,
    Placement,
    PlacementExists,
    check_place,
)
from imagebuilder.domain.errors import ImageBuilderError, Unavailable
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.packer import made_elsewhere
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.domain.target import Target
from imagebuilder.ports.progress import DeliveryProgress
from imagebuilder.ports.targets import Carrier, Placed, Shipment
from imagebuilder.services.distributing.desk import AT_ONCE, DistributionDesk
from imagebuilder.services.distributing.stocking import Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """A version and the targets it is to be brought to now.

    Shape: `targets` maps the key of every step of the distribution to its target; `wanted` are the
    keys of those that are to be done.
    """

    version: ImageVersion
    distribution: Distribution
    targets: Mapping[str, Target]
    wanted: Collection[str]
    tolerated_failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of a target: what is there now, or what went wrong."""

    attempts: int
    placed: Placed | None = None
    error: ImageBuilderError | None = None


@dataclass(slots=True)
class _Way:
    """How far a consignment came; `waiting` are the keys of what is to be begun.

    Shape: `steps` maps a key to its step, `there` one to what it is called where it was made.
    """

    steps: dict[str, DeliveryStep]
    waiting: set[str]
    flying: dict[Future[_Outcome], tuple[DeliveryStep, Shipment]] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    is_refused: bool = False

    def ready(self) -> list[DeliveryStep]:
        """Give the steps that can begin now, for what they come after is done, in their order."""
        return [
            step
            for step in self.steps.values()
            if step.target in self.waiting
            and (step.after is None or self.steps[step.after].state is DeliveryState.DONE)
        ][: AT_ONCE - len(self.flying)]

    def so_far(self, distribution: Distribution) -> Distribution:
        """Give a distribution as far as it came."""
        return replace(distribution, steps=tuple(self.steps.values()))


class Delivering:
    """Does the steps of distributions.

    Durable: a step is RUNNING before anything is done for it, and DONE in one transaction with its
    placement, which is kept half done as soon as the carrier tells of it; done again, a carrier
    finds what is there by the shipment's token.
    """

    def __init__(self, desk: DistributionDesk, progress: DeliveryProgress) -> None:
        """Tell progress of every step."""
        self._desk = desk
        self._progress = progress
        self._stop = threading.Event()
        self._at_books = threading.Lock()

    def deliver(self, consignment: Consignment, stock: Stock) -> Distribution:
        """Bring a version to its targets, and give how far it came.

        Once it was revoked no further target is begun; what was begun is ended.
        """
        steps = {step.target: step for step in consignment.distribution.steps}
        way = _Way(steps=steps, waiting=set(consignment.wanted))
        self._adopt(consignment, way)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="target")
        try:
            self._begin(consignment, stock, way, pool)
            while way.flying:
                landed, _ = wait(way.flying, return_when=FIRST_COMPLETED)
                for future in landed:
                    step, shipment = way.flying.pop(future)
                    way.steps[step.target] = ended = self._ended(consignment, step, future.result())
                    way.failures += ended.state is DeliveryState.FAILED
                    self._progress.changed(ended)
                    if ended.state is DeliveryState.DONE:
                        self._desk.warehouse.scratch.drop(shipment.token)
                self._begin(consignment, stock, way, pool)
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
        return way.so_far(consignment.distribution)

    def _adopt(self, consignment: Consignment, way: _Way) -> None:
        """Take what was made at a target itself, as Packer does, for what would be brought there.

        From then on it is a distribution's: it is withdrawn as all that was brought.
        """
        books, distribution = self._desk.books, consignment.distribution
        for target, external_id, *_ in made_elsewhere(consignment.version.plan):
            there = books.placements.find(target, external_id)
            if target not in way.waiting or there is None or there.withdrawn is not None:
                continue
            if not consignment.targets[target].is_implied:
                way.there[target] = external_id  # what points to it there is still to be set
                continue
            now = self._desk.now()
            done = replace(
                way.steps[target],
                state=DeliveryState.DONE,
                external_id=external_id,
                began_at=now,
                ended_at=now,
            )
            with self._booking():
                books.placements.change(replace(there, distribution_id=distribution.id))
                books.distributions.save_step(distribution.id, done)
            way.steps[target] = done
            way.waiting.discard(target)
            self._progress.changed(done)

    def _begin(
        self, consignment: Consignment, stock: Stock, way: _Way, pool: ThreadPoolExecutor
    ) -> None:
        """Begin as many steps as can be, which are all recorded before the first is."""
        limit, ready = consignment.tolerated_failures, way.ready()
        if not ready or way.is_refused or (limit is not None and way.failures > limit):
            return
        books, distribution = self._desk.books, consignment.distribution
        now = self._desk.now()
        # It may have been revoked since it was let pass, and more targets than fly at once wait.
        standings = books.standings.standings([distribution.version_id], now)
        way.is_refused = not standings[distribution.version_id].is_usable
        if way.is_refused:
            return
        running = DeliveryState.RUNNING
        begun = [
            replace(step, state=running, began_at=now, ended_at=None, failure=None)
            for step in ready
        ]
        with self._booking():
            for step in begun:
                books.distributions.save_step(distribution.id, step)
        so_far = way.so_far(distribution)
        for step in begun:
            target = consignment.targets[step.target]
            on_made = partial(self._made, distribution, step.target)
            shipment = replace(
                stock.shipment(target, step, so_far),
                on_made=on_made,
                there=way.there.get(step.target, ""),
            )
            carrier = self._desk.carrier(target.spec)
            self._progress.changed(step)
            way.steps[step.target] = step
            way.waiting.discard(step.target)
            future = pool.submit(self._placed, carrier, target, shipment)
            way.flying[future] = step, shipment

    def _placed(self, carrier: Carrier, target: Target, shipment: Shipment) -> _Outcome:
        """Speak to a target until it has the version or will not have it; in its own thread."""

        def moved(size_bytes: int) -> None:
            if self._stop.is_set():
                raise RunInterrupted("this process is to end")
            self._progress.moved(target.key, size_bytes)

        patience, attempt = self._desk.patience, 0
        while True:
            attempt += 1
            try:
                return _Outcome(attempts=attempt, placed=carrier.place(target, shipment, moved))
            except Unavailable as error:
                if attempt >= patience.attempts or self._stop.is_set():
                    return _Outcome(attempts=attempt, error=error)
                self._progress.troubled(target.key, error.message)
            except ImageBuilderError as error:
                return _Outcome(attempts=attempt, error=error)
            self._stop.wait(patience.wait_seconds * 2 ** (attempt - 1))

    def _ended(
        self, consignment: Consignment, step: DeliveryStep, outcome: _Outcome
    ) -> DeliveryStep:
        """Keep what came of a step, with its placement, and give it."""
        error = outcome.error
        ended = replace(step, attempts=step.attempts + outcome.attempts, ended_at=self._desk.now())
        if outcome.placed is not None:
            try:
                return self._kept(consignment, ended, outcome.placed)
            except (PlaceMalformed, PlacementExists) as refused:
                error = refused
        failure = Failure.of(error) if error else None
        failed = replace(ended, state=DeliveryState.FAILED, failure=failure)
        with self._booking():
            self._desk.books.distributions.save_step(consignment.distribution.id, failed)
        return failed

    def _kept(self, consignment: Consignment, step: DeliveryStep, placed: Placed) -> DeliveryStep:
        """Keep that a version is at a target. Raises: PlaceMalformed; PlacementExists."""
        distribution = consignment.distribution
        done = replace(step, state=DeliveryState.DONE, external_id=placed.external_id)
        with self._booking():
            self._place(distribution, step.target, placed, is_half_done=False)
            self._desk.books.distributions.save_step(distribution.id, done)
        return done

    def _made(self, distribution: Distribution, target: str, placed: Placed) -> None:
        """Keep what was made at a target, before all is done for it; in the target's thread.

        It is withdrawn like any other then, whatever becomes of its step.
        Raises: PlaceMalformed; PlacementExists.
        """
        with self._booking():
            self._place(distribution, target, placed, is_half_done=True)

    def _place(
        self, distribution: Distribution, target: str, placed: Placed, *, is_half_done: bool
    ) -> None:
        check_place(target, placed.external_id)
        books, act = self._desk.books, self._desk.act(distribution.begun.why)
        there = books.placements.find(target, placed.external_id)
        if there is not None and there.version_id != distribution.version_id:
            reference = books.versions.references([there.version_id])[there.version_id]
            raise PlacementExists(there, reference)
        standing = there if there and there.withdrawn is None else None
        begun = standing if standing and standing.is_half_done else None
        if is_half_done and standing and not begun and standing.distribution_id is not None:
            # An earlier distribution brought it, and its placement tells all that was set.
            return
        earlier = begun.traits if begun and is_half_done else {}
        placement = Placement(
            version_id=distribution.version_id,
            target=target,
            external_id=placed.external_id,
            placed=standing.placed if standing else act,
            launched_at=there.launched_at if there else None,
            # What was to be set at an earlier try may have been.
            traits={**earlier, **placed.traits},
            is_half_done=is_half_done,
            distribution_id=distribution.id,
        )
        if there is None:
            books.placements.add(placement)
        elif placement != there:
            books.placements.change(placement)
        if placement != there and begun is None:
            action = AuditAction.PLACEMENT_CHANGED if standing else AuditAction.PLACEMENT_ADDED
            self._desk.tell(action, act, there, placement)

    @contextmanager
    def _booking(self) -> Iterator[None]:
        """Let nobody else keep the books in a block that is one transaction."""
        with self._at_books, self._desk.books.transactions.together():
            yield
