"""Distributions: versions on their way to targets, and what carriers made there."""

from typing import Literal

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"

_MOMENT = sa.DateTime(timezone=True)
_BROUGHT_BY = "fk_placements_distribution_id_distributions"


def upgrade() -> None:
    """Make the tables; what was placed before was not brought there by us."""
    op.create_table(
        "distributions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(127), nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("begun_by", "begun_why", "path", "text")
        ),
        sa.ForeignKeyConstraint(
            ["version_number"],
            ["versions.number"],
            name=op.f("fk_distributions_version_number_versions"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_distributions")),
        sa.UniqueConstraint("id", name=op.f("uq_distributions_id")),
    )
    op.create_index(op.f("ix_distributions_version_number"), "distributions", ["version_number"])
    op.create_table(
        "delivery_steps",
        sa.Column("distribution_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("target", "entry", "where")),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("began_at", _MOMENT, nullable=True),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["distribution_number"],
            ["distributions.number"],
            name=op.f("fk_delivery_steps_distribution_number_distributions"),
        ),
        sa.PrimaryKeyConstraint("distribution_number", "position", name=op.f("pk_delivery_steps")),
        sa.UniqueConstraint(
            *("distribution_number", "target"),
            name=op.f("uq_delivery_steps_distribution_number_target"),
        ),
    )
    traits = sa.Column("traits", sa.Text(), nullable=False, server_default="{}")
    is_deleted = sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false())
    with op.batch_alter_table("placements", recreate=_made_anew()) as batch:
        batch.add_column(traits)
        batch.add_column(is_deleted)
        batch.add_column(sa.Column("distribution_id", sa.String(64), nullable=True))
        batch.create_foreign_key(op.f(_BROUGHT_BY), "distributions", ["distribution_id"], ["id"])


def downgrade() -> None:
    """Take them away; placements stay."""
    with op.batch_alter_table("placements", recreate=_made_anew()) as batch:
        batch.drop_constraint(op.f(_BROUGHT_BY), type_="foreignkey")
        batch.drop_column("distribution_id")
        batch.drop_column("is_deleted")
        batch.drop_column("traits")
    op.drop_table("delivery_steps")
    op.drop_index(op.f("ix_distributions_version_number"), "distributions")
    op.drop_table("distributions")


def _made_anew() -> Literal["always", "auto"]:
    # SQLite would add a column so that its definition is not the one that is made directly.
    return "always" if op.get_bind().dialect.name == "sqlite" else "auto"
