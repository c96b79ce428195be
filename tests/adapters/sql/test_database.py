"""Opening the catalogue: made, shared, damaged, out of reach."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION, metadata
from imagebuilder.domain.ids import ImageName
from imagebuilder.ports.catalogue import CatalogueDamaged, CatalogueTooNew, StoreUnavailable
from tests.build import a_package, a_run, a_version, an_assessment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home/catalogue.db"


@contextmanager
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection of the driver's own, beside ours."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def _made(file: Path) -> None:
    with open_database(file) as database:
        SqlVersionStore(database).add(a_version(assessments=(an_assessment(),)))


def test_open_when_nothing_is_there_then_file_and_folders_are_made(file: Path) -> None:
    with open_database(file), raw(file) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        assert metadata.tables.keys() <= tables
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_open_when_file_is_empty_then_schema_is_made(file: Path) -> None:
    file.parent.mkdir()
    file.touch()

    with open_database(str(file)) as database:
        assert SqlVersionStore(database).summaries() == []


def test_open_when_given_as_url_then_is_the_same_file(file: Path) -> None:
    _made(file)

    with open_database(f"sqlite:///{file}") as database:
        assert len(SqlVersionStore(database).summaries()) == 1


def test_connection_when_opened_then_keeps_references_and_crashes_safe(file: Path) -> None:
    with open_database(file) as database, database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 20_000


def test_open_when_schema_is_current_then_alembic_is_not_imported(file: Path) -> None:
    _made(file)
    script = (
        "import sys, pathlib\n"
        "from imagebuilder.adapters.sql.catalogue import SqlVersionStore\n"
        "from imagebuilder.adapters.sql.database import open_database\n"
        "with open_database(pathlib.Path(sys.argv[1])) as database:\n"
        "    print(len(SqlVersionStore(database).summaries()), 'alembic' in sys.modules)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", script, file], check=True, capture_output=True, text=True
    )

    assert said.stdout.split() == ["1", "False"]


def test_open_when_schema_is_current_then_asks_one_query(file: Path) -> None:
    _made(file)
    asked: list[str] = []

    def listen(*happened: object) -> None:
        asked.append(str(happened[2]))

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        open_database(file).close()
    finally:
        event.remove(Engine, "before_cursor_execute", listen)

    assert [said for said in asked if said != "BEGIN"] == [
        "SELECT version_num FROM alembic_version"
    ]


def test_open_when_many_start_at_once_then_all_find_a_whole_schema(file: Path) -> None:
    count = 8
    barrier = threading.Barrier(count)
    failures: list[BaseException] = []

    def opened(number: int) -> None:
        barrier.wait()
        try:
            with open_database(file) as database:
                SqlRunStore(database).save(a_run(f"run-{number}"))
        except BaseException as failure:  # noqa: BLE001 - told by the test below
            failures.append(failure)

    threads = [threading.Thread(target=opened, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with open_database(file) as database:
        assert len(SqlRunStore(database).newest(100)) == count


def test_open_when_revision_is_unknown_then_is_too_new_and_left_alone(file: Path) -> None:
    _made(file)
    with raw(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(CatalogueTooNew, match="9999") as caught:
        open_database(file)

    assert SCHEMA_REVISION in caught.value.context
    with raw(file) as connection:
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (1,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_open_when_file_is_no_database_then_is_damaged_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    content = b"this is no database\n" * 500
    file.write_bytes(content)

    with pytest.raises(CatalogueDamaged, match="is damaged") as caught:
        open_database(file)

    assert "not a database" in caught.value.context
    assert file.read_bytes() == content


def test_open_when_tables_of_others_are_in_the_way_then_nothing_is_half_made(file: Path) -> None:
    file.parent.mkdir()
    with raw(file) as connection:
        connection.execute("CREATE TABLE versions (something TEXT)")

    with pytest.raises(CatalogueDamaged, match="is damaged"):
        open_database(file)

    with raw(file) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("versions",)]


def test_open_when_path_is_a_folder_then_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=str(tmp_path)) as caught:
        open_database(tmp_path)

    assert "unable to open" in caught.value.context


def test_open_when_folder_cannot_be_made_then_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable):
        open_database(tmp_path / "file/catalogue.db")


def test_read_when_pages_are_overwritten_then_is_damaged(file: Path) -> None:
    with open_database(file) as database:
        packages = tuple(a_package(f"package-{number}") for number in range(2000))
        SqlVersionStore(database).add(a_version(packages=packages))
    with file.open("r+b") as stored:
        # All but the first pages, which say what the file is and what tables it has.
        stored.seek(4096 * 40)
        stored.write(b"\xa5" * (file.stat().st_size - 4096 * 40))

    with pytest.raises(CatalogueDamaged), open_database(file) as database:
        SqlVersionStore(database).newest(ImageName("debian-web"))


def test_read_when_a_table_is_gone_then_is_damaged(file: Path) -> None:
    _made(file)
    with raw(file) as connection:
        connection.execute("DROP TABLE artifacts")

    with open_database(file) as database, pytest.raises(CatalogueDamaged, match="is damaged"):
        SqlVersionStore(database).newest(ImageName("debian-web"))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE versions SET disk_digest = 'none'",
        "UPDATE plans SET text = '{'",
        "UPDATE versions SET created_at = 'yesterday'",
        "UPDATE artifacts SET format = 'floppy'",
        "UPDATE layer_stacks SET parameters = '['",
        "UPDATE test_results SET outcome = 'maybe'",
        "UPDATE assessed_controls SET controls = '['",
        "UPDATE assessed_controls SET outcome = 'maybe'",
    ],
)
def test_read_when_a_value_makes_no_sense_then_is_damaged(file: Path, damage: str) -> None:
    _made(file)
    with raw(file) as connection:
        connection.execute(damage)

    with open_database(file) as database, pytest.raises(CatalogueDamaged) as caught:
        SqlVersionStore(database).newest(ImageName("debian-web"))

    assert "A stored value cannot be read" in caught.value.context


def test_write_when_another_holds_the_file_then_is_unavailable_and_nothing_is_kept(
    file: Path,
) -> None:
    with (
        open_database(file, busy_timeout_seconds=0.05) as database,
        raw(file) as other,
    ):
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable) as caught:
            SqlVersionStore(database).add(a_version())

        assert "Another imagebuilder is writing" in caught.value.hint
        assert SqlVersionStore(database).summaries() == []
        other.execute("ROLLBACK")
        SqlVersionStore(database).add(a_version())


def test_open_when_another_holds_a_file_without_schema_then_is_unavailable(file: Path) -> None:
    file.parent.mkdir()
    with raw(file) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreUnavailable):
            open_database(file, busy_timeout_seconds=0.05)


def test_write_when_file_system_is_full_then_is_unavailable_and_nothing_is_kept(
    file: Path,
) -> None:
    with open_database(file) as database:
        _limit_to_present_size(database)
        packages = tuple(a_package(f"package-{number}") for number in range(5000))

        with pytest.raises(StoreUnavailable) as caught:
            SqlVersionStore(database).add(a_version(packages=packages))

        assert "full" in caught.value.context
        assert SqlVersionStore(database).summaries() == []


def _limit_to_present_size(database: Database) -> None:
    with database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_file_when_it_cannot_be_written_then_is_unavailable(file: Path) -> None:
    _made(file)
    with open_database(f"sqlite:///file:{file}?mode=ro&uri=true") as database:
        assert len(SqlVersionStore(database).summaries()) == 1

        with pytest.raises(StoreUnavailable) as caught:
            SqlRunStore(database).save(a_run())

    assert "readonly" in caught.value.context


@pytest.mark.parametrize(
    "location",
    ["mysql://root:secret@db.example.org/x", "postgresql://:secret:", "://secret", "sqlite://"],
)
def test_open_when_address_is_none_of_ours_then_is_unavailable_and_not_quoted(
    location: str,
) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_database(location)

    assert "secret" not in f"{caught.value.message} {caught.value.context} {caught.value.hint}"
    assert "postgresql://" in caught.value.hint


@pytest.mark.parametrize("driver", ["pg8000", "nothing"])
def test_open_when_driver_is_not_installed_then_names_it_and_hides_the_password(
    driver: str,
) -> None:
    with pytest.raises(StoreUnavailable, match=r"db\.example\.org") as caught:
        open_database(f"postgresql+{driver}://user:secret@db.example.org/catalogue")

    assert driver in caught.value.context
    assert "secret" not in caught.value.message


def _add_and_fail(database: Database) -> None:
    with database.together():
        SqlVersionStore(database).add(a_version())
        raise KeyError


def test_together_when_the_block_fails_then_nothing_of_it_is_kept(file: Path) -> None:
    with open_database(file) as database:
        with pytest.raises(KeyError):
            _add_and_fail(database)

        assert SqlVersionStore(database).summaries() == []


def test_together_when_in_another_block_then_the_outer_one_decides(file: Path) -> None:
    with open_database(file) as database:
        with database.together():
            with pytest.raises(KeyError):
                _add_and_fail(database)
            seen_within = len(SqlVersionStore(database).summaries())

        assert seen_within == 1
        assert len(SqlVersionStore(database).summaries()) == 1


def test_together_when_it_ended_then_the_next_transaction_is_its_own(file: Path) -> None:
    with open_database(file) as database:
        store = SqlVersionStore(database)
        with database.together():
            store.add(a_version())

        assert len(store.summaries()) == 1


def test_together_when_another_thread_decides_then_it_waits(file: Path) -> None:
    with open_database(file) as database:
        store = SqlVersionStore(database)
        seen: list[int] = []

        def other() -> None:
            with database.together():
                seen.append(len(store.summaries()))

        with database.together():
            thread = threading.Thread(target=other)
            thread.start()
            store.add(a_version())
            assert seen == []
        thread.join(timeout=30)

        assert seen == [1]


@pytest.mark.parametrize("change", ["UPDATE audit SET why = 'x'", "DELETE FROM audit"])
def test_audit_when_it_is_to_be_changed_then_the_database_refuses(file: Path, change: str) -> None:
    _made(file)
    with raw(file) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action, subject, why, before, after)"
            " VALUES ('2026-03-01', 'me', 'labels-changed', 'web', '', 'null', 'null')"
        )

        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(change)
