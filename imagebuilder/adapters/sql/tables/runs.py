"""What happened in runs.

A run's image need not have a version, and a version outlives its run: so no foreign keys here.
"""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import UtcMoment, metadata

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("image", String(127), nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("ended_at", UtcMoment),
    Column("version_id", String(64)),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "image", "started_at"),
    Index(None, "started_at"),
    Index(None, "state"),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("detail", Text, nullable=False),
)
