"""Half done: a placement is kept as soon as it is there, before all is done for it."""

from typing import Literal

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the column; all that was placed before was done."""
    half_done = sa.Column("is_half_done", sa.Boolean(), nullable=False, server_default=sa.false())
    with op.batch_alter_table("placements", recreate=_made_anew()) as batch:
        batch.add_column(half_done)


def downgrade() -> None:
    """Take it away; what is half done looks as if it were placed, so that it can be withdrawn."""
    with op.batch_alter_table("placements", recreate=_made_anew()) as batch:
        batch.drop_column("is_half_done")


def _made_anew() -> Literal["always", "auto"]:
    # SQLite would add a column so that its definition is not the one that is made directly.
    return "always" if op.get_bind().dialect.name == "sqlite" else "auto"
