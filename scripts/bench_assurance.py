"""Times what is known of versions, on catalogues made for it.

The catalogue is that of fleet.py, with 10,000 versions of 50 images, each with a bill: 200 distinct
sets of 200 packages, of Debian 12. What is said is laid out as the publishers lay it out: a tracker
with 40,000 CVEs in 3,100 source packages, 300,000 scores of EPSS, 1,400 entries of KEV. The kernel
has nine in ten of all findings, as in real images; in the mean a set has about 1,400, most of them
without a fix. Each rescan is the whole process of `advisory rescan`, once.

The part `image` builds recipes/debian-web with a scan for CIS level 1, by content that is fetched
first, and takes from that build how long each step took by which the image is assessed (the
engine's page for people is made beside the later ones):
assess_seconds is all of them, offline_seconds and booted_seconds its tests, scan_seconds,
bill_seconds, and match_seconds, with the advisories above. What a build does anyway, and boots of
virtual machines, do not count.

Figures: import_seconds is `advisory update` of all of that; rescan_10000_seconds the first look at
all versions, so that all that is found is new and kept; rescan_10000_next_day_seconds the next
day's, when every score of EPSS is another one, and one CVE of a hundred is new or has a fix now;
rescan_10000_none_seconds one after nothing changed. With _postgresql behind them the same on
PostgreSQL. findings_per_set is the mean, rows_of_findings what is kept of all of them: sets share
what is found of the same version of a source. catalogue_mib is what SQLite takes on the disk
afterwards, peak_mib the largest memory of a process. Figures with _processor_seconds are what the
processors were busy for it, which tells more than the clock where others work beside it.
"""

import argparse
import compileall
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench_catalogue import SERVER
from fleet import NAMES, Fleet, Row, Rows, load_postgresql, load_sqlite, seed
from sqlalchemy import text

from imagebuilder.adapters.sql.database import open_database
from tests.advisory_files import kev, resolved, unfixed, write_gzip, write_json
from tests.postgres import running_server

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20
VERSIONS = 10_000
RELEASE = "debian:bookworm"
SUITES = ("bookworm", "trixie", "sid")
OTHERS = 2_500
CVES_OF_OTHERS = 14
KERNEL_OPEN = 1_000
KERNEL_FIXED = 400
SCORES = 300_000
EXPLOITED = 1_400


def say(text_: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text_ + "\n")
    sys.stderr.flush()


class BilledFleet(Fleet):
    """A fleet whose versions have bills; the first package of each is its kernel."""

    def package(self, name: int, release: int) -> Row:
        """Give a package: the first name is the kernel."""
        called, version, *rest = super().package(name, release)
        if name == 0:
            return "linux-image-amd64", version, "amd64", "linux", version
        return called, version, *rest

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
        """Give every table with rows, what they hang on first: name, columns, rows."""
        yield from super().tables()
        numbers = range(1, self.count + 1)
        columns = ("version_number", "release", "document_digest")
        yield "bills", columns, ((n, RELEASE, seed("bill", n)) for n in numbers)

    def sources(self) -> Iterator[str]:
        """Give the source packages that versions have."""
        for name in range(NAMES):
            yield str(self.package(name, 0)[3])


class Mirror:
    """What is said, as files: that of one day, and that of the next one."""

    def __init__(self, folder: Path, fleet: BilledFleet) -> None:
        """Write into folder what is said of a fleet."""
        self.folder = folder
        self._fleet = fleet
        self._cves = 0

    def write(self, day: int) -> None:
        """Write the files of a day."""
        self._cves = 0
        write_json(self.folder / "tracker.json", dict(self._packages(day)))
        exploited = [self._named(number) for number in range(1, EXPLOITED)]
        released = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        write_json(self.folder / "kev.json", kev(*exploited, released=released))
        head = f"#model_version:v1,score_date:{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+0000}"
        lines = (
            f"{self._named(n)},0.{(n * 7919 + day * 13) % 99991:05d},0.5" for n in range(1, SCORES)
        )
        write_gzip(self.folder / "epss.csv.gz", "\n".join((head, "cve,epss,percentile", *lines)))

    def _packages(self, day: int) -> Iterator[tuple[str, Mapping[str, object]]]:
        kernel, *names = self._fleet.sources()
        said = [unfixed() for _ in range(KERNEL_OPEN)]
        said += [resolved(_fixed(n), "high") for n in range(KERNEL_FIXED)]
        for number in range(0, len(said), 100):
            said[number] = resolved(_fixed(number), "medium") if day else said[number]
        said += [unfixed() for _ in range(day * 14)]
        yield kernel, self._entries(said)
        for number, name in enumerate(names):
            of_it = [resolved("0"), resolved(_fixed(number), "medium")]
            of_it += [unfixed(nodsa="Minor issue")] * (number % 3 == 0)
            yield name, self._entries(of_it)
        for number in range(OTHERS):
            of_it = [resolved(_fixed(n)) for n in range(CVES_OF_OTHERS)]
            yield f"other{number}", self._entries(of_it)

    def _entries(self, said: list[dict[str, object]]) -> dict[str, object]:
        return {self._next(): _entry(each) for each in said}

    def _next(self) -> str:
        self._cves += 1
        return self._named(self._cves)

    def _named(self, number: int) -> str:
        return f"CVE-{2010 + number % 16}-{number:06d}"


def _entry(said: dict[str, object]) -> dict[str, object]:
    description = "A flaw in how something is read lets somebody do what they should not. " * 3
    return {"scope": "remote", "description": description, "releases": dict.fromkeys(SUITES, said)}


def _fixed(number: int) -> str:
    return f"3.0.{number % 11 + 1}-1~deb12u1"


class Machine:
    """Runs commands over one catalogue."""

    def __init__(self, home: Path, address: str = "") -> None:
        """Use a home, whose catalogue is the one of address if there is one."""
        where = {"IMAGEBUILDER_CATALOGUE_URL": address} if address else {}
        self._environment = {
            **os.environ, "IMAGEBUILDER_HOME": str(home), "PYTHONPATH": str(ROOT), **where,
        }  # fmt: skip

    def figures(self, name: str, *words: str | Path) -> dict[str, float]:
        """Give how long a command takes, as a whole process."""
        argv = [sys.executable, "-m", "imagebuilder", *map(str, words)]
        busy, started = processor_seconds(), time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=self._environment)
        return {
            f"{name}_seconds": time.perf_counter() - started,
            f"{name}_processor_seconds": processor_seconds() - busy,
        }

    def steps(self, *words: str | Path) -> dict[str, float]:
        """Run a command that works in steps. Shape: the last of each name -> its seconds."""
        argv = [sys.executable, "-m", "imagebuilder", *map(str, words), "--json"]
        found: dict[str, float] = {}
        with subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self._environment,
        ) as working:  # fmt: skip
            for line in working.stderr or ():
                event = json.loads(line) if line.startswith("{") else {}
                if "error" in event:
                    say(line.rstrip())
                if event.get("event") == "step-ended":
                    say(f"  {event['step']}: {event['seconds']:.1f} s")
                    found[event["step"]] = event["seconds"]
        if working.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} ended with {working.returncode}")
        return found


def processor_seconds() -> float:
    """Give how long processors were busy for processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rescans(machine: Machine, mirror: Mirror) -> dict[str, float]:
    """Give how long the rescans of a catalogue take that was never looked at."""
    mirror.write(day=0)
    figures = machine.figures("import", "advisory", "update", "--from", mirror.folder)
    figures |= machine.figures("rescan_10000", "advisory", "rescan")
    figures |= machine.figures("rescan_10000_none", "advisory", "rescan")
    mirror.write(day=1)
    machine.figures("", "advisory", "update", "--from", mirror.folder)
    return figures | machine.figures("rescan_10000_next_day", "advisory", "rescan")


def on_sqlite(folder: Path) -> dict[str, float]:
    """Give the figures of SQLite."""
    fleet = BilledFleet(VERSIONS)
    path = folder / "catalogue.db"
    open_database(path).close()
    load_sqlite(str(path), fleet, say)
    os.sync()
    figures = rescans(Machine(folder), Mirror(folder / "mirror", fleet))
    return {**figures, **counted(str(path)), "catalogue_mib": path.stat().st_size / MIB}


def on_postgresql(folder: Path) -> dict[str, float]:
    """Give the figures of PostgreSQL, on a server that is gone afterwards."""
    fleet = BilledFleet(VERSIONS)
    with running_server(SERVER) as server:
        address = server.url_of(server.new_database())
        open_database(address).close()
        load_postgresql(address, fleet, say)
        os.sync()
        figures = rescans(Machine(folder, address), Mirror(folder / "mirror", fleet))
    return {
        f"{name}_postgresql": value
        for name, value in figures.items()
        if not name.startswith("import")
    }


def counted(address: str) -> dict[str, float]:
    """Give how much is found in a set, and how many rows say so."""
    with open_database(address) as database, database.reading() as connection:
        held = "FROM match_sources JOIN vulnerabilities USING (source_id)"
        found, kept, sets = (
            connection.scalar(text(f"SELECT count(*) {what}")) or 0
            for what in (held, "FROM vulnerabilities", "FROM matches")
        )
    return {"findings_per_set": found / sets, "rows_of_findings": kept}


def on_image(folder: Path) -> dict[str, float]:
    """Give how long it takes to assess the image of the web server, step by step."""
    for name in ("recipes", "components"):
        shutil.copytree(ROOT / name, folder / name)
    base, recipe = (folder / f"recipes/debian-{name}.yaml" for name in ("base", "web"))
    scans = "compliance: {profile: cis_level1_server}\n"
    for document, more in ((base, ""), (recipe, scans)):
        # Boots of virtual machines do not count, and one of each image is enough to go on.
        text_ = document.read_text().replace("[bios, uefi]", "[uefi]")
        document.write_text(text_ + more)
    mirror = Mirror(folder / "mirror", BilledFleet(1))
    mirror.write(day=0)
    machine = Machine(folder / "home")
    machine.figures("", "content", "fetch")
    steps = machine.steps("build", recipe)
    figures = {
        f"{name}_seconds": sum(s for step, s in steps.items() if step.startswith(begun))
        for name, begun in ASSESSED.items()
    }
    # A build matches within its step of recording; by itself it is a process of its own.
    machine.figures("", "advisory", "update", "--from", mirror.folder)
    matched = machine.figures("match", "advisory", "rescan", "--image", "debian-web")
    figures["match_seconds"] = matched["match_seconds"]
    lacking = sorted(name for name, seconds in figures.items() if not seconds)
    if lacking:
        raise SystemExit(f"the build had no steps for {', '.join(lacking)}: {sorted(steps)}")
    return {"assess_seconds": sum(figures.values()), **figures}


ASSESSED: Mapping[str, str] = {
    "offline": "test files at rest",
    "booted": "test booted in a container",
    "scan": "scan for ",
    "bill": "bill of materials",
}
"""Shape: figure -> how the name of a build's step begins."""

PARTS: Mapping[str, Callable[[Path], dict[str, float]]] = {
    "sqlite": on_sqlite,
    "postgresql": on_postgresql,
    "image": on_image,
}
"""What is measured, each in a folder of its own; more is added as a line here."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only that")
    parser.add_argument("--folder", type=Path, default=None, help="where all is made")
    arguments = parser.parse_args()
    # As after any first start, also where Python is told to write no bytecode.
    compileall.compile_dir(str(ROOT / "imagebuilder"), quiet=1)
    figures: dict[str, float] = {}
    for name in arguments.only or PARTS:
        say(f"{name} ...")
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as folder:
            figures |= PARTS[name](Path(folder))
    figures["peak_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    for name, value in figures.items():
        say(f"{name:>42} {value:10.3f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
