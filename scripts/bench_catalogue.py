"""Times the catalogue with a million versions, on SQLite and on PostgreSQL, both made for it.

The rows are those of fleet.py. Each database is asked by a process of its own, through the stores
that commands use. Figures, with _sqlite and _postgresql behind those of a database: show_p99_ms
reads a version by its reference, with all that belongs to it; channel_p99_ms tells what a channel
means now (one of three is `latest`); standing_p99_ms tells whether a version is revoked, also by
what it descends from; lineage_p99_ms reads what a version descends from and what descends from it,
the nearest thousand; whatis_p99_ms finds what a digest is of: an artifact, a package index, a layer
or the component that made it; find_package_seconds is the first page of `image find --package`, a
thousand versions with how they stand, out of up to all: the slowest of several questions;
insert_version_ms records a version with 500 packages, a tenth of them never seen before,
insert_strange_version_ms one of which all are new (medians); file_mib is what the database takes on
the disk, load_seconds the time to write it. image_show_seconds is the whole process on SQLite, the
median of five; peak_mib the largest memory of an asking process.
"""

import argparse
import compileall
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from fleet import CHANNELS, FAMILY, SET_SIZE, Fleet, load_postgresql, load_sqlite, seed
from memory import peak_mib
from sqlalchemy import text

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.channels import SqlChannelStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.labels import SqlLabelStore
from imagebuilder.adapters.sql.searches import SqlSearchStore
from imagebuilder.adapters.sql.standings import SqlStandingStore
from imagebuilder.adapters.sql.traces import SqlTraceStore
from imagebuilder.domain.channel import LATEST, Channel
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import ImageVersion, parse_reference
from imagebuilder.domain.lineage import Scope
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.package_query import PackageQuery
from imagebuilder.domain.search import VersionQuery
from imagebuilder.domain.versions import BuildVersion, Version
from imagebuilder.services.searching import SearchAsked, SearchDesk, Searching
from tests.fakes.clock import FakeClock
from tests.postgres import running_server

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20
SAMPLES = 500
INSERTS = 40
PACKAGES = 500
PROCESSES = 5
FOUND = 1000
QUERIES = ("openssl<3.0.15", "openssl>=3.0.20,<3.0.22", "openssl=3.0.7-1~deb12u1", "openssl<1")
SEED = 4
SERVER = {
    # Unlike in tests: what is recorded is to be kept, as on a server that people rely on.
    **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on"),
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "work_mem": "16MB",
}


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def milliseconds(work: Callable[[], object]) -> float:
    """Give how long some work takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def p99(times: Sequence[float]) -> float:
    """Give the time within which 99 of 100 ended."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


class Asker:
    """Asks one catalogue, through what commands use."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        """Ask a database that a fleet was written into."""
        self.database = database
        self.fleet = fleet
        self.versions = SqlVersionStore(database)
        self.channels = SqlChannelStore(database)
        self.standings = SqlStandingStore(database)
        self.traces = SqlTraceStore(database)
        self.searching = Searching(
            SearchDesk(
                versions=self.versions,
                searches=SqlSearchStore(database),
                standings=self.standings,
                channels=self.channels,
                labels=SqlLabelStore(database),
                clock=FakeClock(self.now()),
                knows_cve=lambda _: False,
            )
        )
        self.random = random.Random(SEED)  # noqa: S311 - which versions are asked for is no secret

    def now(self) -> datetime:
        """Give the moment after the last version."""
        return self.fleet.moment(self.fleet.count + 1)

    def some(self) -> list[int]:
        """Give versions to ask for: any, and of the wide families those with many children."""
        drawn = [self.random.randint(1, self.fleet.count) for _ in range(SAMPLES)]
        return [(n % 5 == 0 and self.fleet.parent(n)) or n for n in drawn]

    def verify(self) -> None:
        """See that what was written is what the store would have written.

        Versions are read back and recorded again as others: all that they share must be known.
        """
        read = [self.read(number) for number in self.some()[:20]]
        before = self.shared()
        for build, version in enumerate(read, start=1):
            self.versions.add(as_another(version, build, image="verified"))
        if self.shared() != before:
            raise SystemExit("the store writes other rows than those that were written")

    def read(self, number: int) -> ImageVersion:
        """Give a version as the store reads it."""
        version = self.versions.find(parse_reference(self.fleet.reference(number)), self.now())
        if version.id != self.fleet.id(number) or len(version.packages) != SET_SIZE:
            raise SystemExit(f"{version.reference} was not read as it was written")
        return version

    def shared(self) -> list[object]:
        """Give the last number of each kind of thing that versions share."""
        names = ("packages", "package_sets", "layer_stacks", "plans")
        with self.database.reading() as connection:
            return [connection.scalar(text(f"SELECT max(id) FROM {name}")) for name in names]  # noqa: S608 - our own names

    def figures(self) -> dict[str, float]:
        """Give every figure of this database."""
        return {
            "show_p99_ms": self.p99_ms(self.read),
            "channel_p99_ms": self.p99_ms(self.channel),
            "standing_p99_ms": self.p99_ms(self.standing),
            "lineage_p99_ms": self.p99_ms(self.lineage),
            "whatis_p99_ms": self.p99_ms(self.whatis),
            "find_package_seconds": max(map(self.find_ms, QUERIES)) / 1000,
            "insert_version_ms": self.insert_ms("inserted", PACKAGES // 10),
            "insert_strange_version_ms": self.insert_ms("strange", PACKAGES),
        }

    def p99_ms(self, ask: Callable[[int], object]) -> float:
        """Give the time within which 99 of 100 questions about versions are answered."""
        return p99([milliseconds(partial(ask, number)) for number in self.some()])

    def channel(self, number: int) -> Channel:
        """Give a channel of a version's image as it stands now, the managed one among them."""
        name = (*CHANNELS, LATEST)[number % 3]
        image = self.fleet.image_name(self.fleet.image(number))
        return self.channels.channel(ImageName(image), ChannelName(name), self.now())

    def standing(self, number: int) -> object:
        """Give how a version stands now, with what it descends from."""
        return self.standings.standings([VersionId(self.fleet.id(number))], self.now())

    def lineage(self, number: int) -> object:
        """Give what a version descends from and what descends from it, as the command asks."""
        return self.versions.descent(VersionId(self.fleet.id(number)), Scope())

    def whatis(self, number: int) -> None:
        """Find what a digest is of; every fifth is that of a component that many layers share."""
        level, line = self.fleet.image(number) % FAMILY, self.fleet.round(number) // 100
        digest = (
            seed("artifact", number),
            seed("index", number // 500),
            seed("content", number),
            seed("key", number),
            seed(f"component {level}", line),
        )[number % 5]
        if not self.traces.traces(digest):
            raise SystemExit(f"{digest} of {self.fleet.reference(number)} was not found")

    def find_ms(self, query: str) -> float:
        """Give how long the first page of the versions that hold a package takes."""
        asked = VersionQuery(packages=(PackageQuery.parse(query),))
        return milliseconds(lambda: self.searching.find(SearchAsked(query=asked, limit=FOUND)))

    def insert_ms(self, image: str, new: int) -> float:
        """Give the median of recording versions with so many new packages."""
        versions = self.new_versions(image, new)
        return statistics.median(milliseconds(partial(self.versions.add, v)) for v in versions)

    def new_versions(self, image: str, count: int) -> Iterator[ImageVersion]:
        """Give versions to record: so many packages and their highest layer are new."""
        for build, number in enumerate(self.some()[:INSERTS], start=1):
            version = self.read(number)
            own = replace(version.layers[-1], key=Digest(seed(image, build)))
            known = [self.fleet.package(name, 0) for name in range(PACKAGES - count)]
            new = [(f"{image}{n}", f"{build}", "all", f"{image}{n}", "1") for n in range(count)]
            yield replace(
                as_another(version, build, image=image),
                layers=(*version.layers, own),
                packages=tuple(
                    InstalledPackage(
                        name=str(name),
                        version=str(release),
                        architecture=str(architecture),
                        source=str(source),
                        source_version=str(source_version),
                    )
                    for name, release, architecture, source, source_version in (*known, *new)
                ),
                plan={"image": image, "build": build},
            )


def as_another(version: ImageVersion, build: int, *, image: str) -> ImageVersion:
    """Give a version under another name."""
    return replace(
        version,
        id=VersionId(f"version-of-{image}-{build}"),
        image=ImageName(image),
        version=BuildVersion(Version(1, 0, 0), build),
    )


def asked(address: str, versions: int) -> dict[str, float]:
    """Give the figures of a database, asked by a process of its own."""
    # What was just loaded is written out first: no sync of a transaction is to wait for it.
    os.sync()
    argv = [sys.executable, __file__, "--ask", address, "--versions", str(versions)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def of_sqlite(folder: Path, fleet: Fleet) -> dict[str, float]:
    """Give the figures of SQLite, and of a whole process on it."""
    path = folder / "catalogue.db"
    open_database(path).close()
    seconds = milliseconds(lambda: load_sqlite(str(path), fleet, say)) / 1000
    size = path.stat().st_size / MIB
    figures = {**asked(str(path), fleet.count), "file_mib": size, "load_seconds": seconds}
    environment = dict(os.environ, IMAGEBUILDER_HOME=str(folder), PYTHONPATH=str(ROOT))
    argv = [sys.executable, "-m", "imagebuilder", "image", "show", fleet.reference(fleet.count)]
    shows = [
        milliseconds(lambda: subprocess.run(argv, check=True, capture_output=True, env=environment))
        for _ in range(PROCESSES)
    ]
    return {**figures, "image_show_seconds": statistics.median(shows) / 1000}


def of_postgresql(fleet: Fleet) -> dict[str, float]:
    """Give the figures of PostgreSQL, on a server that is gone afterwards."""
    with running_server(SERVER) as server:
        database = server.new_database()
        address = server.url_of(database)
        open_database(address).close()
        seconds = milliseconds(lambda: load_postgresql(address, fleet, say)) / 1000
        with server.connect(database) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        size = int(str(row[0])) / MIB if row else 0.0
        return {**asked(address, fleet.count), "file_mib": size, "load_seconds": seconds}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=1_000_000, help="how many to write")
    parser.add_argument("--folder", type=Path, default=None, help="where SQLite's file is made")
    parser.add_argument("--ask", metavar="ADDRESS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fleet = Fleet(arguments.versions)
    if arguments.ask:
        with open_database(arguments.ask) as database:
            asker = Asker(database, fleet)
            asker.verify()
            figures = asker.figures()
        print(json.dumps({**figures, "peak_mib": peak_mib()}))
        return
    # As after any first start, also where Python is told to write no bytecode.
    compileall.compile_dir(str(ROOT / "imagebuilder"), quiet=1)
    say(f"writing {fleet.count} versions of {fleet.images} images into SQLite ...")
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as folder:
        sqlite = of_sqlite(Path(folder), fleet)
    say("the same into PostgreSQL ...")
    postgresql = of_postgresql(fleet)
    whole = {
        "image_show_seconds": sqlite.pop("image_show_seconds"),
        "peak_mib": max(sqlite.pop("peak_mib"), postgresql.pop("peak_mib")),
    }
    figures = {
        **{f"{name}_sqlite": value for name, value in sqlite.items()},
        **{f"{name}_postgresql": value for name, value in postgresql.items()},
        **whole,
    }
    for name, value in figures.items():
        say(f"{name:>28} {value:10.3f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
