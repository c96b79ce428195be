"""What people accept of findings; a waiver names images by a pattern, so it hangs on none."""

from sqlalchemy import Column, String, Table, Text

from imagebuilder.adapters.sql.tables.columns import UtcMoment, metadata

waivers = Table(
    "waivers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("finding", Text, nullable=False),
    Column("within", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("versions", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("justification", String(64)),
    Column("ticket", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("approver", Text, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment, nullable=False),
    Column("revoked_at", UtcMoment),
    Column("revoked_by", Text),
    Column("revoked_why", Text),
)
