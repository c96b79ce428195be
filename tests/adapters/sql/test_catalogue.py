"""What only the SQL catalogue does: sharing rows, racing with other processes, odd text."""

import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.exc import StatementError

from imagebuilder.adapters.sql import tables
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.domain.ids import RunId, VersionId
from tests.build import a_document, a_layer, a_package, a_report, a_run, a_step, a_version


def _count(database: Database, table: Table) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_packages_when_versions_share_them_then_each_is_stored_once(database: Database) -> None:
    versions = SqlVersionStore(database)
    shared = tuple(a_package(f"p{number}") for number in range(700))

    for build in range(1, 4):
        own = a_package("own", f"{build}")
        versions.add(a_version(f"web@1.0.0/{build}", packages=(*shared, own)))

    assert _count(database, tables.packages) == 703
    assert _count(database, tables.package_sets) == 3
    assert _count(database, tables.package_set_members) == 3 * 701


def test_packages_when_versions_have_the_same_then_they_share_a_set(database: Database) -> None:
    versions = SqlVersionStore(database)
    packages = (a_package("bash"), a_package("nginx"))

    versions.add(a_version("web@1.0.0/1", packages=packages))
    versions.add(a_version("base@1.0.0/1", packages=(*packages[::-1], a_package("bash"))))

    assert _count(database, tables.package_sets) == 1
    assert _count(database, tables.package_set_members) == 2


def test_layers_when_stacks_begin_the_same_then_the_beginning_is_stored_once(
    database: Database,
) -> None:
    versions = SqlVersionStore(database)
    root, nginx = a_layer("root"), a_layer("nginx")

    versions.add(a_version("base@1.0.0/1", layers=(root,)))
    versions.add(a_version("web@1.0.0/1", layers=(root, nginx)))
    versions.add(a_version("web@1.0.0/2", layers=(root, nginx)))
    versions.add(a_version("web@1.0.0/3", layers=(nginx, root)))

    assert _count(database, tables.layer_stacks) == 4


def test_plan_when_versions_have_the_same_then_its_text_is_stored_once(database: Database) -> None:
    versions = SqlVersionStore(database)

    versions.add(a_version("web@1.0.0/1", plan={"a": 1, "b": 2}))
    versions.add(a_version("web@1.0.0/2", plan={"b": 2, "a": 1}))

    assert _count(database, tables.plans) == 1


def test_documents_when_versions_share_a_text_then_it_is_stored_once(database: Database) -> None:
    versions = SqlVersionStore(database)
    document = a_document()

    for build in range(1, 4):
        versions.add(
            a_version(f"web@1.0.0/{build}", documents=(document, replace(document, name="again")))
        )

    assert _count(database, tables.documents) == 1
    assert _count(database, tables.version_documents) == 6


def test_detail_when_it_has_what_no_database_takes_then_the_rest_is_kept(
    database: Database,
) -> None:
    report = replace(a_report(), crash="killed\0 by \udcff", results=())
    SqlVersionStore(database).add(a_version(reports=(report,)))
    runs = SqlRunStore(database)
    runs.save(a_run(error="a\0b"))
    runs.save_step(RunId("run-1"), a_step(detail="c\udc80d"))

    kept = SqlVersionStore(database).get(VersionId("version-debian-web-1.2.0-1"))

    assert kept.reports[0].crash == "killed\ufffd by ?"
    assert runs.get("run-1").error == "a\ufffdb"
    assert runs.steps(RunId("run-1"))[0].detail == "c?d"


def test_moment_when_it_has_no_zone_then_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        SqlRunStore(database).save(a_run(started_at=datetime(2026, 1, 1)))  # noqa: DTZ001

    assert SqlRunStore(database).newest(5) == []


_RECORDER = """
import sys
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.system.clock import RandomIds, SystemClock
from imagebuilder.adapters.sql.audit import SqlAuditLog
from imagebuilder.services.cataloguing import Cataloguing, Records
from tests.build import a_draft

clock = SystemClock()
with open_database(sys.argv[1]) as database:
    records = Records(
        versions=SqlVersionStore(database), audit=SqlAuditLog(database), transactions=database
    )
    cataloguing = Cataloguing(records, clock, RandomIds(clock), "ann")
    print(sys.argv[2], "ready", flush=True)
    sys.stdin.readline()
    for turn in range(5):
        cataloguing.record(a_draft(run_id=f"run-{sys.argv[2]}-{turn}"))
"""


def test_record_when_processes_race_then_every_build_has_its_own_number(
    location: str | Path,
) -> None:
    recorders = [
        subprocess.Popen(
            [sys.executable, "-c", _RECORDER, str(location), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for number in range(4)
    ]
    for recorder in recorders:
        assert recorder.stdout is not None
        assert "ready" in recorder.stdout.readline()
    for recorder in recorders:
        recorder.communicate("go\n", timeout=50)

    assert [recorder.returncode for recorder in recorders] == [0] * 4
    with open_database(location) as database:
        found = [str(summary.version) for summary in SqlVersionStore(database).summaries()]
    assert found == [f"1.2.0/{build}" for build in range(20, 0, -1)]
