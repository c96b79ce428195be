"""A catalogue of many versions, made up row by row and written straight into the tables.

The rows are those that the store would write: what it computes (digests of package sets, stacks of
layers and plans) is computed the same way, what comes from builds is made up from the number of the
version. Images come in families of fifty. In one half of the families each image stands on the
one before it, so that lines are fifty deep; in the other half all stand on the first, of which
every twentieth version is built upon, so that it has near a thousand children. Two images share
their packages, which change with every 25th build; each build has a layer and a plan of its own.
Two channels of each image moved ten times; some versions were revoked, with all below them.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeAlias

import psycopg

from imagebuilder.adapters.sql import tables
from imagebuilder.domain.digest import canonical_json, digest_of

Row: TypeAlias = tuple[str | int | float | None, ...]
Rows: TypeAlias = Iterable[Row]

FAMILY = 50
WIDE_ROUNDS = 20
SET_ROUNDS = 25
SET_SIZE = 200
NAMES = 600
MOVES = 10
REVOKED_EVERY = 4999
CHANNELS = ("candidate", "stable")
START = datetime(2020, 1, 1, tzinfo=UTC)
SECONDS_APART = 150
AT_ONCE = 20_000


def seed(kind: str, number: object) -> str:
    """Give the digest of something made up."""
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


class Fleet:
    """The rows of a catalogue. Versions are numbered from 1, in the order of their recording."""

    def __init__(self, count: int) -> None:
        """Make up so many versions."""
        self.count = count
        self.images = max(FAMILY, count // 1000)
        self.rounds = -(-count // self.images)
        self.epochs = -(-self.rounds // SET_ROUNDS)

    def image(self, number: int) -> int:
        """Give the image of a version, from 0."""
        return (number - 1) % self.images

    def image_name(self, image: int) -> str:
        """Give an image's name."""
        return f"family{image // FAMILY:03d}-image{image % FAMILY:02d}"

    def round(self, number: int) -> int:
        """Give how often its image was built before."""
        return (number - 1) // self.images

    def release(self, number: int) -> tuple[int, int, int, int]:
        """Give major, minor, patch and build."""
        before = self.round(number)
        return 1, before // 100, before % 100 // 4, before % 4 + 1

    def reference(self, number: int) -> str:
        """Give how people name a version."""
        major, minor, patch, build = self.release(number)
        return f"{self.image_name(self.image(number))}@{major}.{minor}.{patch}/{build}"

    def moment(self, number: int) -> datetime:
        """Give when it was recorded."""
        return START + timedelta(seconds=number * SECONDS_APART)

    def id(self, number: int) -> str:
        """Give its id."""
        moment = f"{self.moment(number):%Y%m%dT%H%M%S%f}"
        return f"version-{moment}-{seed('id', number)[:8]}"

    def parent(self, number: int) -> int | None:
        """Give the version it stands on, None of a suite."""
        image = self.image(number)
        family, level = divmod(image, FAMILY)
        if level == 0:
            return None
        if family % 2 == 0:
            return number - 1
        before = self.round(number)
        return (before - before % WIDE_ROUNDS) * self.images + family * FAMILY + 1

    def asked(self, number: int) -> tuple[str, str, str | None]:
        """Give what its recipe asked for, what that was, and the version it was."""
        parent = self.parent(number)
        if parent is None:
            return "debian:bookworm", "suite bookworm", None
        found = self.id(parent)
        return f"image:{self.image_name(self.image(parent))}@1.x", found, found

    def plan(self, number: int) -> str:
        """Give its plan as it is kept."""
        asked, identity, _ = self.asked(number)
        layer = {"name": f"component-{self.image(number) % FAMILY}", "kind": "component"}
        return canonical_json(
            {
                "image": self.image_name(self.image(number)),
                "definition": f"sha256:{seed('definition', number // 4)}",
                "mode": "root-overlay-2",
                "parent": {"asked": asked, "identity": identity},
                "suite": "bookworm",
                "layers": [{**layer, "key": f"sha256:{seed('key', number)}", "parameters": {}}],
                "artifacts": ["qcow2"],
                "tests": [["tests/web", f"sha256:{seed('tests', number % 50)}"]],
                "source_date_epoch": 1767225600,
            }
        ).decode()

    def package(self, name: int, release: int) -> Row:
        """Give a package: the first name is openssl."""
        called = "openssl" if name == 0 else f"lib{seed('name', name)[:6]}-{name}"
        version = f"3.0.{release}-1~deb12u1"
        return called, version, "amd64", called, version

    @property
    def releases(self) -> int:
        """How many versions of each package there are."""
        return self.epochs + 3

    def members(self, group: int, epoch: int) -> list[tuple[int, int]]:
        """Give the packages that two images have at a time: (name, release)."""
        names = [0, *((group * 37 + step * 3) % (NAMES - 1) + 1 for step in range(SET_SIZE - 1))]
        return [(name, epoch + name % 3) for name in names]

    def package_set(self, number: int) -> int:
        """Give the number of a version's package set."""
        return self.image(number) // 2 * self.epochs + self.round(number) // SET_ROUNDS + 1

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
        """Give every table with rows, what they hang on first: name, columns, rows."""
        numbers = range(1, self.count + 1)
        yield "images", ("id", "name"), ((i + 1, self.image_name(i)) for i in range(self.images))
        yield "packages", ("id", *_PACKAGE), self._packages()
        yield "package_sets", ("id", "digest", "package_count"), self._sets()
        yield "package_set_members", ("set_id", "package_id"), self._members()
        yield "layer_stacks", ("id", "below_id", "digest", *_LAYER), self._stacks()
        yield "plans", ("id", "text_digest", "text"), self._plans()
        yield "versions", _VERSION, map(self._version, numbers)
        yield (
            "artifacts",
            ("version_number", "position", "format", "digest", "size_bytes", "virtual_size_bytes"),
            ((n, 0, "qcow2", seed("artifact", n), 300_000_000 + n, 4 * 2**30) for n in numbers),
        )
        yield "test_reports", _REPORT, ((n, 0, "offline", 1.5, "", seed("j", n)) for n in numbers)
        yield (
            "test_results",
            ("version_number", "report_position", "position", "name", "outcome", *_ENDED),
            ((n, 0, i, f"tests/web::test_{i}", "passed", 0.2, "") for n in numbers for i in (0, 1)),
        )
        yield "documents", ("text_digest", "text"), self._texts()
        yield (
            "version_documents",
            ("version_number", "position", "kind", "name", "digest", "text_digest"),
            (
                (n, 0, "recipe", self.image_name(self.image(n)), text, text)
                for n in numbers
                for text in [_digest_of_text(self._recipe(self.image(n), self.release(n)[1]))]
            ),
        )
        yield (
            "indexes",
            ("version_number", "address", "digest"),
            (
                (n, "https://deb.example.org/debian bookworm", seed("index", n // 500))
                for n in numbers
            ),
        )
        yield "channels", ("id", "image_id", "name"), self._channels()
        yield "channel_moves", _MOVE, self._moves()
        yield "revocations", _REVOCATION, self._revocations()

    def _packages(self) -> Iterator[Row]:
        for name in range(NAMES):
            for release in range(self.releases):
                yield (name * self.releases + release + 1, *self.package(name, release))

    def _sets(self) -> Iterator[Row]:
        for group in range(-(-self.images // 2)):
            for epoch in range(self.epochs):
                members = sorted(self.package(*member) for member in self.members(group, epoch))
                number = group * self.epochs + epoch + 1
                yield number, digest_of(members).hex, len(members)

    def _members(self) -> Iterator[Row]:
        for group in range(-(-self.images // 2)):
            for epoch in range(self.epochs):
                number = group * self.epochs + epoch + 1
                for package in sorted(n * self.releases + r for n, r in self.members(group, epoch)):
                    yield number, package + 1

    def _stacks(self) -> Iterator[Row]:
        """Give the layer of the suite, number 1, and that of each version n, number n + 1."""
        digests: dict[int | None, str] = {}
        fields: dict[str, str | int | None] = {
            "name": "debian:bookworm",
            "key": seed("key", "root"),
            "content": seed("content", "root"),
            "size_bytes": 290_000_000,
            "component_version": "",
            "component_digest": None,
            "parameters": "{}",
        }
        digests[None] = digest_of({**fields, "below": None}).hex
        yield 1, None, digests[None], *fields.values()
        for number in range(1, self.count + 1):
            level = self.image(number) % FAMILY
            fields = {
                "name": f"component-{level}",
                "key": seed("key", number),
                "content": seed("content", number),
                "size_bytes": 10_000_000 + number % 1000,
                "component_version": f"1.{self.round(number) // 100}.0",
                "component_digest": seed(f"component {level}", self.round(number) // 100),
                "parameters": "{}",
            }
            parent = self.parent(number)
            digests[number] = digest_of({**fields, "below": digests[parent]}).hex
            yield number + 1, (parent or 0) + 1, digests[number], *fields.values()

    def _plans(self) -> Iterator[Row]:
        for number in range(1, self.count + 1):
            text = self.plan(number)
            yield number, _digest_of_text(text), text

    def _version(self, number: int) -> Row:
        asked, identity, parent_id = self.asked(number)
        return (
            number,
            self.id(number),
            self.image(number) + 1,
            *self.release(number),
            f"run-{self.id(number)[8:]}",
            _written(self.moment(number)),
            seed("plan", number),
            seed("definition", number // 4),
            number,
            seed("disk", number),
            asked,
            identity,
            parent_id,
            None,
            self.package_set(number),
            number + 1,
        )

    def _recipe(self, image: int, minor: int) -> str:
        return f"kind: Recipe\nname: {self.image_name(image)}\nversion: 1.{minor}.x\n"

    def _texts(self) -> Iterator[Row]:
        for image in range(self.images):
            for minor in range(-(-self.rounds // 100)):
                text = self._recipe(image, minor)
                yield _digest_of_text(text), text

    def _channels(self) -> Iterator[Row]:
        for image in range(self.images):
            for position, name in enumerate(CHANNELS):
                yield image * len(CHANNELS) + position + 1, image + 1, name

    def _moves(self) -> Iterator[Row]:
        """Give the moves of each channel to versions of its image, from the first on."""
        moves = min(MOVES, self.rounds - 1)
        for image in range(self.images):
            for channel in range(len(CHANNELS)):
                old = None
                for move in range(moves):
                    new = move * (self.rounds - 1) // moves * self.images + image + 1
                    at = _written(self.moment(new) + timedelta(hours=1))
                    own = image * len(CHANNELS) + channel + 1
                    yield own, move, "set", at, "ci", "its tests passed", None, old, new
                    old = new

    def _revocations(self) -> Iterator[Row]:
        """Revoke every so manieth version, and with it what descends from it."""
        for number in range(REVOKED_EVERY, self.count + 1, REVOKED_EVERY):
            at = _written(self.moment(number) + timedelta(days=1))
            name = f"revocation-{number}"
            yield name, number, at, at, "security", "it has a flaw", 1, 1


_PACKAGE = ("name", "version", "architecture", "source", "source_version")
_LAYER = (
    *("name", "key", "content", "size_bytes"),
    *("component_version", "component_digest", "parameters"),
)
_VERSION = (
    *("number", "id", "image_id", "major", "minor", "patch", "build", "run_id", "created_at"),
    *("plan_digest", "definition_digest", "plan_id", "disk_digest", "parent_asked"),
    *("parent_identity", "parent_id", "copied_from", "package_set_id", "stack_id"),
)
_REPORT = ("version_number", "position", "stage", "seconds", "crash", "evidence")
_ENDED = ("seconds", "detail")
_REVOCATION = (
    *("id", "version_number", "in_force_at", "revoked_at", "revoked_by", "message"),
    *("reaches_descendants", "rolls_channels_back"),
)
_MOVE = (
    *("channel_id", "position", "kind", "at", "actor", "why", "source"),
    *("old_number", "new_number"),
)


def _written(moment: datetime) -> str:
    """Give a moment as SQLAlchemy writes it into SQLite; PostgreSQL is told that it is UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def load_sqlite(path: str, fleet: Fleet, say: Callable[[str], None]) -> None:
    """Write a fleet into an empty catalogue, its indexes after its rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        run = connection.execute
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -600000"):
            run(f"PRAGMA {setting}")
        found = run("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''")
        indexes = found.fetchall()
        for name, _ in indexes:
            run(f'DROP INDEX "{name}"')
        for table, columns, rows in fleet.tables():
            say(f"  {table}")
            marks = ", ".join("?" * len(columns))
            names = ", ".join(f'"{column}"' for column in columns)
            run("BEGIN")
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - our own names
            run("COMMIT")
        say(f"  {len(indexes)} indexes")
        for _, sql in indexes:
            run(sql)
        run("PRAGMA journal_mode = WAL")


def load_postgresql(address: str, fleet: Fleet, say: Callable[[str], None]) -> None:
    """Write a fleet into an empty catalogue, its indexes after its rows."""
    with psycopg.connect(address, autocommit=True) as connection:
        # References are right by construction; to look each of them up would take minutes.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint WHERE conname = indexname)"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"'.encode())
        for table, columns, rows in fleet.tables():
            say(f"  {table}")
            names = ", ".join(f'"{column}"' for column in columns)
            statement = f"COPY {table} ({names}) FROM STDIN".encode()
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                for lines in _copied(rows):
                    copy.write(lines)
            _count_on(connection, table)
        say(f"  {len(indexes)} indexes")
        for _, sql in indexes:
            connection.execute(sql.encode())
        connection.execute("VACUUM ANALYZE")


def _copied(rows: Rows) -> Iterator[str]:
    """Give rows as COPY reads them. Source: PostgreSQL, COPY, text format."""
    waiting = iter(rows)
    while some := list(islice(waiting, AT_ONCE)):
        yield "".join("\t".join(map(_cell, row)) + "\n" for row in some)


def _cell(value: str | float | None) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    return text.replace("\\", r"\\").replace("\n", r"\n") if "\n" in text or "\\" in text else text


def _count_on(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> None:
    """Let the next row that the store adds have the next number."""
    for column in tables.metadata.tables[table].primary_key.columns:
        found = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", (table, column.name))
        row = found.fetchone()
        if row and row[0]:
            query = f"SELECT setval(%s, max({column.name})) FROM {table}".encode()  # noqa: S608 - our own names
            connection.execute(query, (row[0],))
