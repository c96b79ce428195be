"""What versions share is stored once: sets of packages, stacks of layers, plans."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"

_BATCH = 1000
_INDEXES = {
    "versions": (
        ("image_id", "number"),
        ("run_id",),
        ("created_at",),
        ("plan_digest",),
        ("definition_digest",),
        ("disk_digest",),
        ("parent_id",),
        ("copied_from",),
        ("package_set_id", "image_id", "number"),
        ("stack_id", "number"),
    ),
    "artifacts": (("digest",),),
    "version_documents": (("digest",),),
    "indexes": (("digest",),),
}
_PACKAGE = ("name", "version", "architecture", "source", "source_version")
_LAYER = (
    "name",
    "key",
    "content",
    "size_bytes",
    "component_version",
    "component_digest",
    "parameters",
)
# As they stand while rows are moved; names are enough for that.
_versions = sa.table(
    "versions",
    sa.column("number"),
    sa.column("id"),
    sa.column("plan"),
    sa.column("plan_id"),
    sa.column("package_set_id"),
    sa.column("stack_id"),
)
_packages = sa.table("packages", sa.column("id"), *map(sa.column, _PACKAGE))
_links = sa.table("version_packages", sa.column("version_number"), sa.column("package_id"))
_layers = sa.table(
    "version_layers", sa.column("version_number"), sa.column("position"), *map(sa.column, _LAYER)
)
_members = sa.table("package_set_members", sa.column("set_id"), sa.column("package_id"))
_fixes = sa.table("cve_fixes", sa.column("cve"), sa.column("package"), sa.column("fixed_version"))


def _keyed(name: str, *columns: str) -> sa.Table:
    """Give a table that numbers its rows, so that what was written can be asked for its number."""
    given = (sa.Column(column) for column in columns)
    return sa.Table(name, sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *given)


_sets = _keyed("package_sets", "digest", "package_count")
_stacks = _keyed("layer_stacks", "below_id", "digest", *_LAYER)
_plans = _keyed("plans", "text_digest", "text")


def upgrade() -> None:
    """Make the shared tables, move what versions have into them, and find by more columns."""
    _make_tables()
    with op.batch_alter_table("versions") as batch:
        batch.add_column(sa.Column("plan_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("copied_from", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("package_set_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("stack_id", sa.Integer(), nullable=True))
    _share_packages()
    _share_layers()
    _share_plans()
    with op.batch_alter_table("versions") as batch:
        batch.alter_column("plan_id", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("package_set_id", existing_type=sa.Integer(), nullable=False)
        batch.drop_column("plan")
        for column, table, key in (
            ("plan_id", "plans", "id"),
            ("copied_from", "versions", "id"),
            ("package_set_id", "package_sets", "id"),
            ("stack_id", "layer_stacks", "id"),
        ):
            name = op.f(f"fk_versions_{column}_{table}")
            batch.create_foreign_key(name, table, [column], [key])
    op.drop_table("version_packages")
    op.drop_table("version_layers")
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            name = op.f(f"ix_{table}_{'_'.join(columns)}")
            op.create_index(name, table, list(columns), unique=False)
    if op.get_bind().dialect.name == "postgresql":
        # Where the database sorts as people do, only these find the start of a name or an id.
        op.execute('CREATE INDEX ix_versions_id_bytes ON versions (id COLLATE "C")')
        op.execute('CREATE INDEX ix_images_name_bytes ON images (name COLLATE "C")')


def downgrade() -> None:
    """Give each version its own rows again; what it was copied from is forgotten."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX ix_versions_id_bytes")
        op.execute("DROP INDEX ix_images_name_bytes")
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table_name=table)
    _make_own_tables()
    with op.batch_alter_table("versions") as batch:
        batch.add_column(sa.Column("plan", sa.Text(), nullable=True))
    _unshare()
    with op.batch_alter_table("versions") as batch:
        batch.alter_column("plan", existing_type=sa.Text(), nullable=False)
        for column, table in (
            ("plan_id", "plans"),
            ("copied_from", "versions"),
            ("package_set_id", "package_sets"),
            ("stack_id", "layer_stacks"),
        ):
            batch.drop_constraint(op.f(f"fk_versions_{column}_{table}"), type_="foreignkey")
            batch.drop_column(column)
    for name in ("cve_fixes", "package_set_members", "package_sets", "layer_stacks", "plans"):
        op.drop_table(name)


def _make_tables() -> None:
    op.create_table(
        "package_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("package_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_sets")),
        sa.UniqueConstraint("digest", name=op.f("uq_package_sets_digest")),
    )
    op.create_table(
        "package_set_members",
        sa.Column("set_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_id"], ["package_sets.id"], name=op.f("fk_package_set_members_set_id_package_sets")
        ),
        sa.ForeignKeyConstraint(
            ["package_id"],
            ["packages.id"],
            name=op.f("fk_package_set_members_package_id_packages"),
        ),
        sa.PrimaryKeyConstraint("set_id", "package_id", name=op.f("pk_package_set_members")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_package_set_members_package_id_set_id"),
        "package_set_members",
        ["package_id", "set_id"],
        unique=False,
    )
    op.create_table(
        "layer_stacks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("below_id", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        *_layer_columns(),
        sa.ForeignKeyConstraint(
            ["below_id"], ["layer_stacks.id"], name=op.f("fk_layer_stacks_below_id_layer_stacks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layer_stacks")),
        sa.UniqueConstraint("digest", name=op.f("uq_layer_stacks_digest")),
    )
    component = ("component_digest", "name", "component_version", "id")
    for columns in (("below_id",), ("name",), ("key",), ("content",), component):
        name = op.f(f"ix_layer_stacks_{'_'.join(columns)}")
        op.create_index(name, "layer_stacks", list(columns), unique=False)
    op.create_table(
        "plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("text_digest", name=op.f("uq_plans_text_digest")),
    )
    op.create_table(
        "cve_fixes",
        sa.Column("cve", sa.String(length=64), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cve", "package", "fixed_version", name=op.f("pk_cve_fixes")),
        sqlite_with_rowid=False,
    )


def _make_own_tables() -> None:
    op.create_table(
        "version_layers",
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        *_layer_columns(),
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


def _layer_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("component_version", sa.String(length=64), nullable=False),
        sa.Column("component_digest", sa.String(length=64), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
    ]


def _share_packages() -> None:
    known: dict[str, int] = {}
    named = {row.id: list(row)[1:] for row in op.get_bind().execute(sa.select(_packages))}
    for number in _numbers():
        query = sa.select(_links.c.package_id).where(_links.c.version_number == number)
        ids = list(op.get_bind().scalars(query))
        digest = _digest(sorted(named[package_id] for package_id in ids))
        if digest not in known:
            known[digest] = _new(_sets, digest=digest, package_count=len(ids))
            _write(_members, [{"set_id": known[digest], "package_id": id_} for id_ in ids])
        _set(number, package_set_id=known[digest])


def _share_layers() -> None:
    known: dict[str, int] = {}
    fields = [_layers.c[name] for name in _LAYER]
    for number in _numbers():
        below: tuple[int | None, str | None] = (None, None)
        query = sa.select(*fields).where(_layers.c.version_number == number)
        for row in op.get_bind().execute(query.order_by(_layers.c.position)).mappings().all():
            digest = _digest({**row, "below": below[1]})
            if digest not in known:
                known[digest] = _new(_stacks, digest=digest, below_id=below[0], **row)
            below = known[digest], digest
        _set(number, stack_id=below[0])


def _share_plans() -> None:
    known: dict[str, int] = {}
    fixes: set[tuple[str, str, str]] = set()
    for number in _numbers():
        query = sa.select(_versions.c.plan).where(_versions.c.number == number)
        text = op.get_bind().execute(query).scalar_one()
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest not in known:
            known[digest] = _new(_plans, text_digest=digest, text=text)
            fixes.update(_fixes_in(text))
        _set(number, plan_id=known[digest])
    columns = ("cve", "package", "fixed_version")
    _write(_fixes, [dict(zip(columns, fix, strict=True)) for fix in sorted(fixes)])


def _fixes_in(text: str) -> Iterator[tuple[str, str, str]]:
    """Give what the updates of a plan mend; nothing of a plan that says it in another form."""
    for answer in _mappings(_mapping(json.loads(text)).get("upgrades")):
        for update in _mappings(answer):
            upgrades = update.get("upgrades")
            for upgrade in upgrades if isinstance(upgrades, list) else ():
                known = _mapping(upgrade)
                cves, package, version = map(known.get, ("cves", "name", "new_version"))
                if isinstance(cves, list) and isinstance(package, str) and isinstance(version, str):
                    yield from ((str(cve), package, version) for cve in cves)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Give the mappings among the values of one."""
    return (each for each in _mapping(value).values() if isinstance(each, Mapping))


def _unshare() -> None:
    link = sa.select(_versions.c.number, _members.c.package_id).join_from(
        _versions, _members, _members.c.set_id == _versions.c.package_set_id
    )
    names = ["version_number", "package_id"]
    op.get_bind().execute(sa.insert(_links).from_select(names, link))
    text = sa.select(_plans.c.text).where(_plans.c.id == _versions.c.plan_id).scalar_subquery()
    op.get_bind().execute(sa.update(_versions).values(plan=text))
    query = sa.select(_versions.c.number, _versions.c.stack_id).order_by(_versions.c.stack_id)
    rows = op.get_bind().execute(query.where(_versions.c.stack_id.is_not(None))).all()
    for stack_id, versions in groupby(rows, key=lambda row: row.stack_id):
        layers = _stack(stack_id)
        for version in versions:
            positions = enumerate(layers)
            own = [{"version_number": version.number, "position": p} | row for p, row in positions]
            _write(_layers, own)


def _stack(stack_id: int | None) -> list[dict[str, Any]]:
    """Give the layers of a stack, the lowest first."""
    found: list[dict[str, Any]] = []
    while stack_id is not None:
        query = sa.select(_stacks).where(_stacks.c.id == stack_id)
        row = op.get_bind().execute(query).mappings().one()
        found.insert(0, {name: row[name] for name in _LAYER})
        stack_id = row["below_id"]
    return found


def _numbers() -> Iterator[int]:
    """Give the number of every version, read in parts while others are written."""
    last = -1
    column = _versions.c.number
    while some := list(
        op.get_bind().scalars(sa.select(column).where(column > last).order_by(column).limit(_BATCH))
    ):
        yield from some
        last = some[-1]


def _set(number: int, **values: int | None) -> None:
    op.get_bind().execute(sa.update(_versions).where(_versions.c.number == number).values(**values))


def _new(table: sa.Table, **values: Any) -> int:  # noqa: ANN401 - as the database gave them
    key = op.get_bind().execute(sa.insert(table).values(**values)).inserted_primary_key
    if key is None:
        raise AssertionError(f"{table.name} numbers its rows")
    return int(key[0])


def _write(table: sa.TableClause, rows: list[dict[str, Any]]) -> None:
    if rows:
        op.get_bind().execute(sa.insert(table), rows)


def _digest(value: object) -> str:
    """Give the digest of a value's canonical JSON, as it was when this revision was made."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
