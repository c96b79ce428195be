"""Withdrawing: versions are taken from their targets, or kept there from being used any more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from imagebuilder.domain.audit import AuditAction
from imagebuilder.domain.distribution import (
    DeliveryState,
    Failure,
    Placement,
    PlacementsInUse,
    WithdrawalIncomplete,
)
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.lineage import Scope
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.target import Target
from imagebuilder.ports.targets import Carrier, Usage
from imagebuilder.services.distributing.desk import DistributionDesk
from imagebuilder.services.distributing.inspecting import Carried, Inspecting, ask_all, meant

_ALL = 2**31 - 1

_Root: TypeAlias = tuple[VersionId, str | None, str]
"""A version at a target, and what it is called there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a withdrawal reaches.

    `told` are placements that no distribution brought, which stay; `descendants` those that stand
    of versions that came of it, which stay too. Shape: `carried` are what is withdrawn, `uses` what
    is known to use each of them, or why that is not known.
    """

    reference: str
    carried: tuple[Carried, ...]
    uses: tuple[tuple[Usage, ...] | Failure, ...]
    told: tuple[Placement, ...] = ()
    descendants: tuple[tuple[str, Placement], ...] = ()

    @property
    def launched_at(self) -> datetime | None:
        """When any of them was last seen in use."""
        launched = [c.placement.launched_at for c in self.carried if c.placement.launched_at]
        return max(launched, default=None)


class Withdrawing:
    """Withdraws versions. Durable: each placement that is gone is kept so at once, on its own."""

    def __init__(self, desk: DistributionDesk) -> None:
        """Work with what lies on the desk."""
        self._desk = desk
        self._inspecting = Inspecting(desk)

    def reach(self, reference: str, targets: Sequence[str] = (), *, delete: bool = False) -> Reach:
        """Give what withdrawing a version from targets, or from all of them, would reach.

        Who has leave to use what is at one of them loses it.
        Raises: TargetUnknown; VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        version = self._desk.gating.version(reference)
        left = [c for c in self._inspecting.carried([version.id]) if _is_left(c, delete=delete)]
        chosen = _with_leaves(meant(left, targets), left)
        uses = ask_all(
            self._desk,
            chosen,
            lambda carrier, target, c: tuple(carrier.usages(target, c.placement)),
        )
        return Reach(
            reference=version.reference,
            carried=tuple(chosen),
            uses=tuple(uses),
            told=tuple(
                p
                for p in self._desk.books.placements.of([version.id])
                if p.withdrawn is None and p.distribution_id is None
            ),
            descendants=tuple(self._descendants(version)),
        )

    def withdraw(self, reach: Reach, *, delete: bool, why: str = "") -> Sequence[Placement]:
        """Withdraw all that is reached, and give it as it is then.

        Raises: PlacementsInUse: it was to be deleted, and nothing was done; WithdrawalIncomplete.
        """
        if delete:
            uses = {
                carried.placement.subject: tuple(usage.what for usage in found)
                for carried, found in zip(reach.carried, reach.uses, strict=True)
                if not isinstance(found, Failure) and found
            }
            if uses:
                raise PlacementsInUse(uses)
        return self._withdrawn([(each, delete) for each in reach.carried], why)

    def overdue(self, reference: str | None = None) -> Sequence[tuple[Carried, bool]]:
        """Give what is at targets still of versions that nobody may use, and whether it goes whole.

        What retention deleted is deleted there too. Raises: VersionNotFound; ReferenceMalformed;
        ReferenceAmbiguous.
        """
        books, now = self._desk.books, self._desk.now()
        brought = (p.version_id for p in books.placements.all() if p.distribution_id is not None)
        ids = dict.fromkeys(brought)
        if reference is not None:
            ids = dict.fromkeys([self._desk.gating.version(reference).id])
        standings = books.standings.standings(ids, now)
        unusable = [each for each in ids if not standings[each].is_usable]
        deleted = {each for each in unusable if standings[each].lifecycle is Lifecycle.DELETED}
        return [
            (carried, carried.placement.version_id in deleted)
            for carried in self._inspecting.carried(unusable)
            if _is_left(carried, delete=carried.placement.version_id in deleted)
        ]

    def catch_up(
        self, overdue: Sequence[tuple[Carried, bool]], why: str = ""
    ) -> Sequence[Placement]:
        """Withdraw what is overdue, and give it as it is then.

        Raises: WithdrawalIncomplete: some of it is overdue still.
        """
        return self._withdrawn(overdue, why)

    def _withdrawn(self, items: Sequence[tuple[Carried, bool]], why: str) -> Sequence[Placement]:
        """Withdraw placements, or delete them; what others came after goes later.

        What somebody still has leave to use is not deleted.
        """
        gone: list[Placement] = []
        failures: dict[str, Failure] = {}
        leaves: set[_Root] = set()
        deleting = {c.placement.subject for c, delete in items if delete}

        def end(carrier: Carrier, target: Target, carried: Carried) -> bool:
            placement = carried.placement
            is_whole = placement.subject in deleting
            if is_whole:
                used = [usage.what for usage in carrier.usages(target, placement)]
                if _root(placement) in leaves:
                    used.append("a leave to use it that could not be withdrawn")
                if used:
                    raise PlacementsInUse({placement.subject: used})
            carrier.withdraw(target, placement, delete=is_whole)
            return is_whole

        for wave in _waves([carried for carried, _ in items]):
            answers = ask_all(self._desk, wave, end)
            for carried, answer in zip(wave, answers, strict=True):
                if isinstance(answer, Failure):
                    failures[carried.placement.subject] = answer
                    leaves.add(_source(carried))
                    self._keep_failure(carried, answer)
                else:
                    gone.append(self._keep(carried, why, is_deleted=answer))
        if failures:
            raise WithdrawalIncomplete(failures)
        return gone

    def _keep(self, carried: Carried, why: str, *, is_deleted: bool) -> Placement:
        """Keep that a placement is gone, and that its step is to be done anew if ever."""
        books, old = self._desk.books, carried.placement
        act = self._desk.act(why)
        new = replace(old, withdrawn=old.withdrawn or act, is_deleted=is_deleted)
        step = replace(carried.step, state=DeliveryState.WITHDRAWN, failure=None)
        with books.transactions.together():
            books.placements.change(new)
            books.distributions.save_step(carried.distribution.id, step)
            self._desk.tell(AuditAction.PLACEMENT_WITHDRAWN, act, old, new)
        return new

    def _keep_failure(self, carried: Carried, failure: Failure) -> None:
        step = replace(carried.step, failure=failure)
        self._desk.books.distributions.save_step(carried.distribution.id, step)

    def _descendants(self, version: ImageVersion) -> Iterator[tuple[str, Placement]]:
        books = self._desk.books
        descent = books.versions.descent(version.id, Scope(up=False, down=True, limit=_ALL))
        references = {kin.id: kin.reference for kin in descent.kin if kin.id != version.id}
        for placement in books.placements.of(references):
            if placement.withdrawn is None:
                yield references[placement.version_id], placement


def _root(placement: Placement) -> _Root:
    return (placement.version_id, placement.target, placement.external_id)


def _source(carried: Carried) -> _Root:
    """Give where a placement came from, if it is no more than leave to use what is there."""
    return (carried.placement.version_id, carried.step.after, carried.placement.external_id)


def _with_leaves(chosen: Sequence[Carried], left: Sequence[Carried]) -> Sequence[Carried]:
    """Give placements, and those that are but leave to use one of them."""
    roots = {_root(each.placement) for each in chosen}
    kept = {each.placement.subject for each in chosen}
    return [each for each in left if each.placement.subject in kept or _source(each) in roots]


def _waves(items: Sequence[Carried]) -> Iterator[Sequence[Carried]]:
    """Give placements in waves, each before those that it came after."""
    depths = [_depth(each) for each in items]
    for depth in sorted(set(depths), reverse=True):
        yield [each for each, at in zip(items, depths, strict=True) if at == depth]


def _depth(carried: Carried) -> int:
    after = {step.target: step.after for step in carried.distribution.steps}
    depth, above = 0, carried.step.after
    while above is not None:
        depth, above = depth + 1, after.get(above)
    return depth


def _is_left(carried: Carried, *, delete: bool) -> bool:
    """Whether there is anything to withdraw, or to delete."""
    placement = carried.placement
    return placement.withdrawn is None or (delete and not placement.is_deleted)
