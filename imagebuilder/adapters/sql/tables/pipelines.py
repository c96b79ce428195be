"""Pipelines as they were applied, what was decided for them, and what the processes agree on."""

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import UtcMoment, digest, metadata

pipelines = Table(
    "pipelines",
    metadata,
    Column("name", String(127), primary_key=True),
    Column("path", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("definition", Text, nullable=False),
    digest("digest"),
    Column("first_applied_at", UtcMoment, nullable=False),
    Column("applied_at", UtcMoment, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("cursor_at", UtcMoment, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("paused_at", UtcMoment),
    Column("paused_by", Text),
    Column("paused_why", Text),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pipeline", String(127), nullable=False),
    Column("variant", String(127), nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("slot_at", UtcMoment),
    Column("run_id", String(64), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "pipeline", "at"),
    Index(None, "run_id"),
)

# `expires_at` is of the database's clock, in seconds since 1970, so that no machine's own matters.
leases = Table(
    "leases",
    metadata,
    Column("name", String(127), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", Integer, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("details", Text, nullable=False),
)

# An outbox: what is to be told is kept with what happened, and told until it arrived.
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcMoment, nullable=False),
    Column("pipeline", String(127), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcMoment),
    Column("delivered_at", UtcMoment),
    Column("error", Text, nullable=False),
    Index(None, "next_at"),
    Index(None, "run_id"),
)

# What was asked from outside, so that the same request is not taken twice.
hook_calls = Table(
    "hook_calls",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", UtcMoment, nullable=False),
    Index(None, "at"),
)
