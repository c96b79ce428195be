"""A PostgreSQL server of the tests' own: in a throw-away folder, on a socket there, gone with them.

It speaks over no network: who may enter the folder may enter the server. Names sort as people sort
them and its clock is far from UTC, as on servers that others set up.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy.engine import URL, make_url

from tests.roots import wait_until

OLDEST = 15
SUPERUSER = "imagebuilder"
_NUMBERS = count(1)
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "timezone": "Asia/Kathmandu",
}
# The end of its input is the end of pytest, however that came about; then all is taken away.
_WATCH = """
folder=$1; shift
"$@" &
while read -r wish; do
    case $wish in
        stop) kill -QUIT $!; wait ;;
        start) "$@" & ;;
    esac
done
kill -QUIT $!
wait
rm -rf "$folder"
"""


class ServerMissing(Exception):
    """No server can be started on this machine; says what is missing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs; `url` is that of a database of its own, to make others from.

    One of our own is told by `wishes` to stop and to start.
    """

    url: URL
    wishes: IO[bytes] | None = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let it end at once, as one whose machine fails, and be there again behind the block."""
        assert self.wishes is not None, "the server is not our own"
        folder = Path(str(self.url.query["host"]))
        self.wishes.write(b"stop\n")
        self.wishes.flush()
        wait_until(lambda: not _answers(folder), "the server's end", seconds=20)
        try:
            yield
        finally:
            self.wishes.write(b"start\n")
            self.wishes.flush()
            wait_until(lambda: _answers(folder), "the server again", seconds=20)

    def new_database(self, template: str = "template0") -> str:
        """Make a database that nobody else has and give its name."""
        name = f"imagebuilder_test_{os.getpid()}_{next(_NUMBERS)}"
        # To copy files is the quicker of its two ways where nothing is ever synchronised.
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop(self, database: str) -> None:
        """Take a database away, and the connections to it."""
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def url_of(self, database: str, user: str | None = None) -> str:
        """Give the URL of a database, for another user than that of the server's where named."""
        url = self.url.set(database=database, username=user or self.url.username)
        return url.render_as_string(hide_password=False)

    def run(self, statement: str, database: str | None = None) -> None:
        """Run a statement outside of a transaction."""
        with self.connect(database) as connection:
            connection.execute(statement.encode())

    def connect(self, database: str | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        """Give a connection of the driver's own, beside ours."""
        url = self.url.set(database=database or self.url.database, drivername="postgresql")
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def outside_server(url: str) -> Server:
    """Give a server that runs already, by the URL of an account that may make databases."""
    return Server(make_url(url))


@contextmanager
def running_server(
    settings: Mapping[str, str] | None = None, networks: Sequence[str] = ()
) -> Iterator[Server]:
    """Give a server that runs to the end of the block, and lets in who is in one of the networks.

    Raises: ServerMissing.
    """
    programs = _folder_of_programs()
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="imagebuilder-postgres-", dir="/tmp"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    prefix = _as_owner(owner)
    try:
        argv = [*prefix, str(programs / "initdb"), f"--pgdata={folder / 'cluster'}", "--no-sync"]
        argv += ["--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C.UTF-8"]
        argv += ["--locale-provider=icu", "--icu-locale=en-US", "--no-instructions"]
        subprocess.run(argv, check=True, capture_output=True, text=True, cwd=folder)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(folder)
        raise AssertionError(f"initdb: {error.stderr}") from error
    with (folder / "cluster/pg_hba.conf").open("a") as doors:
        doors.writelines(f"host all all {network} trust\n" for network in networks)
    argv = [*prefix, str(programs / "postgres")]
    with _started(argv, folder, {**_SETTINGS, **(settings or {})}) as wishes:
        query = {"host": str(folder)}
        url = URL.create("postgresql", username=SUPERUSER, database="postgres", query=query)
        yield Server(url, wishes)


@contextmanager
def _started(command: list[str], folder: Path, settings: Mapping[str, str]) -> Iterator[IO[bytes]]:
    argv = ["sh", "-c", _WATCH, "sh", str(folder), *command, "-D", str(folder / "cluster")]
    argv += ["-k", str(folder)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,  # Ctrl-C is for pytest
        ) as watch,
    ):
        try:
            wait_until(lambda: _answers(folder), f"the server of {folder}/log", seconds=20)
            assert watch.stdin is not None
            yield watch.stdin
        finally:
            watch.communicate()


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user=SUPERUSER, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _folder_of_programs() -> Path:
    """Give the folder of the newest PostgreSQL there is. Raises: ServerMissing: none is new."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    newest = max(folders, key=_version, default=None)
    if newest is None or _version(newest) < OLDEST:
        raise ServerMissing(f"PostgreSQL {OLDEST} or newer: no initdb and postgres of it is here")
    return newest


def _version(folder: Path) -> int:
    try:
        argv = [str(folder / "postgres"), "--version"]
        said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    except OSError:
        return 0
    number = re.search(r"\d+", said)
    return int(number[0]) if number else 0


def _owner() -> pwd.struct_passwd:
    """Give who the server is to run as: it refuses root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerMissing("an account that is not root: neither postgres nor nobody is here")


def _as_owner(owner: pwd.struct_passwd) -> list[str]:
    prefix = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() != 0:
        return prefix
    return [*prefix, "--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups"]
