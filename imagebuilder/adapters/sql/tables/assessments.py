"""What scans said of versions: a row for each scan, and one for each rule that it looked at."""

from sqlalchemy import Column, Double, ForeignKeyConstraint, Integer, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import (
    UtcMoment,
    digest,
    metadata,
    position,
    version_number,
)

assessments = Table(
    "assessments",
    metadata,
    version_number(),
    position(),
    Column("profile", Text, nullable=False),
    Column("benchmark", Text, nullable=False),
    Column("stage", String(32), nullable=False),
    Column("engine", Text, nullable=False),
    Column("content_name", Text, nullable=False),
    digest("content_digest"),
    digest("tailoring_digest", is_nullable=True),
    Column("scanned_at", UtcMoment, nullable=False),
    Column("seconds", Double, nullable=False),
    digest("report_digest", is_nullable=True),
    digest("raw_digest", is_nullable=True),
)

# `controls` is a list in JSON: nobody searches by a number of a control.
assessed_controls = Table(
    "assessed_controls",
    metadata,
    Column("version_number", Integer, primary_key=True, autoincrement=False),
    Column("scan_position", Integer, primary_key=True, autoincrement=False),
    position(),
    Column("rule", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("severity", String(32), nullable=False),
    Column("title", Text, nullable=False),
    Column("controls", Text, nullable=False),
    Column("seen", Text, nullable=False),
    ForeignKeyConstraint(
        ["version_number", "scan_position"],
        ["assessments.version_number", "assessments.position"],
    ),
)
