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
    Column("pipeline", String(127)),
    Column("variant", String(127)),
    Column("slot_at", UtcMoment),
    Column("ordered", Text),
    Column("queued_at", UtcMoment),
    Column("attempt", Integer),
    Column("cancelled_by", Text),
    Column("place", Text),
    Index(None, "image", "started_at"),
    Index(None, "started_at"),
    Index(None, "state"),
    Index(None, "pipeline", "started_at"),
    # What makes a slot's run the only one, however many schedulers there are.
    Index(None, "pipeline", "variant", "slot_at", unique=True),
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

run_stages = Table(
    "run_stages",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("stage", String(32), primary_key=True),
    Column("state", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("ended_at", UtcMoment),
    Column("result", Text),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("verdict", String(32), nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
)
