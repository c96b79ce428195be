"""Versions on their way to targets; `where` is what a carrier finds the place of a target by."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from imagebuilder.adapters.sql.tables.columns import UtcMoment, metadata, position

distributions = Table(
    "distributions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("version_number", ForeignKey("versions.number"), nullable=False),
    Column("name", String(127), nullable=False),
    Column("begun_at", UtcMoment, nullable=False),
    Column("begun_by", Text, nullable=False),
    Column("begun_why", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("id"),
    Index(None, "version_number"),
)

delivery_steps = Table(
    "delivery_steps",
    metadata,
    Column("distribution_number", ForeignKey("distributions.number"), primary_key=True),
    position(),
    Column("target", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("where", Text, nullable=False),
    Column("after", Text),
    Column("state", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("began_at", UtcMoment),
    Column("ended_at", UtcMoment),
    Column("failure", Text),
    UniqueConstraint("distribution_number", "target"),
)
