"""Times pipelines: knowing that there is nothing to build, and being on time when many are due.

decide_1000_seconds is 1,000 "must we build?" decisions with nothing changed, in one look: half of
the recipes take all updates of a suite, half are images on them; each image's last version holds
300 packages. The archive is this script's own: 20,000 packages, signed, on loopback. After it was
signed anew with nothing new in it, its lists are read and held against each version's packages:
decide_1000_signed_anew_seconds is that first look, decide_1000_next_day_seconds the one after it.
decide_one_seconds is a single decision in a process of its own, the median of five.

load_10000_seconds is what the clock takes from its start until it waits for the slots of 10,000
pipelines, read from the store, on the slower of SQLite and PostgreSQL. When 500 are due in the same
second on PostgreSQL, fire_p99_ms is what passes from then until 99 of 100 of their runs are kept,
and enqueue_500_seconds until all of them are in the queue of the engine: the worst of --rounds.

idle_cpu_percent is what part of one core a `serve` takes that has nothing to do, idle_rss_mib its
memory.

Each group of figures is a function of `GROUPS`; --only measures some of them.
"""

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from due import clock_figures
from idle import idle_figures

from imagebuilder.bootstrap import Application
from imagebuilder.domain.need import Verdict
from imagebuilder.services.pipelines.deciding import DecisionAsked
from imagebuilder.settings import read_settings
from tests.recorded import PAGE, PATCHES, record_as_built
from tests.signed_archives import SignedArchive, signed_archive, signing_key

ROOT = Path(__file__).resolve().parents[1]
RECIPES = 1000
OFFERED = 20_000
INSTALLED = 300
PROCESSES = 5
BASE = """\
kind: Recipe
name: base-%(number)s
version: 1.0.x
parent: {from: debian:bookworm, mirror: "%(url)s", keyring: own.gpg}
components: [patches, page]
artifacts: [tar]
"""
CHILD = """\
kind: Recipe
name: child-%(number)s
version: 1.0.x
parent: image:base-%(number)s@1.x
components: [{component: page, parameters: {text: "%(number)s"}}]
artifacts: [tar]
"""


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def seconds(work: Callable[[], object]) -> float:
    """Give how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Estate:
    """Recipes whose images were all built, and the archive that they are built from."""

    folder: Path
    archive: SignedArchive
    recipes: tuple[str, ...]

    def application(self) -> Application:
        """Give the services of a new process."""
        return Application(read_settings(self.environment))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to know of it."""
        return {**os.environ, "IMAGEBUILDER_HOME": str(self.folder / "home")}

    def decide_all(self) -> None:
        """Decide on every recipe as one look at the world does."""
        decisions = self.application().deciding.opened()
        for path in self.recipes:
            decision = decisions.decide(DecisionAsked(recipe_path=path))
            if decision.verdict is not Verdict.SKIP:
                raise SystemExit(f"{path}: {decision.text}")

    def decide_one(self) -> None:
        """Decide on a recipe that takes all updates, in a process of its own."""
        argv = [sys.executable, "-m", "imagebuilder", "build", self.recipes[0], "--dry-run"]
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(argv, check=True, capture_output=True, env=environment)
        if not done.stdout.splitlines()[-1].startswith(b"unchanged"):
            raise SystemExit(done.stdout.decode())


@contextmanager
def estate(count: int) -> Iterator[Estate]:
    """Give so many recipes with their recorded versions."""
    offered = {f"package-{number}": f"1.{number}-1" for number in range(OFFERED)}
    installed = {name: offered[name] for name in list(offered)[:INSTALLED]}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        signing_key() as key,
        signed_archive(key) as archive,
    ):
        folder = Path(name)
        archive.packages = offered
        archive.publish()
        (folder / "components").mkdir()
        (folder / "components/patches.yaml").write_text(PATCHES)
        (folder / "components/page.yaml").write_text(PAGE)
        (folder / "own.gpg").write_bytes(key.public)
        paths = []
        for kind, text in (("base", BASE), ("child", CHILD)):
            for number in range(count // 2):
                path = folder / f"{kind}-{number}.yaml"
                path.write_text(text % {"number": number, "url": archive.url})
                paths.append(str(path))
        made = Estate(folder, archive, tuple(paths))
        application = made.application()
        for path in paths:
            record_as_built(application, path, installed)
        yield made


def decisions(count: int) -> dict[str, float]:
    """Give the figures of "must we build?"."""
    say(f"recording {count} versions of as many recipes ...")
    with estate(count) as made:
        say("deciding ...")
        unchanged = seconds(made.decide_all)
        one = statistics.median(seconds(made.decide_one) for _ in range(PROCESSES))
        made.archive.publish()
        signed_anew = seconds(made.decide_all)
        next_day = seconds(made.decide_all)
    return {
        "decide_1000_seconds": unchanged,
        "decide_one_seconds": one,
        "decide_1000_signed_anew_seconds": signed_anew,
        "decide_1000_next_day_seconds": next_day,
    }


GROUPS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "clock": lambda arguments: clock_figures(arguments.rounds, say),
    "decisions": lambda arguments: decisions(arguments.recipes),
    "idle": lambda _: idle_figures(say),
}
"""What can be measured alone. Shape: name -> its figures."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(GROUPS), action="append", help="leave others out")
    parser.add_argument("--rounds", type=int, default=3, help="how often many are due at once")
    parser.add_argument("--recipes", type=int, default=RECIPES, help="how many are decided on")
    arguments = parser.parse_args()
    # As after any first start, also where Python is told to write no bytecode.
    compileall.compile_dir(str(ROOT / "imagebuilder"), quiet=1)
    figures: dict[str, float] = {}
    for name in arguments.only or GROUPS:
        figures |= GROUPS[name](arguments)
    for name, value in figures.items():
        say(f"{name:>32} {value:10.3f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
