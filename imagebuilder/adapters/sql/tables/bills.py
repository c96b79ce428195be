"""What is in versions: the release that each is of, and where its contents are written down.

The document lies among the blobs; versions with the same contents have the same one.
"""

from sqlalchemy import Column, Index, Table, Text

from imagebuilder.adapters.sql.tables.columns import digest, metadata, version_number

bills = Table(
    "bills",
    metadata,
    version_number(),
    Column("release", Text, nullable=False),
    digest("document_digest"),
    Index(None, "release", "version_number"),
)
