"""Runs and their steps in SQL."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.ids import ImageName, RunId
from imagebuilder.domain.run import Run, RunState, StepRun
from imagebuilder.ports.runs import RunNotFound

_r = tables.runs.c
_s = tables.run_steps.c
_ENOUGH = 20
"""So many runs show that an id's start is not unique; an exact id sorts before all it starts."""


class SqlRunStore:
    """A RunStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep runs in an open catalogue."""
        self._database = database

    def save(self, run: Run) -> None:
        """Keep the run as it stands now, replacing what was kept under its id."""
        with self._database.writing() as connection:
            _put(connection, tables.runs, _r.id == run.id, mapping.run_values(run))

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
            found = [mapping.run(row) for row in rows]
        exact = [run for run in found if run.id == run_id]
        if len(exact or found) != 1:
            raise RunNotFound(run_id, tuple(run.id for run in found))
        return (exact or found)[0]

    def steps(self, run_id: RunId) -> Sequence[StepRun]:
        """Give a run's steps in their order."""
        query = select(tables.run_steps).where(_s.run_id == run_id).order_by(_s.number)
        with self._database.reading() as connection:
            return [mapping.step(row) for row in connection.execute(query).mappings()]

    def newest(self, limit: int, image: ImageName | None = None) -> Sequence[Run]:
        """Give the newest runs first, of one image when it is named."""
        query = select(tables.runs).order_by(_r.started_at.desc(), _r.id.desc()).limit(limit)
        if image is not None:
            query = query.where(_r.image == image)
        with self._database.reading() as connection:
            return [mapping.run(row) for row in connection.execute(query).mappings()]

    def running(self) -> Sequence[Run]:
        """Give the runs that are recorded as running, also those whose process is gone."""
        query = select(tables.runs).where(_r.state == RunState.RUNNING.value)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_r.started_at, _r.id)).mappings()
            return [mapping.run(row) for row in rows]


def _put(
    connection: Connection, table: Table, this: ColumnElement[bool], values: mapping.Values
) -> None:
    """Write a row over the one that is there, or beside the others."""
    if connection.execute(update(table).where(this).values(values)).rowcount == 0:
        connection.execute(insert(table).values(values))
