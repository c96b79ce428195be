"""Inspecting: which placements a distribution brought, and what became of them at their targets."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from imagebuilder.domain.distribution import (
    DeliveryStep,
    Distribution,
    Failure,
    Placement,
    PlacementState,
)
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import DistributionId, VersionId
from imagebuilder.domain.target import Target, TargetUnknown
from imagebuilder.ports.targets import Carrier, Drift
from imagebuilder.services.distributing.desk import AT_ONCE, DistributionDesk
from imagebuilder.services.distributing.reading import kept_spec, target_of

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A placement that a distribution brought, and the step by which it did."""

    reference: str
    placement: Placement
    distribution: Distribution
    step: DeliveryStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A target of a version: its step of the last distribution that has one for it.

    `placement` is what was placed there, None as long as nothing was.
    """

    reference: str
    distribution: Distribution
    step: DeliveryStep
    placement: Placement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at a placement found; `failure` is why nobody could look."""

    carried: Carried
    drifts: tuple[Drift, ...] = ()
    failure: Failure | None = None


class Inspecting:
    """Answers what is at targets. Nothing is changed."""

    def __init__(self, desk: DistributionDesk) -> None:
        """Look at what lies on the desk, and ask carriers."""
        self._desk = desk

    def aims(self, reference: str | None = None) -> Sequence[Aim]:
        """Give the targets of a version, or of all, and how far it came at each.

        Raises: VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        books = self._desk.books
        ids = [self._desk.gating.version(reference).id] if reference else self._all()
        references = books.versions.references(ids)
        placements = {(p.target, p.external_id): p for p in books.placements.of(ids)}
        found: dict[tuple[VersionId, str], Aim] = {}
        for distribution in self._desk.distributions(ids):
            for step in distribution.steps:
                found[distribution.version_id, step.target] = Aim(
                    reference=references[distribution.version_id],
                    distribution=distribution,
                    step=step,
                    placement=placements.get((step.target, step.external_id)),
                )
        return list(found.values())

    def check(self, reference: str | None, targets: Sequence[str] = ()) -> Sequence[Looked]:
        """Look whether what stands of a version, or of all, is as it was left.

        What is half done is not looked at: it was not left yet.
        Raises: TargetUnknown; VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        ids = [self._desk.gating.version(reference).id] if reference else self._all()
        standing = [c for c in self.carried(ids) if c.placement.state is PlacementState.PLACED]
        chosen = meant(standing, targets)
        takers = _takers(chosen)
        answers = ask_all(
            self._desk,
            chosen,
            lambda carrier, target, c: carrier.drifts(
                target, c.placement, takers[c.distribution.id, target.key]
            ),
        )
        return [
            Looked(carried=c, failure=answer)
            if isinstance(answer, Failure)
            else Looked(carried=c, drifts=tuple(answer))
            for c, answer in zip(chosen, answers, strict=True)
        ]

    def carried(self, ids: Collection[VersionId]) -> Sequence[Carried]:
        """Give the placements of versions that distributions brought, withdrawn ones too."""
        books = self._desk.books
        references = books.versions.references(ids)
        by_id = {each.id: each for each in books.distributions.of(ids)}
        return [
            Carried(
                reference=references[placement.version_id],
                placement=placement,
                distribution=by_id[placement.distribution_id],
                step=_step(by_id[placement.distribution_id], placement),
            )
            for placement in books.placements.of(ids)
            if placement.distribution_id is not None
        ]

    def _all(self) -> Sequence[VersionId]:
        placed = (p.version_id for p in self._desk.books.placements.all())
        begun = (s.id for s in self._desk.books.versions.summaries())
        return list(dict.fromkeys([*begun, *placed]))


def meant(carried: Sequence[Carried], targets: Sequence[str]) -> Sequence[Carried]:
    """Give those at targets that are named by key or entry, * standing for any letters.

    Raises: TargetUnknown: none is at a target of such a name.
    """

    def is_at(each: Carried, asked: str) -> bool:
        return fnmatchcase(each.placement.target, asked) or fnmatchcase(each.step.entry, asked)

    for asked in targets:
        if not any(is_at(each, asked) for each in carried):
            raise TargetUnknown(asked, list(dict.fromkeys(c.placement.target for c in carried)))
    return [c for c in carried if not targets or any(is_at(c, asked) for asked in targets)]


def ask_all(
    desk: DistributionDesk,
    carried: Sequence[Carried],
    ask: Callable[[Carrier, Target, Carried], AnswerT],
) -> Iterator[AnswerT | Failure]:
    """Ask the carriers of many placements at once; what one of them refuses is its answer.

    The answers come in order, each as soon as it is there.
    """
    # Many came by one distribution, and to read its document takes longer than to ask a target.
    by_id = {each.distribution.id: each.distribution for each in carried}
    specs = {each: kept_spec(distribution) for each, distribution in by_id.items()}
    pairs = []
    for each in carried:
        target = target_of(each.step, specs[each.distribution.id])
        pairs.append((desk.carrier(target.spec), target, each))

    def answer(pair: tuple[Carrier, Target, Carried]) -> AnswerT | Failure:
        try:
            return ask(*pair)
        except ImageBuilderError as error:
            return Failure.of(error)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="target") as pool:
        yield from pool.map(answer, pairs)


def _takers(carried: Sequence[Carried]) -> Mapping[tuple[DistributionId, str], list[Target]]:
    """Give, by distribution and key, the targets that come after each target."""
    found: defaultdict[tuple[DistributionId, str], list[Target]] = defaultdict(list)
    for distribution in {each.distribution.id: each.distribution for each in carried}.values():
        spec = kept_spec(distribution)
        for step in distribution.steps:
            if step.after is not None:
                found[distribution.id, step.after].append(target_of(step, spec))
    return found


def _step(distribution: Distribution, placement: Placement) -> DeliveryStep:
    return next(step for step in distribution.steps if step.target == placement.target)
