"""What is known of versions: bills, assessments, vulnerabilities, waivers, attestations.

Each part adds its own tables below, in a function of its own.
"""

from typing import Literal

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    _count_attempts()
    _make_waivers()
    _make_attestations()
    _make_bills()
    _make_vulnerabilities()
    _make_assessments()
    _make_content_packs()


def downgrade() -> None:
    """Take them away."""
    op.drop_table("content_packs")
    op.drop_table("assessed_controls")
    op.drop_table("assessments")
    _drop_vulnerabilities()
    op.drop_table("bills")
    op.drop_table("attestations")
    op.drop_table("signing_keys")
    op.drop_table("waivers")
    with op.batch_alter_table("test_results", recreate=_made_anew()) as batch:
        batch.drop_column("attempts")


def _count_attempts() -> None:
    # What was recorded before was tried once.
    attempts = sa.Column("attempts", sa.Integer(), nullable=False, server_default="1")
    with op.batch_alter_table("test_results", recreate=_made_anew()) as batch:
        batch.add_column(attempts)


def _made_anew() -> Literal["always", "auto"]:
    # SQLite would add a column so that its definition is not the one that is made directly.
    return "always" if op.get_bind().dialect.name == "sqlite" else "auto"


def _make_waivers() -> None:
    moment = sa.DateTime(timezone=True)
    texts = ("finding", "within", "image", "versions", "reason", "ticket", "owner", "approver")
    op.create_table(
        "waivers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("justification", sa.String(64), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("revoked_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
    )


def _make_attestations() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("first_used_at", moment, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "attestations",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("predicate_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("signed_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_attestations_version_number_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["signing_keys.id"], name=op.f("fk_attestations_key_id_signing_keys")
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_attestations")),
    )
    op.create_index(op.f("ix_attestations_key_id"), "attestations", ["key_id"])


def _make_bills() -> None:
    op.create_table(
        "bills",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_bills_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", name=op.f("pk_bills")),
    )
    name = op.f("ix_bills_release_version_number")
    op.create_index(name, "bills", ["release", "version_number"], unique=False)


def _make_vulnerabilities() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "matches",
        sa.Column("package_set_id", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(127), nullable=False),
        sa.Column("database_digest", sa.String(64), nullable=False),
        sa.Column("matched_at", moment, nullable=False),
        sa.Column("dated_at", moment, nullable=True),
        sa.Column("exploited_dated_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["package_set_id"], ["package_sets.id"], name="fk_matches_package_set_id_package_sets"
        ),
        sa.PrimaryKeyConstraint("package_set_id", "release", name="pk_matches"),
    )
    op.create_table(
        "vulnerable_sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(127), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("installed_version", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vulnerable_sources"),
        sa.UniqueConstraint(
            *("package", "installed_version", "release", "digest"),
            name="uq_vulnerable_sources_package_installed_version_release_digest",
        ),
    )
    op.create_table(
        "match_sources",
        sa.Column("package_set_id", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(127), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["package_set_id", "release"],
            ["matches.package_set_id", "matches.release"],
            name="fk_match_sources_package_set_id_release_matches",
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["vulnerable_sources.id"],
            name="fk_match_sources_source_id_vulnerable_sources",
        ),
        sa.PrimaryKeyConstraint("package_set_id", "release", "source_id", name="pk_match_sources"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_match_sources_source_id"), "match_sources", ["source_id"])
    op.create_table(
        "vulnerabilities",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("cve", sa.String(64), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("is_known_exploited", sa.Boolean(), nullable=False),
        sa.Column("epss", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("advisories", sa.Text(), nullable=False),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["vulnerable_sources.id"],
            name="fk_vulnerabilities_source_id_vulnerable_sources",
        ),
        sa.PrimaryKeyConstraint("source_id", "cve", name="pk_vulnerabilities"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_vulnerabilities_cve"), "vulnerabilities", ["cve"])


def _drop_vulnerabilities() -> None:
    op.drop_index(op.f("ix_vulnerabilities_cve"), "vulnerabilities")
    op.drop_table("vulnerabilities")
    op.drop_index(op.f("ix_match_sources_source_id"), "match_sources")
    op.drop_table("match_sources")
    op.drop_table("vulnerable_sources")
    op.drop_table("matches")


def _make_assessments() -> None:
    texts = ("profile", "benchmark", "engine", "content_name")
    op.create_table(
        "assessments",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("content_digest", sa.String(64), nullable=False),
        sa.Column("tailoring_digest", sa.String(64), nullable=True),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("report_digest", sa.String(64), nullable=True),
        sa.Column("raw_digest", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_assessments_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_assessments")),
    )
    positions = ("version_number", "scan_position", "position")
    op.create_table(
        "assessed_controls",
        *(sa.Column(name, sa.Integer(), nullable=False, autoincrement=False) for name in positions),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "controls", "seen")),
        sa.ForeignKeyConstraint(
            ["version_number", "scan_position"],
            ["assessments.version_number", "assessments.position"],
            name=op.f("fk_assessed_controls_version_number_scan_position_assessments"),
        ),
        sa.PrimaryKeyConstraint(*positions, name=op.f("pk_assessed_controls")),
    )


def _make_content_packs() -> None:
    texts = ("name", "version", "benchmark", "releases", "profiles")
    op.create_table(
        "content_packs",
        sa.Column("digest", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_content_packs")),
    )
