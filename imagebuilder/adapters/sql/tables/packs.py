"""Packs of content that were added: what scans are made with; their files are blobs."""

from sqlalchemy import Column, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import UtcMoment, metadata

# `releases` and `profiles` are lists in JSON: there are few packs, and all are read at once.
content_packs = Table(
    "content_packs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("benchmark", Text, nullable=False),
    Column("releases", Text, nullable=False),
    Column("profiles", Text, nullable=False),
    Column("added_at", UtcMoment, nullable=False),
)
