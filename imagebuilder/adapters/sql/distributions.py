"""Distributions in SQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from sqlalchemy import RowMapping, insert, select, update

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.mapping import Values, storable
from imagebuilder.domain.audit import Act
from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.distribution import (
    DeliveryState,
    DeliveryStep,
    Distribution,
    DistributionNotFound,
    Failure,
)
from imagebuilder.domain.ids import DistributionId, DistributionName, VersionId
from imagebuilder.domain.image import VersionNotFound

_d = tables.distributions.c
_s = tables.delivery_steps.c
_v = tables.versions.c


class SqlDistributionStore:
    """A DistributionStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep distributions in an open catalogue."""
        self._database = database

    def add(self, distribution: Distribution) -> None:
        """Keep a distribution that begins. Raises: VersionNotFound."""
        version_id, begun = distribution.version_id, distribution.begun
        with self._database.writing() as connection:
            version_number = connection.scalar(select(_v.number).where(_v.id == version_id))
            if version_number is None:
                raise VersionNotFound(version_id, ())
            row = {
                "id": distribution.id,
                "version_number": version_number,
                "name": distribution.name,
                "begun_at": begun.at,
                "begun_by": begun.actor,
                "begun_why": storable(begun.why),
                "path": storable(distribution.path),
                "text": storable(distribution.text),
            }
            added = insert(tables.distributions).values(row).returning(_d.number)
            number = connection.scalar(added)
            rows = [
                {"distribution_number": number, "position": position, **_values(step)}
                for position, step in enumerate(distribution.steps)
            ]
            if rows:
                connection.execute(insert(tables.delivery_steps), rows)

    def save_step(self, distribution_id: DistributionId, step: DeliveryStep) -> None:
        """Keep how far the step of a target came, in place of what was kept of it.

        Raises: DistributionNotFound: no such distribution has a step for that target.
        """
        number = select(_d.number).where(_d.id == distribution_id).scalar_subquery()
        of_target = (_s.distribution_number == number) & (_s.target == step.target)
        change = update(tables.delivery_steps).where(of_target).values(_values(step))
        with self._database.writing() as connection:
            if connection.execute(change).rowcount == 0:
                raise DistributionNotFound(f"{distribution_id} to {step.target}")

    def of(self, ids: Collection[VersionId]) -> Sequence[Distribution]:
        """Give the distributions of versions, in the order in which they were added."""
        found = (
            select(tables.distributions, _v.id.label("version_id"))
            .join(tables.versions, _v.number == _d.version_number)
            .where(among(_v.id, ids))
            .order_by(_d.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(found).mappings().all()
            numbers = [int(row["number"]) for row in rows]
            query = (
                select(tables.delivery_steps)
                .where(among(_s.distribution_number, numbers))
                .order_by(_s.distribution_number, _s.position)
            )
            steps = {
                number: tuple(map(_step, rows_of))
                for number, rows_of in groupby(
                    connection.execute(query).mappings(), lambda row: row["distribution_number"]
                )
            }
        return [_distribution(row, steps.get(row["number"], ())) for row in rows]


def _distribution(row: RowMapping, steps: tuple[DeliveryStep, ...]) -> Distribution:
    return Distribution(
        id=DistributionId(row["id"]),
        version_id=VersionId(row["version_id"]),
        name=DistributionName(row["name"]),
        begun=Act(actor=row["begun_by"], at=row["begun_at"], why=row["begun_why"]),
        path=row["path"],
        text=row["text"],
        steps=steps,
    )


def _values(step: DeliveryStep) -> Values:
    failure = step.failure
    return {
        "target": step.target,
        "entry": step.entry,
        "where": _json(step.where),
        "after": step.after,
        "state": step.state.value,
        "attempts": step.attempts,
        "external_id": step.external_id,
        "began_at": step.began_at,
        "ended_at": step.ended_at,
        "failure": _json(_told(failure)) if failure else None,
    }


def _told(failure: Failure) -> Mapping[str, Canonical]:
    return {
        "code": failure.code,
        "message": failure.message,
        "context": failure.context,
        "hint": failure.hint,
    }


def _json(value: Mapping[str, Canonical]) -> str:
    return storable(canonical_json(value).decode())


def _step(row: RowMapping) -> DeliveryStep:
    failure = row["failure"]
    return DeliveryStep(
        target=row["target"],
        entry=row["entry"],
        where=json.loads(row["where"]),
        after=row["after"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        external_id=row["external_id"],
        began_at=row["began_at"],
        ended_at=row["ended_at"],
        failure=failure and Failure(**json.loads(failure)),
    )
