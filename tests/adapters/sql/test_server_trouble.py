"""What people read when a PostgreSQL server is not as it should be: code, what, why, what to do."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.adapters.sql.tables import SCHEMA_REVISION
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName
from imagebuilder.ports.catalogue import CatalogueDamaged, CatalogueTooNew, StoreUnavailable
from tests.build import a_run, a_version
from tests.databases import FreshLocation
from tests.postgres import Server, ServerMissing, running_server
from tests.roots import wait_until

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(bare_location: FreshLocation) -> str:
    return str(bare_location("postgresql"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with open_database(url) as database:
        yield database


@pytest.fixture
def strict() -> Iterator[Server]:
    """Give a server that asks alice for her password and has few places."""
    try:
        with running_server({"max_connections": "5"}) as server:
            server.run("CREATE ROLE alice LOGIN PASSWORD 'right'")
            rules = "local all alice scram-sha-256\nlocal all all trust\n"
            (Path(str(server.url.query["host"])) / "cluster/pg_hba.conf").write_text(rules)
            server.run("SELECT pg_reload_conf()")
            yield server
    except ServerMissing as missing:
        pytest.skip(str(missing))


def refused(act: Callable[[], object]) -> StoreUnavailable:
    """Give the error that an act ends with."""
    with pytest.raises(StoreUnavailable) as caught:
        act()
    return caught.value


def whole(error: ImageBuilderError) -> str:
    """Give all that is said."""
    return f"{error.message} {error.context} {error.hint}"


def test_open_when_no_server_listens_then_says_where_it_looked() -> None:
    error = refused(lambda: open_database("postgresql://bob:sosecret@127.0.0.1:1/images"))

    assert error.message == "The catalogue postgresql://bob@127.0.0.1:1/images is not available."
    assert "Connection refused" in error.context
    assert error.hint.startswith("Check that the server runs")
    assert "sosecret" not in whole(error)


def test_open_when_the_server_is_mute_then_waits_no_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        error = refused(lambda: open_database(f"postgresql://127.0.0.1:{port}/x?connect_timeout=2"))

    assert error.context == "The database says: connection timeout expired."


def test_open_when_nothing_is_said_then_waits_five_seconds(url: str) -> None:
    with open_database(url) as database, database.reading() as connection:
        parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]

    assert (parameters["connect_timeout"], parameters["tcp_user_timeout"]) == ("5", "30000")


def test_open_when_the_database_is_missing_then_gives_the_command_that_makes_it(
    postgres: Server,
) -> None:
    error = refused(lambda: open_database(postgres.url_of("nowhere")))

    assert error.context == 'The database says: database "nowhere" does not exist.'
    command = error.hint.removeprefix("Make it with: ")
    assert (
        command == f"createdb --host={postgres.url.query['host']} --username=imagebuilder nowhere"
    )


def test_open_when_the_role_is_missing_then_gives_the_command_that_makes_it(
    postgres: Server,
) -> None:
    error = refused(lambda: open_database(postgres.url_of("postgres", "nobody-here")))

    assert error.context == 'The database says: role "nobody-here" does not exist.'
    assert "createuser nobody-here" in error.hint


@pytest.mark.parametrize(
    "address",
    ["alice:sosecret@/postgres?host={host}", "/postgres?host={host}&user=alice&password=sosecret"],
)
def test_open_when_the_password_is_wrong_then_says_so_and_never_shows_it(
    strict: Server, address: str
) -> None:
    host = strict.url.query["host"]
    error = refused(lambda: open_database(f"postgresql://{address.format(host=host)}"))

    assert "password authentication failed" in error.context
    assert "PGPASSFILE" in error.hint
    assert "sosecret" not in whole(error)


def test_open_when_there_is_no_password_then_says_where_it_belongs(strict: Server) -> None:
    error = refused(lambda: open_database(strict.url_of("postgres", "alice")))

    assert "no password" in error.context
    assert "PGPASSFILE" in error.hint


def test_open_when_the_server_is_crowded_then_says_so(strict: Server) -> None:
    url = strict.url_of(strict.new_database())
    with ExitStack() as crowd:
        for _ in range(5):
            crowd.enter_context(strict.connect())
        error = refused(lambda: open_database(url))

    assert re.search("too many clients|connection slots", error.context)
    assert "max_connections" in error.hint


@pytest.mark.parametrize("option", ["usr=alice", "port=none", "service=nothing"])
def test_open_when_the_address_makes_no_sense_then_shows_one_that_does(option: str) -> None:
    error = refused(lambda: open_database(f"postgresql:///x?{option}&password=sosecret"))

    assert "postgresql://USER@HOST/DATABASE" in error.hint
    assert "sosecret" not in whole(error)


def test_open_when_the_account_may_make_no_tables_then_is_not_called_damaged(
    postgres: Server, url: str
) -> None:
    postgres.run("DROP ROLE IF EXISTS guest")
    postgres.run("CREATE ROLE guest LOGIN")
    try:
        error = refused(lambda: open_database(postgres.url_of(url_name(url), "guest")))
    finally:
        postgres.run("DROP ROLE guest")

    assert error.context == "The database says: permission denied for schema public."
    assert "Let the owner of the database" in error.hint


def url_name(url: str) -> str:
    """Give the name of an URL's database."""
    return url.partition("?")[0].rpartition("/")[2]


def test_open_when_the_schema_is_newer_then_is_left_alone(postgres: Server, url: str) -> None:
    open_database(url).close()
    postgres.run("UPDATE alembic_version SET version_num = '9999'", url_name(url))

    with pytest.raises(CatalogueTooNew, match="9999") as caught:
        open_database(url)

    assert SCHEMA_REVISION in caught.value.context


def test_open_when_many_start_at_once_then_all_find_a_whole_schema(url: str) -> None:
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def opened(number: int) -> None:
        barrier.wait()
        try:
            with open_database(url) as database:
                SqlRunStore(database).save(a_run(f"run-{number}"))
        except BaseException as failure:  # noqa: BLE001 - told by the test below
            failures.append(failure)

    threads = [threading.Thread(target=opened, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_write_when_the_server_is_a_standby_then_says_to_name_the_primary(
    postgres: Server, url: str
) -> None:
    with open_database(url) as database:
        SqlVersionStore(database).add(a_version())
    postgres.run(f'ALTER DATABASE "{url_name(url)}" SET default_transaction_read_only = on')

    with open_database(url) as database:
        assert len(SqlVersionStore(database).summaries()) == 1
        error = refused(lambda: SqlRunStore(database).save(a_run()))

    assert "read-only transaction" in error.context
    assert "primary" in error.hint


def _end_connections(server: Server, url: str) -> None:
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{url_name(url)}' AND pid <> pg_backend_pid()"
    )


def test_write_when_the_connection_is_lost_then_nothing_of_it_is_kept_and_the_next_works(
    postgres: Server, url: str, database: Database
) -> None:
    def lose() -> None:
        with database.together():
            SqlVersionStore(database).add(a_version())
            _end_connections(postgres, url)
            SqlVersionStore(database).add(a_version("web@1.0.0/1"))

    error = refused(lose)

    assert "terminating connection" in error.context
    assert "try again" in error.hint
    assert SqlVersionStore(database).summaries() == []


def test_read_when_the_server_restarted_in_between_then_nobody_notices(
    postgres: Server, url: str, database: Database
) -> None:
    SqlVersionStore(database).add(a_version())
    _end_connections(postgres, url)

    assert SqlVersionStore(database).newest(ImageName("debian-web")) is not None


def test_write_when_another_holds_the_tables_then_waits_no_longer_than_asked(
    postgres: Server, url: str
) -> None:
    with (
        open_database(url, busy_timeout_seconds=0.05) as database,
        postgres.connect(url_name(url)) as other,
        other.transaction(),
    ):
        other.execute("LOCK TABLE versions IN ACCESS EXCLUSIVE MODE")
        error = refused(lambda: SqlVersionStore(database).add(a_version()))

    assert "lock timeout" in error.context
    assert "Another imagebuilder is writing" in error.hint


def test_write_when_two_wait_for_each_other_then_one_is_told_to_try_again(
    postgres: Server, url: str
) -> None:
    with open_database(url) as database, postgres.connect(url_name(url)) as other:
        other.execute("SET deadlock_timeout = '1h'")

        def cross() -> None:
            with database.writing() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
                connection.execute(text("LOCK TABLE runs"))
                crossing.start()
                wait_until(lambda: _waits(postgres), "the other to wait", seconds=10)
                connection.execute(text("LOCK TABLE versions"))

        with other.transaction():
            other.execute("LOCK TABLE versions")
            crossing = threading.Thread(target=lambda: other.execute("LOCK TABLE runs"))
            error = refused(cross)
            crossing.join()

    assert "deadlock detected" in error.context
    assert "try again" in error.hint


def _waits(server: Server) -> bool:
    with server.connect() as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return found is not None and found[0] == 1


@pytest.mark.parametrize("value", ["a\0b", 2**40])
def test_write_when_no_column_takes_the_value_then_says_which_is_refused(
    database: Database, value: str | int
) -> None:
    def write() -> None:
        with database.writing() as connection:
            kind = "integer" if isinstance(value, int) else "text"
            connection.execute(text(f"SELECT CAST(:value AS {kind})"), {"value": value})

    with pytest.raises(CatalogueDamaged, match="is damaged") as caught:
        write()

    assert "It refuses a value" in caught.value.context


def test_read_when_a_table_is_gone_then_is_damaged(
    postgres: Server, url: str, database: Database
) -> None:
    postgres.run("DROP TABLE artifacts", url_name(url))

    with pytest.raises(CatalogueDamaged, match="is damaged") as caught:
        SqlVersionStore(database).add(a_version())

    assert 'relation "artifacts" does not exist' in caught.value.context


@pytest.mark.root
def test_write_when_the_servers_disk_is_full_then_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    with running_server() as server:
        folder = Path(str(server.url.query["host"]))
        small = folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12M", "tmpfs", small], check=True)
        try:
            os.chown(small, folder.stat().st_uid, folder.stat().st_gid)
            server.run(f"CREATE TABLESPACE small LOCATION '{small}'")
            name = server.new_database()
            server.run(f'ALTER DATABASE "{name}" SET TABLESPACE small')
            with open_database(server.url_of(name)) as database:
                error = refused(lambda: _fill(database))
                assert SqlRunStore(database).newest(5) == []
        finally:
            subprocess.run(["umount", "--lazy", small], check=True)

    assert "No space left on device" in error.context
    assert error.hint == "Free space where the server keeps its data, then try again."


def _fill(database: Database) -> None:
    with database.together():
        for number in range(2000):
            # What cannot be compressed, in rows that are too long for the table itself.
            SqlRunStore(database).save(a_run(f"run-{number}", error=os.urandom(4000).hex()))
