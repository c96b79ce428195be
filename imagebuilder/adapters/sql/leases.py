"""Leases in SQL. On a server, time is the server's; a file knows only that of its machine."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    RowMapping,
    and_,
    case,
    cast,
    delete,
    extract,
    func,
    literal,
    or_,
    select,
    update,
)

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.inserting import insert_new
from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.lease import Lease
from imagebuilder.ports.clock import Clock

_l = tables.leases.c
_SLACK_SECONDS = 1.0


class SqlLeaseStore:
    """A LeaseStore in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep leases in an open catalogue; the clock is for one that has none of its own."""
        self._database = database
        self._clock = clock

    def take(
        self, name: str, holder: str, ttl_seconds: float, details: Mapping[str, Canonical]
    ) -> Lease | None:
        """Take or renew a lease for so long; None when another holds it."""
        kept = {"name": name, "holder": holder, "details": canonical_json(details).decode()}
        with self._database.writing() as connection:
            now = self._now(connection)
            change = (
                update(tables.leases)
                .where(_l.name == name, or_(_l.holder == holder, _is_free(now, ttl_seconds)))
                .values(
                    kept
                    | {
                        "token": _l.token + case((_l.holder == holder, 0), else_=1),
                        "expires_at": now + ttl_seconds,
                    }
                )
            )
            token = connection.scalar(change.returning(_l.token))
            if token is None:
                expires_at = connection.scalars(select(now)).one() + ttl_seconds
                first = [{**kept, "token": 1, "expires_at": expires_at}]
                token = next(iter(insert_new(connection, tables.leases, first, _l.token)), None)
        if token is None:
            return None
        return Lease(
            name=name,
            holder=holder,
            token=token,
            remaining_seconds=ttl_seconds,
            details=details,
        )

    def renew(self, lease: Lease, ttl_seconds: float) -> bool:
        """Make a lease last longer; False when it is somebody else's, or gone."""
        return self._lasts(lease, ttl_seconds)

    def release(self, lease: Lease) -> None:
        """End a lease at once, so that others need not wait; of another's token nothing happens."""
        self._lasts(lease, 0.0)

    def leases(self, prefix: str) -> Sequence[Lease]:
        """Give the leases whose names start so, by name, expired ones too."""
        with self._database.reading() as connection:
            remaining = (_l.expires_at - self._now(connection)).label("remaining_seconds")
            # LIKE would not do: names may hold what it takes for patterns.
            query = select(tables.leases, remaining).where(
                func.substr(_l.name, 1, len(prefix)) == prefix
            )
            rows = connection.execute(query).mappings()
            return sorted(map(_lease, rows), key=lambda lease: lease.name)

    def forget(self, lease: Lease) -> None:
        """Take an expired lease off the list, unless it was renewed or taken meanwhile."""
        with self._database.writing() as connection:
            is_over = _l.expires_at <= self._now(connection)
            connection.execute(delete(tables.leases).where(_is(lease), is_over))

    def _lasts(self, lease: Lease, seconds: float) -> bool:
        with self._database.writing() as connection:
            until = self._now(connection) + seconds
            change = update(tables.leases).where(_is(lease)).values(expires_at=until)
            return connection.execute(change).rowcount == 1

    def _now(self, connection: Connection) -> ColumnElement[float]:
        if connection.dialect.name == "sqlite":
            return literal(self._clock.now().timestamp(), Double)
        return cast(extract("epoch", func.clock_timestamp()), Double)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(_l.name == lease.name, _l.holder == lease.holder, _l.token == lease.token)


def _is_free(now: ColumnElement[float], ttl_seconds: float) -> ColumnElement[bool]:
    """Whether a lease is over; one that lasts longer than any is given was by a clock set back."""
    return or_(_l.expires_at <= now, _l.expires_at > now + ttl_seconds + _SLACK_SECONDS)


def _lease(row: RowMapping) -> Lease:
    return Lease(
        name=row["name"],
        holder=row["holder"],
        token=row["token"],
        remaining_seconds=row["remaining_seconds"],
        details=json.loads(row["details"]),
    )
