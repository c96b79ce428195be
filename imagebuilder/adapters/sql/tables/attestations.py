"""What was signed about versions, and the public keys that signed it."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import (
    UtcMoment,
    digest,
    metadata,
    position,
    version_number,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("algorithm", String(32), nullable=False),
    Column("pem", Text, nullable=False),
    Column("first_used_at", UtcMoment, nullable=False),
    Column("state", String(32), nullable=False),
    Column("ended_at", UtcMoment),
    Column("ended_by", Text),
    Column("ended_why", Text),
)

attestations = Table(
    "attestations",
    metadata,
    version_number(),
    position(),
    Column("predicate_type", Text, nullable=False),
    digest("digest"),
    Column("key_id", ForeignKey("signing_keys.id"), nullable=False),
    Column("signed_at", UtcMoment, nullable=False),
    Index(None, "key_id"),
)
