"""What tables are made of: how constraints are named, and columns that many tables have."""

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Dialect, ForeignKey, Integer, MetaData, String
from sqlalchemy.types import TypeDecorator

SCHEMA_REVISION = "0007"
"""The revision that these tables are: the newest in `alembic/versions`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcMoment(TypeDecorator[datetime]):
    """Keeps aware moments as UTC, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment in UTC. Raises: ValueError: it is not aware."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment aware; SQLite gives back what it got, without its zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def digest(name: str, *, is_nullable: bool = False) -> Column[str]:
    """Give a column for the hexadecimal digits of a digest."""
    return Column(name, String(64), nullable=is_nullable)


def version_number() -> Column[int]:
    """Give the column that hangs a row on its version, as a part of its primary key."""
    return Column("version_number", ForeignKey("versions.number"), primary_key=True)


def position() -> Column[int]:
    """Give the column that counts rows of one thing from 0, as a part of their primary key."""
    return Column("position", Integer, primary_key=True, autoincrement=False)
