"""What advisories say of sets of packages: versions with the same packages share it.

Sets share it too: what is said of a source package in a release stands once, however many sets have
that version of it, and nine in ten of all vulnerabilities are those of a few kernels. A source
never changes: what is said differently tomorrow is another source, so that a set that nobody looked
at yet keeps what was found of it.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from imagebuilder.adapters.sql.tables.columns import UtcMoment, digest, metadata

# A set without a row was never looked at; one without a date is of a release nobody spoke of.
matches = Table(
    "matches",
    metadata,
    Column("package_set_id", ForeignKey("package_sets.id"), nullable=False),
    Column("release", String(127), nullable=False),
    digest("database_digest"),
    Column("matched_at", UtcMoment, nullable=False),
    Column("dated_at", UtcMoment),
    Column("exploited_dated_at", UtcMoment),
    PrimaryKeyConstraint("package_set_id", "release"),
)

# The digest is over its vulnerabilities, without when they were first seen.
vulnerable_sources = Table(
    "vulnerable_sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release", String(127), nullable=False),
    Column("package", Text, nullable=False),
    Column("installed_version", Text, nullable=False),
    digest("digest"),
    UniqueConstraint("package", "installed_version", "release", "digest"),
)

match_sources = Table(
    "match_sources",
    metadata,
    Column("package_set_id", Integer, nullable=False),
    Column("release", String(127), nullable=False),
    Column("source_id", ForeignKey("vulnerable_sources.id"), nullable=False),
    PrimaryKeyConstraint("package_set_id", "release", "source_id"),
    ForeignKeyConstraint(
        ["package_set_id", "release"], ["matches.package_set_id", "matches.release"]
    ),
    Index(None, "source_id"),
    sqlite_with_rowid=False,
)

vulnerabilities = Table(
    "vulnerabilities",
    metadata,
    Column("source_id", ForeignKey("vulnerable_sources.id"), nullable=False),
    Column("cve", String(64), nullable=False),
    Column("fixed_version", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("severity", String(32), nullable=False),
    Column("is_known_exploited", Boolean, nullable=False),
    Column("epss", Double),
    Column("reason", Text, nullable=False),
    Column("advisories", Text, nullable=False),
    Column("first_seen_at", UtcMoment, nullable=False),
    PrimaryKeyConstraint("source_id", "cve"),
    Index(None, "cve"),
    sqlite_with_rowid=False,
)
