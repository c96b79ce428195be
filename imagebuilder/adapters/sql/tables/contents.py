"""What versions share: packages, layers, plans, documents. Each is stored once.

A catalogue of a million versions has far fewer sets of packages: most builds change none, or are
tested twice. So a version names its set, and two versions with the same packages name the same one.

Layers are a trie. A stack is its top layer on the stack below it, and the versions built on a
parent image share all of the parent's; what a version adds of its own is one row for each of its
components. A stack is read by following `below_id` down, what stands on a layer by going up.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from imagebuilder.adapters.sql.tables.columns import digest, metadata

packages = Table(
    "packages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", Text, nullable=False),
    UniqueConstraint("name", "version", "architecture", "source", "source_version"),
)

# The digest is over the packages themselves, sorted, so that it is the same in every catalogue.
package_sets = Table(
    "package_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    digest("digest"),
    Column("package_count", Integer, nullable=False),
    UniqueConstraint("digest"),
)

# Without a rowid, SQLite stores a member once in the key itself and once in the index.
package_set_members = Table(
    "package_set_members",
    metadata,
    Column("set_id", ForeignKey("package_sets.id"), nullable=False),
    Column("package_id", ForeignKey("packages.id"), nullable=False),
    PrimaryKeyConstraint("set_id", "package_id"),
    Index(None, "package_id", "set_id"),
    sqlite_with_rowid=False,
)

# The digest is over that of the stack below and the layer's own fields.
layer_stacks = Table(
    "layer_stacks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("below_id", ForeignKey("layer_stacks.id")),
    digest("digest"),
    Column("name", Text, nullable=False),
    digest("key"),
    digest("content"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("component_version", String(64), nullable=False),
    digest("component_digest", is_nullable=True),
    Column("parameters", Text, nullable=False),
    UniqueConstraint("digest"),
    Index(None, "below_id"),
    Index(None, "name"),
    Index(None, "key"),
    Index(None, "content"),
    # All that finding a digest asks for: of some components, layers are all over the table.
    Index(None, "component_digest", "name", "component_version", "id"),
)

# Versions that were built from the same, one after the other, have the same plan.
plans = Table(
    "plans",
    metadata,
    Column("id", Integer, primary_key=True),
    digest("text_digest"),
    Column("text", Text, nullable=False),
    UniqueConstraint("text_digest"),
)

documents = Table(
    "documents",
    metadata,
    Column("text_digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

# What the updates of all builds are known to mend: who has less than the fixed version is open.
cve_fixes = Table(
    "cve_fixes",
    metadata,
    Column("cve", String(64), primary_key=True),
    Column("package", Text, primary_key=True),
    Column("fixed_version", Text, primary_key=True),
    sqlite_with_rowid=False,
)
