"""Pipelines, what was decided for them, the stages of their runs, and what is told of them."""

from collections.abc import Iterator

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"

_MOMENT = sa.DateTime(timezone=True)
_RUN_COLUMNS = (
    ("pipeline", sa.String(127)),
    ("variant", sa.String(127)),
    ("slot_at", _MOMENT),
    ("ordered", sa.Text()),
    ("queued_at", _MOMENT),
    ("attempt", sa.Integer()),
    ("cancelled_by", sa.Text()),
    ("place", sa.Text()),
)
_INDEXES = (
    ("runs", ("pipeline", "started_at"), False),
    ("runs", ("pipeline", "variant", "slot_at"), True),
    ("decisions", ("pipeline", "at"), False),
    ("decisions", ("run_id",), False),
    ("notices", ("next_at",), False),
    ("notices", ("run_id",), False),
    ("hook_calls", ("at",), False),
)


def upgrade() -> None:
    """Make the tables; runs that are there are of no pipeline."""
    # Made anew in SQLite too, so that its definition is that of a table which was always so.
    with op.batch_alter_table(
        "runs", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never"
    ) as batch:
        for name, kind in _RUN_COLUMNS:
            batch.add_column(sa.Column(name, kind, nullable=True))
    for name, columns in _tables():
        op.create_table(name, *columns)
    for table, names, is_unique in _INDEXES:
        op.create_index(_index(table, names), table, list(names), unique=is_unique)


def downgrade() -> None:
    """Take them away; runs of pipelines that are not over are forgotten, the others stay."""
    for table, names, _ in reversed(_INDEXES):
        op.drop_index(_index(table, names), table)
    for name, _ in reversed(list(_tables())):
        op.drop_table(name)
    unknown = "state IN ('queued', 'awaiting-approval', 'skipped', 'rejected')"
    op.execute(f"DELETE FROM run_steps WHERE run_id IN (SELECT id FROM runs WHERE {unknown})")  # noqa: S608 - our own words
    op.execute(f"DELETE FROM runs WHERE {unknown}")  # noqa: S608 - our own words
    with op.batch_alter_table("runs") as batch:
        for name, _ in _RUN_COLUMNS:
            batch.drop_column(name)


def _index(table: str, columns: tuple[str, ...]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")


def _tables() -> Iterator[tuple[str, tuple[sa.schema.SchemaItem, ...]]]:
    yield (
        "run_stages",
        (
            sa.Column("run_id", sa.String(64), nullable=False),
            sa.Column("stage", sa.String(32), nullable=False),
            sa.Column("state", sa.String(32), nullable=False),
            sa.Column("attempt", sa.Integer(), nullable=False),
            sa.Column("worker", sa.Text(), nullable=False),
            sa.Column("started_at", _MOMENT, nullable=False),
            sa.Column("ended_at", _MOMENT, nullable=True),
            sa.Column("result", sa.Text(), nullable=True),
            sa.Column("error_code", sa.Text(), nullable=False),
            sa.Column("error", sa.Text(), nullable=False),
            sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_stages_run_id_runs"),
            sa.PrimaryKeyConstraint("run_id", "stage", name="pk_run_stages"),
        ),
    )
    yield (
        "approvals",
        (
            sa.Column("run_id", sa.String(64), nullable=False),
            sa.Column("verdict", sa.String(32), nullable=False),
            sa.Column("at", _MOMENT, nullable=False),
            sa.Column("actor", sa.Text(), nullable=False),
            sa.Column("why", sa.Text(), nullable=False),
            sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_approvals_run_id_runs"),
            sa.PrimaryKeyConstraint("run_id", name="pk_approvals"),
        ),
    )
    yield (
        "pipelines",
        (
            sa.Column("name", sa.String(127), nullable=False),
            sa.Column("path", sa.Text(), nullable=False),
            sa.Column("text", sa.Text(), nullable=False),
            sa.Column("definition", sa.Text(), nullable=False),
            sa.Column("digest", sa.String(64), nullable=False),
            sa.Column("first_applied_at", _MOMENT, nullable=False),
            sa.Column("applied_at", _MOMENT, nullable=False),
            sa.Column("applied_by", sa.Text(), nullable=False),
            sa.Column("cursor_at", _MOMENT, nullable=False),
            sa.Column("failures", sa.Integer(), nullable=False),
            sa.Column("paused_at", _MOMENT, nullable=True),
            sa.Column("paused_by", sa.Text(), nullable=True),
            sa.Column("paused_why", sa.Text(), nullable=True),
            sa.PrimaryKeyConstraint("name", name="pk_pipelines"),
        ),
    )
    yield (
        "decisions",
        (
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("pipeline", sa.String(127), nullable=False),
            sa.Column("variant", sa.String(127), nullable=False),
            sa.Column("at", _MOMENT, nullable=False),
            sa.Column("slot_at", _MOMENT, nullable=True),
            sa.Column("run_id", sa.String(64), nullable=False),
            sa.Column("verdict", sa.String(32), nullable=False),
            sa.Column("document", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        ),
    )
    yield (
        "leases",
        (
            sa.Column("name", sa.String(127), nullable=False),
            sa.Column("holder", sa.Text(), nullable=False),
            sa.Column("token", sa.Integer(), nullable=False),
            sa.Column("expires_at", sa.Double(), nullable=False),
            sa.Column("details", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("name", name="pk_leases"),
        ),
    )
    yield (
        "notices",
        (
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("at", _MOMENT, nullable=False),
            sa.Column("pipeline", sa.String(127), nullable=False),
            sa.Column("run_id", sa.String(64), nullable=False),
            sa.Column("event", sa.String(64), nullable=False),
            sa.Column("target", sa.Text(), nullable=False),
            sa.Column("payload", sa.Text(), nullable=False),
            sa.Column("attempts", sa.Integer(), nullable=False),
            sa.Column("next_at", _MOMENT, nullable=True),
            sa.Column("delivered_at", _MOMENT, nullable=True),
            sa.Column("error", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_notices"),
        ),
    )
    yield (
        "hook_calls",
        (
            sa.Column("digest", sa.String(64), nullable=False),
            sa.Column("at", _MOMENT, nullable=False),
            sa.PrimaryKeyConstraint("digest", name="pk_hook_calls"),
        ),
    )
