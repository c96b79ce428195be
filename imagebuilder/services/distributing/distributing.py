"""Distributing: a version is brought to the targets of a document, or to those it is missing at."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from imagebuilder.domain.audit import AuditAction, AuditEntry
from imagebuilder.domain.distribution import (
    DeliveryHindered,
    DeliveryState,
    DeliveryStep,
    Distribution,
    DistributionIncomplete,
    DistributionNotFound,
    TargetTwice,
)
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import DistributionId, DistributionName
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.target import DistributionSpec, Target, TargetUnknown
from imagebuilder.ports.locks import STORE_LOCK
from imagebuilder.ports.progress import DeliveryProgress
from imagebuilder.services.distributing.delivering import Consignment, Delivering
from imagebuilder.services.distributing.desk import AT_ONCE, DistributionDesk
from imagebuilder.services.distributing.reading import kept_spec, target_of
from imagebuilder.services.distributing.stocking import Stock
from imagebuilder.services.distributing.withdrawing import Withdrawing

_KNOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which targets are meant: by key or entry, * standing for any letters; all when none is said.

    What is `without` is left out of those.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What would be done: `wanted` are the keys of what is missing and was chosen.

    Shape: `hindrances` maps keys of those to what is in the way there.
    """

    reference: str
    distribution: Distribution
    wanted: frozenset[str]
    hindrances: Mapping[str, Sequence[Objection]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributed:
    """A distribution as far as it came; `wanted` are the keys of what was to be done now."""

    reference: str
    distribution: Distribution
    wanted: frozenset[str]

    @property
    def missing(self) -> Sequence[DeliveryStep]:
        """The steps that were to be done and are not."""
        steps = self.distribution.steps
        return [s for s in steps if s.target in self.wanted and s.state is not _DONE]


class Distributing:
    """Brings versions to targets. What was done is on record, whatever becomes of the rest."""

    def __init__(self, desk: DistributionDesk) -> None:
        """Work with what lies on the desk."""
        self._desk = desk

    def rehearse(self, reference: str, path: str, choice: Choice) -> Rehearsal:
        """Give what distributing a version would do now; nothing is kept or changed.

        Raises: as `distribute`, but for what keeps targets from being reached.
        """
        version = self._desk.gating.version(reference)
        self._desk.gating.refuse_distribution(version)
        distribution, targets = self._resolved(version, path, "")
        wanted = _chosen(distribution.steps, choice)
        return Rehearsal(
            reference=version.reference,
            distribution=distribution,
            wanted=wanted,
            hindrances=self._hindrances(version, targets, wanted),
        )

    def distribute(
        self,
        reference: str,
        path: str,
        choice: Choice,
        progress: DeliveryProgress,
        *,
        why: str = "",
    ) -> Distributed:
        """See that a version is at the targets of a document; what was brought there before stays.

        Raises: DistributionRefused: a gate is against it; DeliveryHindered: nothing was begun;
        DistributionIncomplete: it is on record where it is; InProgress; InvalidDocument;
        DocumentUnreadable; TargetKindUnsupported; TargetTwice; TargetUnknown; TargetUnavailable;
        VersionNotFound; ReferenceMalformed; ReferenceAmbiguous.
        """
        version = self._desk.gating.version(reference)
        self._desk.gating.refuse_distribution(version)
        name = self._desk.reading.at(path).value.name
        with self._alone(version, name):
            distribution, targets = self._resolved(version, path, why)
            done = self._done(version, distribution, targets, choice, progress)
        _refuse_incomplete([done])
        return done

    def retry(
        self, reference: str, choice: Choice, progress: DeliveryProgress
    ) -> Sequence[Distributed]:
        """Do what is missing of a version's distributions, as their documents said then.

        Raises: DistributionNotFound: it was never distributed; as `distribute`.
        """
        version = self._desk.gating.version(reference)
        self._desk.gating.refuse_distribution(version)
        names = dict.fromkeys(each.name for each in self._of(version))
        if not names:
            raise DistributionNotFound(version.reference)
        done = []
        for name in names:
            with self._alone(version, name):
                # What was there before the lock was ours may be more than it was.
                distribution = [each for each in self._of(version) if each.name == name][-1]
                spec = kept_spec(distribution)
                targets = {step.target: target_of(step, spec) for step in distribution.steps}
                done.append(self._done(version, distribution, targets, choice, progress))
        _refuse_incomplete(done)
        return done

    def _done(
        self,
        version: ImageVersion,
        distribution: Distribution,
        targets: Mapping[str, Target],
        choice: Choice,
        progress: DeliveryProgress,
    ) -> Distributed:
        wanted = _chosen(distribution.steps, choice)
        hindrances = self._hindrances(version, targets, wanted)
        if hindrances:
            raise DeliveryHindered(version.reference, hindrances)
        self._keep(version, distribution)
        consignment = Consignment(
            version=version,
            distribution=distribution,
            targets=targets,
            wanted=wanted,
            tolerated_failures=kept_spec(distribution).tolerated_failures,
        )
        with Stock(self._desk, version) as stock:
            ended = Delivering(self._desk, progress).deliver(consignment, stock)
        self._refuse_revoked(version)
        return Distributed(reference=version.reference, distribution=ended, wanted=wanted)

    def _refuse_revoked(self, version: ImageVersion) -> None:
        """Do nothing unless the version was revoked on its way: then it is withdrawn again.

        Who revoked it could not yet know of the targets that it was brought to meanwhile.
        Raises: DistributionRefused; WithdrawalIncomplete.
        """
        now = self._desk.now()
        standings = self._desk.books.standings.standings([version.id], now)
        if not standings[version.id].is_usable:
            withdrawing = Withdrawing(self._desk)
            withdrawing.catch_up(withdrawing.overdue(version.reference))
            self._desk.gating.refuse_distribution(version)

    @contextmanager
    def _alone(self, version: ImageVersion, name: DistributionName) -> Iterator[None]:
        """Let nobody else do this distribution in the block, nor take files of versions away."""
        what = f"distribution {name} of {version.reference}"
        with (
            self._desk.locks.share(STORE_LOCK, what),
            self._desk.locks.hold(f"distribution {name} of {version.id}", what),
        ):
            yield

    def _resolved(
        self, version: ImageVersion, path: str, why: str
    ) -> tuple[Distribution, Mapping[str, Target]]:
        """Give the distribution that a document means: the one that is kept, or a new one.

        What is kept goes on when the document says the same, and means no target that it did not.
        """
        spec = self._desk.reading.at(path).value
        targets = self._targets(spec)
        kept = next((d for d in reversed(self._of(version)) if d.name == spec.name), None)
        if kept is not None and kept.text == spec.text:
            steps = {step.target: step for step in kept.steps}
            is_withdrawn = any(steps[t].state is _WITHDRAWN for t in targets if t in steps)
            if targets.keys() <= steps.keys() and not is_withdrawn:
                return kept, {step.target: target_of(step, spec) for step in kept.steps}
        begun = Distribution(
            id=DistributionId(self._desk.books.ids.new("distribution")),
            version_id=version.id,
            name=spec.name,
            begun=self._desk.act(why),
            path=spec.path,
            text=spec.text,
            steps=tuple(
                DeliveryStep(
                    target=target.key,
                    entry=target.spec.name,
                    where=target.where,
                    after=target.after,
                )
                for target in targets.values()
            ),
        )
        return begun, targets

    def _targets(self, spec: DistributionSpec) -> Mapping[str, Target]:
        """Give all targets of a document by key, each after the one that it depends on.

        What is implied gives way to what is asked for, or to what was implied before.
        """
        found: dict[str, Target] = {}
        for entry in spec.targets:
            for target in self._desk.carrier(entry).targets(entry):
                there = found.get(target.key)
                if there is not None and target.gives_way_to(there):
                    continue
                if there is not None and not there.gives_way_to(target):
                    raise TargetTwice(target.key, (there.spec.name, entry.name))
                found[target.key] = target
        return found

    def _keep(self, version: ImageVersion, distribution: Distribution) -> None:
        """Keep a distribution that begins; one that goes on is kept already."""
        books = self._desk.books
        if any(each.id == distribution.id for each in self._of(version)):
            return
        entry = AuditEntry(
            act=distribution.begun,
            action=AuditAction.DISTRIBUTION_BEGUN,
            subject=version.reference,
            after={"name": distribution.name, "targets": len(distribution.steps)},
        )
        with books.transactions.together():
            books.distributions.add(distribution)
            books.audit.add(entry)

    def _hindrances(
        self, version: ImageVersion, targets: Mapping[str, Target], wanted: Collection[str]
    ) -> Mapping[str, Sequence[Objection]]:
        """Ask all targets at once what is in the way; one that does not answer may do so later."""
        asked = [targets[key] for key in targets if key in wanted]
        carriers = [self._desk.carrier(target.spec) for target in asked]
        after: defaultdict[str | None, list[Target]] = defaultdict(list)
        for target in asked:
            after[target.after].append(target)

        def found(position: int) -> Sequence[Objection]:
            target = asked[position]
            try:
                return carriers[position].hindrances(target, version, _takers(target, after))
            except Unavailable:
                return ()

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="target") as pool:
            answers = list(pool.map(found, range(len(asked))))
        return {t.key: answer for t, answer in zip(asked, answers, strict=True) if answer}

    def _of(self, version: ImageVersion) -> Sequence[Distribution]:
        return self._desk.distributions([version.id])


def _takers(target: Target, after: Mapping[str | None, Sequence[Target]]) -> list[Target]:
    """Give the targets that come after one, and after those, of what comes after each."""
    found = [target]
    for each in found:
        found += after.get(each.key, ())
    return found[1:]


_DONE, _WITHDRAWN = DeliveryState.DONE, DeliveryState.WITHDRAWN


def _refuse_incomplete(done: Sequence[Distributed]) -> None:
    """Do nothing when all is done that was to be. Raises: DistributionIncomplete."""
    missing = [step for each in done for step in each.missing]
    if missing:
        count = sum(len(each.wanted) for each in done)
        raise DistributionIncomplete(done[0].reference, missing, count)


def _chosen(steps: Sequence[DeliveryStep], choice: Choice) -> frozenset[str]:
    """Give the keys of what is missing and meant, with all that it comes after.

    Raises: TargetUnknown: nothing is called so.
    """
    for asked in (*choice.only, *choice.without):
        if not any(_is_meant(step, asked) for step in steps):
            names = dict.fromkeys(step.entry for step in steps)
            keys = [step.target for step in steps]
            raise TargetUnknown(asked, (*names, *keys[:_KNOWN]))
    missing = {step.target: step for step in steps if step.state not in (_DONE, _WITHDRAWN)}
    chosen = {
        key
        for key, step in missing.items()
        if (not choice.only or any(_is_meant(step, asked) for asked in choice.only))
        and not any(_is_meant(step, asked) for asked in choice.without)
    }
    for step in reversed(steps):
        if step.target in chosen and step.after in missing:
            chosen.add(step.after)
    return frozenset(chosen)


def _is_meant(step: DeliveryStep, asked: str) -> bool:
    return fnmatchcase(step.target, asked) or fnmatchcase(step.entry, asked)
