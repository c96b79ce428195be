"""What is said of versions: channels, revocations, retention, labels, placements; and the audit."""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables; nothing was said of any version before."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_table(
        "retention_plans",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_plans")),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_channels_image_id_images")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("image_id", "name", name=op.f("uq_channels_image_id_name")),
    )
    op.create_index(op.f("ix_channels_name"), "channels", ["name"], unique=False)
    op.create_table(
        "image_descriptions",
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_descriptions_image_id_images")
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_descriptions")),
    )
    op.create_table(
        "image_labels",
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_labels_image_id_images")
        ),
        sa.PrimaryKeyConstraint("image_id", "name", name=op.f("pk_image_labels")),
    )
    op.create_index(
        op.f("ix_image_labels_name_value"), "image_labels", ["name", "value"], unique=False
    )
    op.create_table(
        "channel_moves",
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=63), nullable=True),
        sa.Column("old_number", sa.Integer(), nullable=True),
        sa.Column("new_number", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_channel_moves_channel_id_channels")
        ),
        sa.ForeignKeyConstraint(
            ["new_number"], ["versions.number"], name=op.f("fk_channel_moves_new_number_versions")
        ),
        sa.ForeignKeyConstraint(
            ["old_number"], ["versions.number"], name=op.f("fk_channel_moves_old_number_versions")
        ),
        sa.PrimaryKeyConstraint("channel_id", "position", name=op.f("pk_channel_moves")),
    )
    op.create_index(
        op.f("ix_channel_moves_new_number"), "channel_moves", ["new_number"], unique=False
    )
    op.create_table(
        "lifecycles",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("lifecycle", sa.String(length=32), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("freed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_lifecycles_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "lifecycle", name=op.f("pk_lifecycles")),
    )
    op.create_index(op.f("ix_lifecycles_lifecycle"), "lifecycles", ["lifecycle"], unique=False)
    op.create_table(
        "placements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_why", sa.Text(), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.Column("withdrawn_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_placements_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placements")),
        sa.UniqueConstraint("target", "external_id", name=op.f("uq_placements_target_external_id")),
    )
    op.create_index(op.f("ix_placements_external_id"), "placements", ["external_id"], unique=False)
    op.create_index(
        op.f("ix_placements_version_number"), "placements", ["version_number"], unique=False
    )
    op.create_table(
        "revocations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reaches_descendants", sa.Boolean(), nullable=False),
        sa.Column("rolls_channels_back", sa.Boolean(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_by", sa.Text(), nullable=True),
        sa.Column("restored_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_revocations_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocations")),
    )
    op.create_index(
        op.f("ix_revocations_version_number"), "revocations", ["version_number"], unique=False
    )
    op.create_table(
        "version_descriptions",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_version_descriptions_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", name=op.f("pk_version_descriptions")),
    )
    op.create_table(
        "version_labels",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_version_labels_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("version_number", "name", name=op.f("pk_version_labels")),
    )
    op.create_index(
        op.f("ix_version_labels_name_value"), "version_labels", ["name", "value"], unique=False
    )
    _keep_the_audit()


def downgrade() -> None:
    """Take the tables away, with what they hold."""
    op.drop_index(op.f("ix_version_labels_name_value"), table_name="version_labels")
    op.drop_table("version_labels")
    op.drop_table("version_descriptions")
    op.drop_index(op.f("ix_revocations_version_number"), table_name="revocations")
    op.drop_table("revocations")
    op.drop_index(op.f("ix_placements_version_number"), table_name="placements")
    op.drop_index(op.f("ix_placements_external_id"), table_name="placements")
    op.drop_table("placements")
    op.drop_index(op.f("ix_lifecycles_lifecycle"), table_name="lifecycles")
    op.drop_table("lifecycles")
    op.drop_index(op.f("ix_channel_moves_new_number"), table_name="channel_moves")
    op.drop_table("channel_moves")
    op.drop_index(op.f("ix_image_labels_name_value"), table_name="image_labels")
    op.drop_table("image_labels")
    op.drop_table("image_descriptions")
    op.drop_index(op.f("ix_channels_name"), table_name="channels")
    op.drop_table("channels")
    op.drop_table("retention_plans")
    op.drop_index(op.f("ix_audit_subject"), table_name="audit")
    op.drop_index(op.f("ix_audit_at"), table_name="audit")
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_kept()")


def _keep_the_audit() -> None:
    """Let the database itself refuse to change or drop what was audited."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_keeps_{change.lower()} BEFORE {change} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"
    )
