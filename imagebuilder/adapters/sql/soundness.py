"""Whether the rows of a catalogue are what was written, and fit together.

A database keeps its own references only as long as nobody wrote to it with them switched off, and
knows nothing of digests and histories.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import groupby, islice
from operator import itemgetter

from sqlalchemy import (
    Connection,
    ForeignKeyConstraint,
    RowMapping,
    Select,
    Table,
    and_,
    or_,
    select,
    text,
)

from imagebuilder.adapters.sql import mapping, neutral_rows, tables
from imagebuilder.adapters.sql.recording import package_columns
from imagebuilder.domain.advisory import FixState
from imagebuilder.domain.attestation import KeyAlgorithm, KeyState
from imagebuilder.domain.audit import AuditAction
from imagebuilder.domain.channel import MoveKind
from imagebuilder.domain.control import ControlOutcome
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.distribution import DeliveryState
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import RunState, StepState
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.waiver import Justification
from imagebuilder.ports.catalogue_care import CatalogueFault, OnRows, StoredThing

_PUT_BACK = "Put back a backup from before it with: imagebuilder catalogue restore FILE"
_SHOWN = 20
"""So many faults of one kind are enough to know it by."""
_DIGESTS = frozenset(
    {
        *("digest", "text_digest", "key", "content", "evidence", "component_digest"),
        *("plan_digest", "definition_digest", "disk_digest", "document_digest", "key_id"),
        *("database_digest", "content_digest", "tailoring_digest", "report_digest", "raw_digest"),
    }
)
_JSON = frozenset(
    {
        *("plan", "parameters", "before", "after", "gate", "advisories", "controls"),
        *("traits", "where", "failure"),
    }
)
_ENUMS: Mapping[tuple[str, str], type[StrEnum]] = {
    ("artifacts", "format"): ArtifactFormat,
    ("assessed_controls", "outcome"): ControlOutcome,
    ("assessed_controls", "severity"): Severity,
    ("assessments", "stage"): Stage,
    ("audit", "action"): AuditAction,
    ("channel_moves", "kind"): MoveKind,
    ("delivery_steps", "state"): DeliveryState,
    ("lifecycles", "lifecycle"): Lifecycle,
    ("signing_keys", "algorithm"): KeyAlgorithm,
    ("signing_keys", "state"): KeyState,
    ("run_steps", "state"): StepState,
    ("runs", "state"): RunState,
    ("test_reports", "stage"): Stage,
    ("test_results", "outcome"): Outcome,
    ("waivers", "justification"): Justification,
    ("waivers", "kind"): FindingKind,
    ("vulnerabilities", "severity"): Severity,
    ("vulnerabilities", "state"): FixState,
}


def faults(connection: Connection, on_rows: OnRows) -> Iterator[CatalogueFault]:
    """Read everything and give what is wrong."""
    yield from _broken_pages(connection)
    for table in neutral_rows.own_tables():
        for constraint in table.foreign_key_constraints:
            yield from _lost_references(connection, table, constraint)
        yield from islice(_wrong_values(connection, table, on_rows), _SHOWN)
    yield from islice(_wrong_sets(connection), _SHOWN)
    yield from islice(_wrong_stacks(connection), _SHOWN)
    yield from _wrong_lineage(connection)
    yield from _wrong_histories(connection)
    yield from _wrong_revocations(connection)
    yield from _wrong_waivers(connection)


def stored_things(connection: Connection) -> Iterator[StoredThing]:
    """Give the artifacts, evidence and bills of versions that still have their files."""
    v, a, r = tables.versions.c, tables.artifacts.c, tables.test_reports.c
    t = tables.attestations.c
    b, s = tables.bills.c, tables.assessments.c
    gone = select(tables.lifecycles.c.version_number).where(
        or_(
            tables.lifecycles.c.lifecycle == Lifecycle.DELETED.value,
            tables.lifecycles.c.freed_at.is_not(None),
        )
    )
    named = (tables.images.c.name, v.major, v.minor, v.patch, v.build)
    queries = (
        select(*named, a.format.label("what"), a.digest, a.size_bytes).join_from(
            tables.artifacts, tables.versions, a.version_number == v.number
        ),
        select(*named, text("'evidence of its tests' AS what"), r.evidence, text("NULL AS size"))
        .join_from(tables.test_reports, tables.versions, r.version_number == v.number)
        .where(r.evidence.is_not(None)),
        select(
            *named, text("'bundle of what was signed' AS what"), t.digest, text("NULL AS size")
        ).join_from(tables.attestations, tables.versions, t.version_number == v.number),
        select(
            *named, text("'bill of materials' AS what"), b.document_digest, text("NULL AS size")
        ).join_from(tables.bills, tables.versions, b.version_number == v.number),
        *(
            select(*named, text(f"'{what} of a scan' AS what"), column, text("NULL AS size"))
            .join_from(tables.assessments, tables.versions, s.version_number == v.number)
            .where(column.is_not(None))
            for what, column in (("report", s.report_digest), ("result", s.raw_digest))
        ),
    )
    for query in queries:
        images = query.join(tables.images, tables.images.c.id == v.image_id)
        for row in connection.execute(images.where(v.number.not_in(gone)).order_by(v.number)):
            name, major, minor, patch, build, what, digest, size_bytes = row
            yield StoredThing(
                version=f"{name}@{major}.{minor}.{patch}/{build}",
                what=what,
                digest=Digest(digest),
                size_bytes=size_bytes,
            )


def _fault(where: str, what: str) -> CatalogueFault:
    return CatalogueFault(where=where, what=what, hint=_PUT_BACK)


def _broken_pages(connection: Connection) -> Iterator[CatalogueFault]:
    """Let SQLite look at its own file; a server sees to its pages whenever it reads them."""
    if connection.dialect.name != "sqlite":
        return
    for said in connection.execute(text(f"PRAGMA integrity_check({_SHOWN})")).scalars():
        if said != "ok":
            yield _fault("the file", str(said))


def _lost_references(
    connection: Connection, table: Table, constraint: ForeignKeyConstraint
) -> Iterator[CatalogueFault]:
    target = constraint.referred_table.alias("target")
    pairs = [(e.parent, target.c[e.column.name]) for e in constraint.elements]
    matches = select(*target.primary_key).where(and_(*(own == other for own, other in pairs)))
    query = select(table).where(
        and_(*(own.is_not(None) for own, _ in pairs)), ~matches.correlate(table).exists()
    )
    for row in connection.execute(query.limit(_SHOWN)).mappings():
        named = ", ".join(f"{own.name} {row[own.name]}" for own, _ in pairs)
        yield _fault(
            _place(table, row), f"It names {named}, which {constraint.referred_table.name} has not."
        )


def _wrong_values(
    connection: Connection, table: Table, on_rows: OnRows
) -> Iterator[CatalogueFault]:
    checks = _checks(table)
    for row in _rows(connection, select(table).order_by(*table.primary_key)):
        on_rows(table.name, 1)
        for column, check in checks:
            value = row[column]
            if value is None:
                continue
            try:
                check(str(value))
            except ValueError as error:
                yield _fault(_place(table, row), f"Its {column} makes no sense: {error}.")
        if "text_digest" in row and "text" in row:
            found = Digest.of_bytes(str(row["text"]).encode()).hex
            if found != row["text_digest"]:
                yield _fault(_place(table, row), f"Its text has the digest {found}.")


def _checks(table: Table) -> list[tuple[str, Callable[[str], object]]]:
    checks: list[tuple[str, Callable[[str], object]]] = []
    for column in table.columns.keys():  # noqa: SIM118 - columns iterate as columns
        kind = _ENUMS.get((table.name, column))
        if kind is not None:
            checks.append((column, kind))
        elif column in _DIGESTS:
            checks.append((column, Digest))
        elif column in _JSON:
            checks.append((column, json.loads))
    return checks


def _wrong_sets(connection: Connection) -> Iterator[CatalogueFault]:
    """A set of packages is known by the digest of its packages, so they must be those."""
    sets, members = tables.package_sets.c, tables.package_set_members.c
    query = (
        select(tables.package_sets, *package_columns())
        .outerjoin(tables.package_set_members, members.set_id == sets.id)
        .outerjoin(tables.packages, tables.packages.c.id == members.package_id)
        .order_by(sets.id)
    )
    for _, rows in groupby(_rows(connection, query), key=itemgetter("id")):
        members_ = list(rows)
        first = members_[0]
        packages = sorted(mapping.package(row) for row in members_ if row["name"] is not None)
        found = mapping.package_set_digest(packages)
        if found != first["digest"]:
            what = f"Its packages have the digest {found}, not {first['digest']}."
            yield _fault(_place(tables.package_sets, first), what)
        elif len(packages) != first["package_count"]:
            what = f"It has {len(packages)} packages, not {first['package_count']}."
            yield _fault(_place(tables.package_sets, first), what)


def _wrong_stacks(connection: Connection) -> Iterator[CatalogueFault]:
    """A stack is known by its top layer and the stack below, so they must be those."""
    stacks, below = tables.layer_stacks, tables.layer_stacks.alias("below")
    query = (
        select(stacks, below.c.digest.label("below"))
        .outerjoin(below, below.c.id == stacks.c.below_id)
        .order_by(stacks.c.id)
    )
    for row in _rows(connection, query):
        found = mapping.stack_digest(row, row["below"])
        if found != row["digest"]:
            what = f"Its layer on what is below has the digest {found}, not {row['digest']}."
            yield _fault(_place(stacks, row), what)


def _wrong_lineage(connection: Connection) -> Iterator[CatalogueFault]:
    """A version is recorded after what it came from: so no version can descend from itself."""
    child, source = tables.versions, tables.versions.alias("source")
    for what, named in (("parent", child.c.parent_id), ("source", child.c.copied_from)):
        later = select(child.c.id, source.c.id).join(source, source.c.id == named)
        for version, on in connection.execute(
            later.where(source.c.number >= child.c.number).limit(_SHOWN)
        ):
            yield _fault(f"versions {version}", f"Its {what} {on} was recorded after it.")


def _wrong_histories(connection: Connection) -> Iterator[CatalogueFault]:
    """Moves of a channel are counted without a gap, follow in time, and stay with their image."""
    moves, channels, versions = tables.channel_moves.c, tables.channels.c, tables.versions.c
    query = (
        select(tables.channel_moves, channels.image_id, versions.image_id.label("new_image_id"))
        .join(tables.channels, channels.id == moves.channel_id)
        .outerjoin(tables.versions, versions.number == moves.new_number)
        .order_by(moves.channel_id, moves.position)
    )
    before: RowMapping | None = None
    for row in _rows(connection, query):
        is_first = before is None or before["channel_id"] != row["channel_id"]
        for what in _faults_of_move(row, None if is_first else before):
            yield _fault(_place(tables.channel_moves, row), what)
        before = row


def _faults_of_move(row: RowMapping, before: RowMapping | None) -> Iterator[str]:
    if before is not None:
        if row["position"] != int(str(before["position"])) + 1:
            yield f"The move before it has position {before['position']}."
        if str(row["at"]) < str(before["at"]):
            yield f"The move before it was later, at {before['at']}."
    if (row["new_number"] is None) != (row["kind"] == MoveKind.UNSET.value):
        yield f"It is {row['kind']}, and names version {row['new_number']}."
    if row["kind"] == MoveKind.FELL_BACK.value:
        yield "It fell back, which is computed and never kept."
    if row["new_number"] is not None and row["new_image_id"] != row["image_id"]:
        yield f"Version {row['new_number']} is of another image."


def _wrong_revocations(connection: Connection) -> Iterator[CatalogueFault]:
    r = tables.revocations.c
    restored = (r.restored_at, r.restored_by, r.restored_why)
    is_half = and_(or_(*(c.is_(None) for c in restored)), or_(*(c.is_not(None) for c in restored)))
    wrong = {
        "It is in force before somebody revoked.": r.in_force_at < r.revoked_at,
        "It was restored before it was revoked.": r.restored_at < r.revoked_at,
        "Only a part of its restoring is kept.": is_half,
    }
    for what, condition in wrong.items():
        query = select(tables.revocations).where(condition).limit(_SHOWN)
        for row in connection.execute(query).mappings():
            yield _fault(_place(tables.revocations, row), what)


def _wrong_waivers(connection: Connection) -> Iterator[CatalogueFault]:
    w = tables.waivers.c
    revoked = (w.revoked_at, w.revoked_by, w.revoked_why)
    is_half = and_(or_(*(c.is_(None) for c in revoked)), or_(*(c.is_not(None) for c in revoked)))
    wrong = {
        "It expires before it was given.": w.expires_at <= w.created_at,
        "Who owns it approved it.": w.owner == w.approver,
        "Only a part of its revoking is kept.": is_half,
    }
    for what, condition in wrong.items():
        query = select(tables.waivers).where(condition).limit(_SHOWN)
        for row in connection.execute(query).mappings():
            yield _fault(_place(tables.waivers, row), what)


def _rows(connection: Connection, query: Select[tuple[object, ...]]) -> Iterator[RowMapping]:
    streamed = query.execution_options(stream_results=True, yield_per=1000)
    yield from connection.execute(streamed).mappings()


def _place(table: Table, row: RowMapping) -> str:
    return " ".join([table.name, *(str(row[column.name]) for column in table.primary_key)])
