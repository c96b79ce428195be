"""The first catalogue: versions with all that belongs to them, and runs."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "documents",
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("text_digest", name=op.f("pk_documents")),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=127), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("name", name=op.f("uq_images_name")),
    )
    op.create_table(
        "packages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
        sa.UniqueConstraint(
            "name",
            "version",
            "architecture",
            "source",
            "source_version",
            name=op.f("uq_packages_name_version_architecture_source_source_version"),
        ),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("image", sa.String(length=127), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version_id", sa.String(length=64), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_image_started_at"), "runs", ["image", "started_at"], unique=False)
    op.create_index(op.f("ix_runs_started_at"), "runs", ["started_at"], unique=False)
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], unique=False)
    op.create_table(
        "run_steps",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_steps_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_run_steps")),
    )
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("build", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("definition_digest", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("disk_digest", sa.String(length=64), nullable=False),
        sa.Column("parent_asked", sa.Text(), nullable=False),
        sa.Column("parent_identity", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_versions_image_id_images")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["versions.id"], name=op.f("fk_versions_parent_id_versions")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_versions")),
        sa.UniqueConstraint("id", name=op.f("uq_versions_id")),
        sa.UniqueConstraint(
            "image_id",
            "major",
            "minor",
            "patch",
            "build",
            name=op.f("uq_versions_image_id_major_minor_patch_build"),
        ),
    )
    op.create_table(
        "artifacts",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("virtual_size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_artifacts_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "indexes",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"], ["versions.number"], name=op.f("fk_indexes_version_number_versions")
        ),
        sa.PrimaryKeyConstraint("version_number", "address", name=op.f("pk_indexes")),
    )
    op.create_table(
        "test_reports",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("crash", sa.Text(), nullable=False),
        sa.Column("evidence", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_test_reports_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_test_reports")),
    )
    op.create_table(
        "version_documents",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["text_digest"],
            ["documents.text_digest"],
            name=op.f("fk_version_documents_text_digest_documents"),
        ),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_version_documents_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_version_documents")),
    )
    op.create_table(
        "version_layers",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("component_version", sa.String(length=64), nullable=False),
        sa.Column("component_digest", sa.String(length=64), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_version_layers_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "position", name=op.f("pk_version_layers")),
    )
    op.create_table(
        "version_packages",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["package_id"], ["packages.id"], name=op.f("fk_version_packages_package_id_packages")
        ),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_version_packages_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "package_id", name=op.f("pk_version_packages")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "test_results",
        sa.Column("version_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("report_position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number", "report_position"],
            ["test_reports.version_number", "test_reports.position"],
            name=op.f("fk_test_results_version_number_report_position_test_reports"),
        ),
        sa.PrimaryKeyConstraint(
            "version_number", "report_position", "position", name=op.f("pk_test_results")
        ),
    )


def downgrade() -> None:
    """Take every table away, with what it holds."""
    op.drop_table("test_results")
    op.drop_table("version_packages")
    op.drop_table("version_layers")
    op.drop_table("version_documents")
    op.drop_table("test_reports")
    op.drop_table("indexes")
    op.drop_table("artifacts")
    op.drop_table("versions")
    op.drop_table("run_steps")
    op.drop_index(op.f("ix_runs_state"), table_name="runs")
    op.drop_index(op.f("ix_runs_started_at"), table_name="runs")
    op.drop_index(op.f("ix_runs_image_started_at"), table_name="runs")
    op.drop_table("runs")
    op.drop_table("packages")
    op.drop_table("images")
    op.drop_table("documents")
