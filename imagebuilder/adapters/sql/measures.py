"""Numbers of the catalogue in SQL."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import func, select, union_all

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.among import among
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.run import StepState
from imagebuilder.ports.measuring import SeenVersion

_d = tables.decisions.c
_g = tables.run_stages.c
_i = tables.images.c
_s = tables.run_steps.c
_v = tables.versions.c
_SEEN = (_v.id, _v.number, _v.created_at)


class SqlMeasures:
    """Measures of a database."""

    def __init__(self, database: Database) -> None:
        """Look into an open catalogue."""
        self._database = database

    def newest_versions(self, images: Collection[ImageName]) -> Mapping[ImageName, SeenVersion]:
        """Give what was recorded last of each image; one without versions is left out."""
        # One step in the index of (image_id, number) for each image, however many versions it has.
        of_image = tables.versions.alias()
        last = select(func.max(of_image.c.number)).where(of_image.c.image_id == _i.id)
        query = (
            select(_i.name, *_SEEN)
            .join_from(tables.images, tables.versions, _v.number == last.scalar_subquery())
            .where(among(_i.name, images))
        )
        with self._database.reading() as connection:
            return {
                ImageName(row.name): SeenVersion(
                    id=VersionId(row.id), number=row.number, created_at=row.created_at
                )
                for row in connection.execute(query)
            }

    def version_before(self, image: ImageName, seen: SeenVersion) -> SeenVersion | None:
        """Give what was recorded of an image before a version."""
        of_image = select(_i.id).where(_i.name == image).scalar_subquery()
        query = (
            select(*_SEEN)
            .where(_v.image_id == of_image, _v.number < seen.number)
            .order_by(_v.number.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return SeenVersion(id=VersionId(row.id), number=row.number, created_at=row.created_at)

    def last_moves(self, runs: Collection[RunId]) -> Mapping[RunId, datetime]:
        """Give when a stage or step of each run began or a stage ended last, if one ever did."""
        moves = union_all(
            select(_s.run_id, _s.started_at.label("at")).where(among(_s.run_id, runs)),
            select(_g.run_id, _g.started_at).where(among(_g.run_id, runs)),
            select(_g.run_id, _g.ended_at).where(among(_g.run_id, runs), _g.ended_at.is_not(None)),
        ).subquery()
        query = select(moves.c.run_id, func.max(moves.c.at).label("at")).group_by(moves.c.run_id)
        with self._database.reading() as connection:
            return {RunId(row.run_id): row.at for row in connection.execute(query)}

    def step_states(self, runs: Collection[RunId]) -> Mapping[StepState, int]:
        """Give how many steps of some runs stand how."""
        query = (
            select(_s.state, func.count().label("count"))
            .where(among(_s.run_id, runs))
            .group_by(_s.state)
        )
        with self._database.reading() as connection:
            return {StepState(state): count for state, count in connection.execute(query)}

    def decisions_after(self, number: int) -> tuple[Mapping[str, int], int]:
        """Give how many decisions of each verdict were kept after a number, and the last number."""
        query = (
            select(_d.verdict, func.count(), func.max(_d.id))
            .where(_d.id > number)
            .group_by(_d.verdict)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        counts = {verdict: count for verdict, count, _ in rows}
        return counts, max((last for _, _, last in rows), default=number)

    def last_decision(self) -> int:
        """Give the number of the decision that was kept last; 0 when there is none."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(_d.id))) or 0
