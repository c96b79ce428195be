"""Runs and their steps in SQL."""

from collections.abc import Collection, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import mapping, run_rows, tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.inserting import insert_new
from imagebuilder.adapters.sql.run_log import log_cancel, log_run, log_stage
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import (
    UNFINISHED,
    Approval,
    Run,
    RunQuery,
    RunStage,
    RunState,
    StageRun,
    StepRun,
    StepState,
    UnfinishedRun,
)
from imagebuilder.ports.runs import RunNotFound

_r = tables.runs.c
_s = tables.run_steps.c
_g = tables.run_stages.c
_ENOUGH = 20
"""So many runs show that an id's start is not unique; an exact id sorts before all it starts."""


class SqlRunStore:
    """A RunStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep runs in an open catalogue."""
        self._database = database

    def add(self, run: Run) -> bool:
        """Keep a new run; False, and nothing kept, when its slot has a run already."""
        return bool(self.add_all([run]))

    def add_all(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Keep new runs as `add` does, and give those that are kept now."""
        rows = [run_rows.run_values(run) for run in runs]
        with self._database.writing() as connection:
            kept = set(insert_new(connection, tables.runs, rows, _r.id))
        new = [run for run in runs if run.id in kept]
        for run in new:
            log_run(run)
        return new

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id."""
        with self._database.writing() as connection:
            _put(connection, tables.runs, _r.id == run.id, run_rows.run_values(run))
        log_run(run)

    def move(self, run: Run, given: Collection[RunState]) -> bool:
        """Save the run if what is kept of it is in one of the states; else False."""
        return self._moved(run, given, run_rows.run_values(run))

    def cancel(self, run_id: RunId, actor: str) -> bool:
        """Keep who wants a run to end; False when it is over already, or asked to by another."""
        values: mapping.Values = {"cancelled_by": actor}
        is_new = self._updated(run_id, UNFINISHED, values, _r.cancelled_by.is_(None))
        if is_new:
            log_cancel(run_id, actor)
        return is_new

    def requeue(self, run: Run, given: Collection[RunState]) -> bool:
        """As `move`, for a run that begins again: who asked to cancel it is forgotten."""
        return self._moved(run, given, {**run_rows.run_values(run), "cancelled_by": None})

    def _moved(self, run: Run, given: Collection[RunState], values: mapping.Values) -> bool:
        is_moved = self._updated(run.id, given, values)
        if is_moved:
            log_run(run)
        return is_moved

    def _updated(
        self,
        run_id: RunId,
        given: Collection[RunState],
        values: mapping.Values,
        *more: ColumnElement[bool],
    ) -> bool:
        is_given = _r.state.in_([state.value for state in given])
        change = update(tables.runs).where(_r.id == run_id, is_given, *more).values(values)
        with self._database.writing() as connection:
            return connection.execute(change).rowcount == 1

    def save_step(self, run_id: RunId, step: StepRun) -> None:
        """Keep a step as it stands now, replacing what was kept under its number.

        Raises: RunNotFound: no such run was saved.
        """
        this = (_s.run_id == run_id) & (_s.number == step.number)
        try:
            with self._database.writing() as connection:
                _put(connection, tables.run_steps, this, mapping.step_values(run_id, step))
        except IntegrityError as error:
            raise RunNotFound(run_id, ()) from error

    def get(self, run_id: str) -> Run:
        """Give the run whose id is, or uniquely starts with, run_id. Raises: RunNotFound."""
        # LIKE would not do: SQLite's does not tell capital letters from small ones.
        query = select(tables.runs).where(func.substr(_r.id, 1, len(run_id)) == run_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_r.id).limit(_ENOUGH)).mappings().all()
            found = [run_rows.run(row) for row in rows]
        exact = [run for run in found if run.id == run_id]
        if len(exact or found) != 1:
            raise RunNotFound(run_id, tuple(run.id for run in found))
        return (exact or found)[0]

    def steps(self, run_id: RunId) -> Sequence[StepRun]:
        """Give a run's steps in their order."""
        query = select(tables.run_steps).where(_s.run_id == run_id).order_by(_s.number)
        with self._database.reading() as connection:
            return [mapping.step(row) for row in connection.execute(query).mappings()]

    def save_stage(self, run_id: RunId, stage: StageRun) -> StageRun:
        """Keep a stage as it stands now, and give what is kept: a success stays as it is.

        Raises: RunNotFound: no such run was saved.
        """
        this = (_g.run_id == run_id) & (_g.stage == stage.stage.value)
        values = run_rows.stage_values(run_id, stage)
        change = update(tables.run_stages).where(this, _g.state != StepState.SUCCEEDED.value)
        try:
            with self._database.writing() as connection:
                if connection.execute(change.values(values)).rowcount == 1:
                    log_stage(run_id, stage)
                    return stage
                kept = connection.execute(select(tables.run_stages).where(this)).mappings()
                row = kept.one_or_none()
                if row is not None:
                    return run_rows.stage(row)
                connection.execute(insert(tables.run_stages).values(values))
        except IntegrityError as error:
            # Either there is no run, or somebody else began the stage in the same moment.
            if not self._has(run_id):
                raise RunNotFound(run_id, ()) from error
            return self.save_stage(run_id, stage)
        log_stage(run_id, stage)
        return stage

    def forget_stages(self, run_id: RunId, stages: Collection[RunStage]) -> None:
        """See that some stages of a run count as never begun, also those that succeeded."""
        those = (_g.run_id == run_id) & _g.stage.in_([stage.value for stage in stages])
        with self._database.writing() as connection:
            connection.execute(delete(tables.run_stages).where(those))

    def stages(self, run_id: RunId) -> Sequence[StageRun]:
        """Give the stages that a run began, in the order of stages."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.run_stages).where(_g.run_id == run_id))
            found = [run_rows.stage(row) for row in rows.mappings()]
        order = list(RunStage)
        return sorted(found, key=lambda stage: order.index(stage.stage))

    def settle(self, approval: Approval) -> bool:
        """Keep a person's word on a run; False when there is one already."""
        try:
            with self._database.writing() as connection:
                values = run_rows.approval_values(approval)
                connection.execute(insert(tables.approvals).values(values))
        except IntegrityError:
            return False
        return True

    def approval(self, run_id: RunId) -> Approval | None:
        """Give a person's word on a run."""
        query = select(tables.approvals).where(tables.approvals.c.run_id == run_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else run_rows.approval(row)

    def find(self, query: RunQuery) -> Sequence[Run]:
        """Give the runs that are asked for, those started last first."""
        return self._runs(
            select(tables.runs)
            .where(*_conditions(query))
            .order_by(_r.started_at.desc(), _r.id.desc())
            .limit(query.limit)
        )

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """Give the runs of pipelines that are not over: cheaply."""
        query = select(_r.id, _r.state, _r.attempt, _r.cancelled_by).where(
            _r.state.in_([state.value for state in UNFINISHED]), _r.pipeline.is_not(None)
        )
        with self._database.reading() as connection:
            return [run_rows.unfinished_run(row) for row in connection.execute(query).mappings()]

    def those(self, ids: Collection[RunId]) -> Sequence[Run]:
        """Give the runs of some ids, by id; one that is not there is left out."""
        return self._runs(select(tables.runs).where(among(_r.id, ids)).order_by(_r.id))

    def newest(self, limit: int, image: ImageName | None = None) -> Sequence[Run]:
        """Give the newest runs first, of one image when it is named."""
        return self.find(RunQuery(image=image, limit=limit))

    def running(self) -> Sequence[Run]:
        """Give the runs without an order that are recorded as running, oldest first."""
        is_running = (_r.state == RunState.RUNNING.value) & _r.pipeline.is_(None)
        return self._runs(select(tables.runs).where(is_running).order_by(_r.started_at, _r.id))

    def _runs(self, query: Select[tuple[object, ...]]) -> Sequence[Run]:
        with self._database.reading() as connection:
            return [run_rows.run(row) for row in connection.execute(query).mappings()]

    def _has(self, run_id: RunId) -> bool:
        with self._database.reading() as connection:
            return connection.scalar(select(_r.id).where(_r.id == run_id)) is not None


def _conditions(query: RunQuery) -> list[ColumnElement[bool]]:
    asked = (
        (_r.pipeline, query.pipeline),
        (_r.variant, query.variant),
        (_r.image, query.image),
    )
    conditions = [column == value for column, value in asked if value is not None]
    if query.states:
        conditions.append(_r.state.in_(sorted(state.value for state in query.states)))
    if query.since_at is not None:
        conditions.append(_r.started_at >= query.since_at)
    return conditions


def _put(
    connection: Connection, table: Table, this: ColumnElement[bool], values: mapping.Values
) -> None:
    """Write a row over the one that is there, or beside the others."""
    if connection.execute(update(table).where(this).values(values)).rowcount == 0:
        connection.execute(insert(table).values(values))
