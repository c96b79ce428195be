"""How the databases answer: by their indexes, however many versions there are."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database
from imagebuilder.adapters.sql.traces import SqlTraceStore
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.image import parse_reference
from imagebuilder.domain.lineage import Scope
from imagebuilder.domain.versions import Wildcard
from tests.build import SOME_DAY, a_digest, a_layer, a_package, a_parent, a_version

_WHOLE = {
    "sqlite": r"SCAN (versions|artifacts|version_documents|indexes|package_set_members|"
    r"layer_stacks)(_\d+)?\b(?! USING)",
    "postgresql": r"Seq Scan on (versions|artifacts|version_documents|indexes|"
    r"package_set_members|layer_stacks)\b",
}
"""What a plan says when it reads a whole large table."""

_Ask = Callable[[Database], object]

_ASKED: dict[str, _Ask] = {
    "find": lambda d: SqlVersionStore(d).find(parse_reference("web@1.x"), SOME_DAY),
    "find by id": lambda d: SqlVersionStore(d).find(parse_reference("version-web"), SOME_DAY),
    "newest": lambda d: SqlVersionStore(d).newest(ImageName("web")),
    "before": lambda d: SqlVersionStore(d).before(VersionId("version-web-1.0.0-1")),
    "last build": lambda d: SqlVersionStore(d).last_build(ImageName("web"), Wildcard((1, 0))),
    "descent": lambda d: SqlVersionStore(d).descent(VersionId("version-web-1.0.0-1"), Scope()),
    "run": lambda d: SqlTraceStore(d).of_run(RunId("run-1")),
    "version of a run": lambda d: SqlVersionStore(d).of_run(RunId("run-1")),
    "digest": lambda d: SqlTraceStore(d).traces(a_digest("disk").hex),
    "add": lambda d: SqlVersionStore(d).add(
        a_version("web@1.0.0/2", layers=(a_layer("own"),), packages=(a_package("own"),))
    ),
}
"""What is asked while a command waits for it. Shape: what it is -> asking it."""


@contextmanager
def _listened(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Give what the database is asked in the block: statements, and what is put into them."""
    asked: list[tuple[str, Any]] = []

    def listen(*happened: Any) -> None:
        is_many = happened[5]
        if not is_many and re.match(r"SELECT|WITH", str(happened[2])):
            asked.append((str(happened[2]), happened[3]))

    event.listen(database._engine, "before_cursor_execute", listen)
    try:
        yield asked
    finally:
        event.remove(database._engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("what", _ASKED)
def test_question_when_asked_then_no_large_table_is_read_whole(
    database: Database, what: str
) -> None:
    versions = SqlVersionStore(database)
    versions.add(a_version("base@1.0.0/1"))
    versions.add(
        a_version(
            "web@1.0.0/1",
            id=VersionId("version-web-1.0.0-1"),
            parent=a_parent("version-base-1.0.0-1"),
        )
    )
    with _listened(database) as asked:
        _ASKED[what](database)

    with database.reading() as connection:
        kind = connection.dialect.name
        explain = "EXPLAIN QUERY PLAN" if kind == "sqlite" else "EXPLAIN"
        if kind == "postgresql":
            # With so few rows to read, reading all of them is what costs least.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, values in asked:
            rows = connection.exec_driver_sql(f"{explain} {statement}", values).all()
            plan = "\n".join(" ".join(map(str, row)) for row in rows)
            assert re.search(_WHOLE[kind], plan) is None, f"{statement}\n{plan}"

    assert asked
