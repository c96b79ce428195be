"""Applying: pipeline documents come into force, all of them or none, and go out of it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from imagebuilder.documents.pipeline_document import name_problem
from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import Read, is_of_another_kind
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.cascade import followers_of, refuse_circle
from imagebuilder.domain.digest import Canonical, digest_of
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.ids import ImageName, PipelineName
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.domain.recipe import overridden, parent_text
from imagebuilder.domain.schedule import next_slots, spread_seconds
from imagebuilder.ports.audit import AuditLog
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.documents import DocumentSource, DocumentUnreadable
from imagebuilder.ports.pipelines import AppliedPipeline, KeptDecision, Pause, PipelineStore
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.applying.sound import PipelineReading
from imagebuilder.services.authoring import Authoring

Makers: TypeAlias = Mapping[ImageName, Sequence[PipelineName]]
"""Which pipelines make each image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineBooks:
    """Where pipelines are kept, and who is told of changes."""

    pipelines: PipelineStore
    audit: AuditLog
    transactions: Transactions
    clock: Clock


class ChangeKind(StrEnum):
    """What applying a document comes to."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What applying one document came to.

    `fields` are those that differ from what was in force, `text` alone when only words do.
    `also_made_by` are other pipelines that make one of its images.
    """

    pipeline: Pipeline
    kind: ChangeKind
    fields: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    also_made_by: tuple[PipelineName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A slot, and when its run begins: later when starts are spread."""

    slot_at: datetime
    starts_at: datetime


class Applying:
    """Keeps which pipelines are in force. Durable: a change and its audit entry are one."""

    def __init__(
        self, books: PipelineBooks, authoring: Authoring, documents: DocumentSource, actor: str
    ) -> None:
        """Read documents, and change the books in the name of `actor`."""
        self._books = books
        self._authoring = authoring
        self._documents = documents
        self._actor = actor

    def check(self, path: str) -> Read[Pipeline]:
        """Give the pipeline at a path, as applying it would find it.

        Raises: DocumentUnreadable; InvalidDocument: with all that is wrong in it, or in its recipe.
        """
        return self._reading().sound(path)

    def apply(
        self, places: Sequence[str], *, why: str = "", is_dry: bool = False
    ) -> Sequence[Change]:
        """Let documents, and all pipelines in folders, be in force; what is so already stays.

        Raises: DocumentUnreadable; InvalidDocument: with all that is wrong in all of them;
        CascadeCircular. Nothing was changed then.
        """
        reads = self._all_sound(places)
        with self._books.transactions.together():
            kept = {each.pipeline.name: each for each in self._books.pipelines.all()}
            new = {read.value.name: read.value for read in reads}
            together = {**{name: each.pipeline for name, each in kept.items()}, **new}
            refuse_circle(followers_of(together.values()))
            makers = _makers(together.values())
            changes = [_change(read, kept.get(read.value.name), makers) for read in reads]
            for change in changes if not is_dry else ():
                self._put(change, kept.get(change.pipeline.name), why)
        return changes

    def remove(self, name: str, why: str = "", *, is_dry: bool = False) -> AppliedPipeline:
        """Take a pipeline out of force; its runs and decisions stay. Raises: PipelineNotFound."""
        with self._books.transactions.together():
            applied = self._books.pipelines.get(name)
            if not is_dry:
                self._books.pipelines.remove(applied.pipeline.name)
                before = _told(applied.pipeline)
                self._tell(AuditAction.PIPELINE_REMOVED, name, why, before=before)
        return applied

    def pause(self, name: str, why: str) -> bool:
        """Let a pipeline start nothing by itself; False when it is paused already.

        Raises: PipelineNotFound.
        """
        act = self._act(why)
        with self._books.transactions.together():
            pause = Pause(at=act.at, actor=act.actor, why=why)
            is_new = self._books.pipelines.set_pause(PipelineName(name), pause)
            if is_new:
                self._tell(AuditAction.PIPELINE_PAUSED, name, why)
        return is_new

    def resume(self, name: str, why: str = "") -> bool:
        """Let a paused pipeline go on from now; False when it is not paused.

        What was due meanwhile is not made up for, and its failures are forgotten.
        Raises: PipelineNotFound.
        """
        store = self._books.pipelines
        with self._books.transactions.together():
            paused = store.get(name)
            is_new = store.set_pause(paused.pipeline.name, None)
            if is_new:
                store.set_cursors({paused.pipeline.name: self._books.clock.now()})
                store.count_end(paused.pipeline.name, is_failure=False)
                before = None if paused.pause is None else {"paused_by": paused.pause.actor}
                self._tell(AuditAction.PIPELINE_RESUMED, name, why, before=before)
        return is_new

    def list(self) -> Sequence[AppliedPipeline]:
        """Give all pipelines by name."""
        return self._books.pipelines.all()

    def show(self, name: str) -> AppliedPipeline:
        """Give a pipeline. Raises: PipelineNotFound."""
        return self._books.pipelines.get(name)

    def drift(self, pipeline: Pipeline) -> str:
        """Say what of a pipeline's recipe is not as it was applied; empty when all of it is."""
        try:
            recipe = self._authoring.recipe(pipeline.recipe_path).value
        except InvalidInput as error:
            return error.message
        if recipe.name != pipeline.image:
            return f"Its recipe makes {recipe.name} now."
        parent = parent_text(recipe.parent)
        return f"Its recipe is built on {parent} now." if parent != pipeline.parent else ""

    def next_runs(self, applied: AppliedPipeline, count: int) -> Sequence[NextRun]:
        """Give when a pipeline is due next by its schedule; never when it has none."""
        timing, name = applied.pipeline.timing, applied.pipeline.name
        if timing.schedule is None:
            return []
        now, anchor = self._books.clock.now(), applied.first_applied_at
        later = timedelta(seconds=spread_seconds(name, timing.spread_seconds))
        return [
            NextRun(slot_at=slot, starts_at=slot + later)
            for slot in next_slots(timing.schedule, now, count, anchor=anchor)
        ]

    def why(self, name: str, limit: int) -> Sequence[KeptDecision]:
        """Give what was decided last for a pipeline, of one that was removed too.

        Raises: PipelineNotFound: there is none, and nothing was ever decided for it.
        """
        found = self._books.pipelines.decisions(PipelineName(name), limit)
        if not found:
            self._books.pipelines.get(name)
        return found

    def refuse_overrides(self, name: str, overrides: Mapping[str, str]) -> None:
        """Let parameters pass that the recipe of a pipeline takes as it lies there now.

        Raises: PipelineNotFound; DocumentUnreadable; InvalidDocument; ParameterUnknown.
        """
        pipeline = self._books.pipelines.get(name).pipeline
        recipe = self._authoring.recipe(pipeline.recipe_path).value
        wanted = overridden(recipe, {**pipeline.products[0].overrides, **overrides})
        self._authoring.components_for(wanted, pipeline.recipe_path)

    def _reading(self) -> PipelineReading:
        return PipelineReading(self._authoring, self._documents)

    def _all_sound(self, places: Sequence[str]) -> Sequence[Read[Pipeline]]:
        """Read every document, so that the faults of all are told."""
        reading, problems = self._reading(), list[Problem]()
        reads: dict[str, Read[Pipeline]] = {}
        for path in self._paths(places):
            try:
                read = reading.sound(path)
            except InvalidDocument as faulty:
                problems += faulty.problems
                continue
            name, same = read.value.name, reads.get(read.value.name)
            if same is not None and same.value.path != read.value.path:
                message = f"{same.value.path} is a pipeline of that name too."
                problems.append(name_problem(read.value, message, "Give one another name."))
            reads[name] = read
        if problems:
            raise InvalidDocument(problems)
        return list(reads.values())

    def _paths(self, places: Sequence[str]) -> Sequence[str]:
        """Give the documents at places; in folders those that are not plainly of another kind."""
        found: dict[str, None] = {}
        for place in places:
            paths = self._documents.documents_at(place)
            is_folder = list(paths) != [place]
            pipelines = [
                path
                for path in paths
                if not (is_folder and is_of_another_kind(self._documents.text(path)))
            ]
            if not pipelines:
                raise DocumentUnreadable(place, "There is no pipeline in this folder.")
            found |= dict.fromkeys(pipelines)
        return list(found)

    def _put(self, change: Change, before: AppliedPipeline | None, why: str) -> None:
        if change.kind is ChangeKind.UNCHANGED:
            return
        act, pipeline = self._act(why), change.pipeline
        applied = AppliedPipeline(
            pipeline=pipeline,
            first_applied_at=act.at,
            applied_at=act.at,
            applied_by=act.actor,
            cursor_at=act.at,
        )
        if before is not None:
            # What another schedule was due at before it was in force is no slot that was missed.
            is_same = before.pipeline.timing.schedule == pipeline.timing.schedule
            applied = replace(
                before,
                pipeline=pipeline,
                applied_at=act.at,
                applied_by=act.actor,
                cursor_at=before.cursor_at if is_same else act.at,
            )
        self._books.pipelines.put(applied)
        told = _told(before.pipeline) if before else None
        after = _told(pipeline)
        if change.fields:
            after["changed"] = list(change.fields)
        self._tell(AuditAction.PIPELINE_APPLIED, pipeline.name, why, before=told, after=after)

    def _tell(
        self,
        action: AuditAction,
        name: str,
        why: str,
        *,
        before: Canonical = None,
        after: Canonical = None,
    ) -> None:
        entry = AuditEntry(
            act=self._act(why), action=action, subject=name, before=before, after=after
        )
        self._books.audit.add(entry)

    def _act(self, why: str) -> Act:
        return Act(actor=self._actor, at=self._books.clock.now(), why=why)


def _change(
    read: Read[Pipeline],
    before: AppliedPipeline | None,
    makers: Makers,
) -> Change:
    pipeline = read.value
    fields = () if before is None else _differing(before.pipeline, pipeline)
    kind = ChangeKind.CHANGED if fields else ChangeKind.UNCHANGED
    others = [name for product in pipeline.products for name in makers[product.image]]
    return Change(
        pipeline=pipeline,
        kind=ChangeKind.ADDED if before is None else kind,
        fields=fields,
        warnings=read.warnings,
        also_made_by=tuple(dict.fromkeys(name for name in others if name != pipeline.name)),
    )


def _makers(pipelines: Iterable[Pipeline]) -> Makers:
    """Give who makes each image."""
    makers: dict[ImageName, list[PipelineName]] = {}
    for pipeline in pipelines:
        for product in pipeline.products:
            makers.setdefault(product.image, []).append(pipeline.name)
    return makers


def _differing(old: Pipeline, new: Pipeline) -> tuple[str, ...]:
    """Give the names of what two pipelines do not have in common."""
    names = [name for name in Pipeline.__slots__ if getattr(old, name) != getattr(new, name)]
    return tuple(name for name in names if name != "text") or tuple(names)


def _told(pipeline: Pipeline) -> dict[str, Canonical]:
    """Give what the audit keeps of a pipeline: no parameter, since one may be secret."""
    return {"digest": str(digest_of(pipeline.document())), "path": pipeline.path}
