"""Pipelines and what was decided for them, in SQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    case,
    delete,
    extract,
    func,
    insert,
    select,
    update,
)

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.mapping import Values, storable
from imagebuilder.domain.cascade import is_built_on
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.pipeline import pipeline_of
from imagebuilder.ports.pipelines import (
    AppliedPipeline,
    KeptDecision,
    Pause,
    PipelineNotFound,
)

_p = tables.pipelines.c
_d = tables.decisions.c


class SqlPipelineStore:
    """A PipelineStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep pipelines in an open catalogue."""
        self._database = database

    def put(self, applied: AppliedPipeline) -> None:
        """Keep a pipeline under its name, replacing what was kept; its cursor never goes back."""
        values, name = _values(applied), applied.pipeline.name
        kept = {**values, "cursor_at": _later(applied.cursor_at)}
        with self._database.writing() as connection:
            change = update(tables.pipelines).where(_p.name == name).values(kept)
            if connection.execute(change).rowcount == 0:
                connection.execute(insert(tables.pipelines).values(values))

    def remove(self, name: PipelineName) -> None:
        """Forget a pipeline; its runs and decisions stay. Raises: PipelineNotFound."""
        with self._database.writing() as connection:
            if connection.execute(delete(tables.pipelines).where(_p.name == name)).rowcount == 0:
                raise _not_found(connection, name)

    def get(self, name: str) -> AppliedPipeline:
        """Give a pipeline. Raises: PipelineNotFound: with names that are like it."""
        query = select(tables.pipelines).where(_p.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise _not_found(connection, name)
            return _applied(row)

    def all(self) -> Sequence[AppliedPipeline]:
        """Give all of them by name."""
        return self._found(select(tables.pipelines))

    def named(self, names: Collection[PipelineName]) -> Sequence[AppliedPipeline]:
        """Give those of some names, by name; one that is not there is left out."""
        return self._found(select(tables.pipelines).where(among(_p.name, names)))

    def following(self, image: ImageName) -> Sequence[AppliedPipeline]:
        """Give those whose recipe is built on versions of an image of ours, by name."""
        # As it stands in a definition; which of them are really meant, the value itself says.
        written = f'"parent":"image:{image}'
        query = select(tables.pipelines).where(_p.definition.contains(written, autoescape=True))
        return [applied for applied in self._found(query) if is_built_on(applied.pipeline, image)]

    def stamp(self) -> str:
        """Give what changes when any pipeline is applied, removed, paused or resumed: cheaply.

        The sums tell of changes that were made while a clock was behind the newest moment.
        """
        counted: list[ColumnElement[Any]] = [func.count()]
        for moment in (_p.applied_at, _p.paused_at):
            counted += [func.count(moment), func.max(moment), func.sum(extract("epoch", moment))]
        with self._database.reading() as connection:
            found = connection.execute(select(*counted).select_from(tables.pipelines)).one()
        return " ".join(str(value) for value in found)

    def set_cursors(self, slots: Mapping[PipelineName, datetime]) -> None:
        """Keep which slots were seen to; an earlier one than is kept changes nothing."""
        if not slots:
            return
        of, slot_at = bindparam("of", type_=_p.name.type), bindparam("at", type_=_p.cursor_at.type)
        change = update(tables.pipelines).where(_p.name == of, _p.cursor_at < slot_at)
        rows = [{"of": name, "at": slots[name]} for name in sorted(slots)]
        with self._database.writing() as connection:
            connection.execute(change.values(cursor_at=slot_at), rows)

    def set_pause(self, name: PipelineName, pause: Pause | None) -> bool:
        """Pause or resume; False when it stood so already. Raises: PipelineNotFound."""
        stands_so = _p.paused_at.is_not(None) if pause else _p.paused_at.is_(None)
        change = update(tables.pipelines).where(_p.name == name, ~stands_so)
        with self._database.writing() as connection:
            if connection.execute(change.values(_pause_values(pause))).rowcount == 1:
                return True
            if connection.scalar(select(_p.name).where(_p.name == name)) is None:
                raise _not_found(connection, name)
        return False

    def count_end(self, name: PipelineName, *, is_failure: bool) -> int:
        """Count a scheduled run's end, and give how many failed since one did not."""
        failures = _p.failures + 1 if is_failure else 0
        change = update(tables.pipelines).where(_p.name == name).values(failures=failures)
        with self._database.writing() as connection:
            return connection.scalar(change.returning(_p.failures)) or 0

    def add_decision(self, decision: KeptDecision) -> None:
        """Keep what was decided for a run; a second word on the same run replaces the first."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.decisions).where(_d.run_id == decision.run_id))
            connection.execute(insert(tables.decisions).values(_decision_values(decision)))

    def decisions(
        self, name: PipelineName | None, limit: int, run_id: RunId | None = None
    ) -> Sequence[KeptDecision]:
        """Give what was decided last, the newest first."""
        query = select(tables.decisions).order_by(_d.at.desc(), _d.id.desc()).limit(limit)
        if name is not None:
            query = query.where(_d.pipeline == name)
        if run_id is not None:
            query = query.where(_d.run_id == run_id)
        with self._database.reading() as connection:
            return [_decision(row) for row in connection.execute(query).mappings()]

    def _found(self, query: Select[tuple[object, ...]]) -> Sequence[AppliedPipeline]:
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            # The order of names is Python's everywhere; a server's may be that of a language.
            return sorted(map(_applied, rows), key=lambda applied: applied.pipeline.name)


def _later(moment: datetime) -> ColumnElement[datetime]:
    return case((_p.cursor_at > moment, _p.cursor_at), else_=moment)


def _not_found(connection: Connection, name: str) -> PipelineNotFound:
    return PipelineNotFound(name, sorted(connection.scalars(select(_p.name))))


def _values(applied: AppliedPipeline) -> Values:
    pipeline = applied.pipeline
    definition = canonical_json(pipeline.document())
    return {
        "name": pipeline.name,
        "path": pipeline.path,
        "text": pipeline.text,
        "definition": definition.decode(),
        "digest": Digest.of_bytes(definition).hex,
        "first_applied_at": applied.first_applied_at,
        "applied_at": applied.applied_at,
        "applied_by": applied.applied_by,
        "cursor_at": applied.cursor_at,
        "failures": applied.failures,
        **_pause_values(applied.pause),
    }


def _pause_values(pause: Pause | None) -> Values:
    return {
        "paused_at": pause.at if pause else None,
        "paused_by": pause.actor if pause else None,
        "paused_why": storable(pause.why) if pause else None,
    }


def _applied(row: RowMapping) -> AppliedPipeline:
    paused_at = row["paused_at"]
    return AppliedPipeline(
        pipeline=pipeline_of(json.loads(row["definition"]), path=row["path"], text=row["text"]),
        first_applied_at=row["first_applied_at"],
        applied_at=row["applied_at"],
        applied_by=row["applied_by"],
        cursor_at=row["cursor_at"],
        failures=row["failures"],
        pause=paused_at
        and Pause(at=paused_at, actor=row["paused_by"] or "", why=row["paused_why"] or ""),
    )


def _decision_values(decision: KeptDecision) -> Values:
    return {
        "pipeline": decision.pipeline,
        "variant": decision.variant,
        "at": decision.at,
        "slot_at": decision.slot_at,
        "run_id": decision.run_id,
        "verdict": decision.verdict,
        "document": storable(canonical_json(decision.document).decode()),
    }


def _decision(row: RowMapping) -> KeptDecision:
    return KeptDecision(
        pipeline=PipelineName(row["pipeline"]),
        variant=row["variant"],
        at=row["at"],
        slot_at=row["slot_at"],
        run_id=RunId(row["run_id"]),
        verdict=row["verdict"],
        document=json.loads(row["document"]),
    )
