"""Retiring: what retention documents say comes true, by a plan that people can look at first."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter

from imagebuilder.documents.reader import Read, read_retention
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry, AuditQuery
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import DocumentText, ImageVersion
from imagebuilder.domain.retention import (
    STEPS,
    Decision,
    RetentionRule,
    Subject,
    Verdict,
    decide,
)
from imagebuilder.domain.retirement import (
    NotReactivated,
    RetentionPlan,
    RetentionPlanApplied,
    RetentionPlanStale,
    VersionDeleted,
)
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.documents import DocumentSource
from imagebuilder.ports.labels import LabelStore
from imagebuilder.ports.placements import PlacementStore
from imagebuilder.ports.retention import RetentionStore
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.freeing import Freed, Freeing

MAX_AGE_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All that is known of versions and may keep one."""

    retention: RetentionStore
    standings: StandingStore
    channels: ChannelStore
    placements: PlacementStore
    labels: LabelStore
    audit: AuditLog
    transactions: Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who plans and changes, and what gives the moments and the names of that."""

    actor: str
    clock: Clock
    ids: IdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What to plan for: some documents, images that a pattern matches, a moment (None: now)."""

    paths: Sequence[str]
    image: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A decision that does not hold any more, and what it is now."""

    decision: Decision
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a plan came to; `before` was done by an apply that did not come to its end."""

    plan: RetentionPlan
    done: tuple[Decision, ...]
    before: tuple[Decision, ...]
    skipped: tuple[Skipped, ...]
    freed: Freed


class Retiring:
    """Plans what retention documents say, and does what was planned."""

    def __init__(
        self, records: Records, freeing: Freeing, documents: DocumentSource, signature: Signature
    ) -> None:
        """Read documents, decide by records, and let freeing take away what is left."""
        self._records = records
        self._freeing = freeing
        self._documents = documents
        self._clock = signature.clock
        self._ids = signature.ids
        self._actor = signature.actor

    def read(self, path: str) -> Read[RetentionRule]:
        """Give the rule at a path. Raises: DocumentUnreadable; InvalidDocument."""
        return read_retention(self._documents.text(path), path)

    def plan(self, request: PlanRequest) -> RetentionPlan:
        """Decide on every version that documents select, and keep that unless it is for later.

        Raises: DocumentUnreadable; InvalidDocument.
        """
        rules = [self.read(path).value for path in request.paths]
        at = request.at or self._clock.now()
        images = [name for name in self._selected(rules) if _is_asked_for(name, request.image)]
        decisions = decide(self._subjects(images, at), rules, at)
        deleted = [d.id for d in decisions if d.verdict is Verdict.DELETE]
        frees, freed = self._freeing.estimate(deleted)
        plan = RetentionPlan(
            id=self._ids.new("retention") if request.at is None else "",
            made=Act(actor=self._actor, at=self._clock.now()),
            at=at,
            image=request.image,
            documents=tuple(map(_document, rules)),
            decisions=decisions,
            frees_bytes=frees,
            freed_bytes=freed,
        )
        if plan.id:
            self._keep(plan)
        return plan

    def show(self, plan_id: str) -> RetentionPlan:
        """Give a plan by its id, or the start of it. Raises: RetentionPlanNotFound."""
        return self._records.retention.plan(plan_id)

    def list(self, limit: int) -> Sequence[RetentionPlan]:
        """Give the plans made last, the newest first."""
        return self._records.retention.plans(limit)

    def applicable(self, plan_id: str, max_age_hours: int = MAX_AGE_HOURS) -> RetentionPlan:
        """Give a plan that may be applied now.

        Raises: RetentionPlanNotFound; RetentionPlanApplied; RetentionPlanStale.
        """
        plan = self.show(plan_id)
        if plan.applied_at is not None:
            raise RetentionPlanApplied(plan)
        if plan.made.at < self._clock.now() - timedelta(hours=max_age_hours):
            raise RetentionPlanStale(plan, max_age_hours)
        return plan

    def apply(self, plan: RetentionPlan, on_decision: Callable[[str], None]) -> Applied:
        """Do what a plan says, as far as it still holds, and nothing else.

        Durable: each version's change is one transaction with its audit entry; one that was ended
        in the middle is finished when it is done again.

        Raises: StoreInUse: it deletes, and the store is in use; nothing was done then.
        """
        rules = [read_retention(d.text, d.name).value for d in plan.documents]
        done: list[Decision] = []
        before: list[Decision] = []
        skipped: list[Skipped] = []
        with ExitStack() as held:
            if plan.deletes:
                held.enter_context(self._freeing.alone(f"retention apply {plan.id}"))
            for decision in plan.steps:
                on_decision(f"{decision.verdict} {decision.reference}")
                outcome = self._done(plan, decision, rules)
                if outcome is None:
                    done.append(decision)
                elif outcome.because:
                    skipped.append(outcome)
                else:
                    before.append(decision)
            freed = Freed()
            if plan.deletes:
                freed = self._freeing.free_deleted(lambda name: on_decision(f"free {name}"))
            applied = Applied(
                plan=plan,
                done=tuple(done),
                before=tuple(before),
                skipped=tuple(skipped),
                freed=freed,
            )
            self._end(applied)
        return applied

    def reactivate(self, version: ImageVersion, why: str) -> None:
        """Let a deprecated or disabled version be active again.

        Raises: NotReactivated: it is deleted, or active.
        """
        records, act = self._records, Act(actor=self._actor, at=self._clock.now(), why=why)
        with records.transactions.together():
            standing = records.standings.standings([version.id], act.at)[version.id]
            lifecycle = standing.lifecycle
            if lifecycle is Lifecycle.DELETED:
                hint = "Its files are gone; build it again from its recipe."
                raise NotReactivated(version.reference, lifecycle, hint)
            if lifecycle is Lifecycle.ACTIVE:
                raise NotReactivated(version.reference, lifecycle, "There is nothing to do.")
            records.retention.reactivate(version.id)
            records.audit.add(_changed(act, version.reference, lifecycle, Lifecycle.ACTIVE))

    def require_files(self, version: ImageVersion) -> None:
        """Do nothing when a version was not deleted. Raises: VersionDeleted."""
        now = self._clock.now()
        standing = self._records.standings.standings([version.id], now).get(version.id)
        if standing is None or standing.lifecycle is not Lifecycle.DELETED:
            return
        query = AuditQuery(subject=version.reference, action=AuditAction.LIFECYCLE_CHANGED, limit=1)
        entries = self._records.audit.entries(query)
        recipe = next((d.name for d in version.documents if d.kind == "recipe"), version.image)
        raise VersionDeleted(version.reference, entries[0].act if entries else None, recipe)

    def _selected(self, rules: Sequence[RetentionRule]) -> Iterator[str]:
        names = self._records.retention.images()
        return (name for name in names if any(rule.select.names(name) for rule in rules))

    def _subjects(self, images: Collection[str], at: datetime) -> Sequence[Subject]:
        """Give the versions of images with all that uses them at a moment."""
        records = self._records
        found = records.retention.subjects(images)
        ids = [subject.id for subject in found]
        standings = records.standings.standings(ids, at)
        channels = records.channels.holding(ids, at)
        of_version = attrgetter("version_id")
        placed = {
            version_id: tuple(placements)
            for version_id, placements in groupby(
                sorted(records.placements.of(ids), key=of_version), key=of_version
            )
        }
        own = records.labels.of_versions(ids)
        shared = records.labels.of_images({subject.image for subject in found})
        return [
            replace(
                subject,
                is_revoked=standings[subject.id].is_revoked,
                channels=tuple(channels.get(subject.id, ())),
                placements=placed.get(subject.id, ()),
                labels={
                    **(shared[subject.image].labels if subject.image in shared else {}),
                    **(own[subject.id].labels if subject.id in own else {}),
                },
            )
            for subject in found
        ]

    def _done(
        self, plan: RetentionPlan, planned: Decision, rules: Sequence[RetentionRule]
    ) -> Skipped | None:
        """Do one step if it still is what the documents say; None when it was done now.

        What was done before is skipped for no reason.
        """
        records, why = self._records, f"retention plan {plan.id}"
        act = Act(actor=self._actor, at=self._clock.now(), why=why)
        old, new = STEPS[planned.verdict]
        with records.transactions.together():
            subjects = self._subjects([planned.image], act.at)
            subject = next((each for each in subjects if each.id == planned.id), None)
            if subject is None or subject.lifecycle is new:
                return Skipped(decision=planned, because=())
            now = next((d for d in decide(subjects, rules, act.at) if d.id == planned.id), None)
            if now is None:
                return Skipped(decision=planned, because=("no document selects it any more",))
            if now.verdict is not planned.verdict:
                return Skipped(decision=planned, because=now.reasons)
            records.standings.set_lifecycle(planned.id, new, act.at)
            records.audit.add(_changed(act, planned.reference, old, new))
        return None

    def _keep(self, plan: RetentionPlan) -> None:
        with self._records.transactions.together():
            self._records.retention.add(plan)
            counts = {verdict.value: plan.count(verdict) for verdict in Verdict}
            entry = AuditEntry(
                act=plan.made, action=AuditAction.RETENTION_PLANNED, subject=plan.id, after=counts
            )
            self._records.audit.add(entry)

    def _end(self, applied: Applied) -> None:
        act = Act(actor=self._actor, at=self._clock.now())
        counts = {"done": len(applied.done) + len(applied.before), "skipped": len(applied.skipped)}
        with self._records.transactions.together():
            self._records.retention.set_applied(applied.plan.id, act.at)
            self._records.audit.add(
                AuditEntry(
                    act=act,
                    action=AuditAction.RETENTION_APPLIED,
                    subject=applied.plan.id,
                    after={**counts, "freed_bytes": applied.freed.size_bytes},
                )
            )


def _changed(act: Act, reference: str, old: Lifecycle, new: Lifecycle) -> AuditEntry:
    return AuditEntry(
        act=act,
        action=AuditAction.LIFECYCLE_CHANGED,
        subject=reference,
        before=old.value,
        after=new.value,
    )


def _document(rule: RetentionRule) -> DocumentText:
    digest = Digest.of_bytes(rule.text.encode())
    return DocumentText(kind="retention", name=rule.path, text=rule.text, digest=digest)


def _is_asked_for(image: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(image, pattern)
