"""Times components: a step's overhead, a long document against the same by hand, one small trial.

Figures: step_overhead_ms is what one no-op step costs the whole process, the median of --rounds of
(a document of fifty steps - a document of one) / 49; fifty_steps_ratio is the seconds of the fifty
by those of the same commands in one systemd-nspawn each on the same root; component_test_seconds
is `component test` of one step on a cached root, whole process, the median of five.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGEBUILDER = [sys.executable, "-m", "imagebuilder"]
STEPS = 50
SMALL_ROUNDS = 5
PARENT = "debian:bookworm"


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Bench:
    """Documents and a home below a folder."""

    def __init__(self, folder: Path, parent: str) -> None:
        """Work below folder, on a parent."""
        self.folder = folder
        self.parent = parent
        self.home = folder / "home"
        self.environment = dict(os.environ, IMAGEBUILDER_HOME=str(self.home), PYTHONPATH=str(ROOT))

    def component(self, count: int) -> Path:
        """Write a component of so many steps that do nothing."""
        steps = "".join(
            f"      - {{name: Step{n}, action: ExecuteBash, inputs: {{commands: ['true']}}}}\n"
            for n in range(count)
        )
        path = self.folder / f"steps-{count}.yaml"
        path.write_text(
            f"name: steps-{count}\nschemaVersion: 1.0\nnetwork: none\n"
            f"phases:\n  - name: build\n    steps:\n{steps}"
        )
        return path

    def test(self, component: Path, *options: str) -> tuple[float, dict[str, object]]:
        """Give the seconds of a whole `component test`, and what it printed."""
        argv = [*IMAGEBUILDER, "component", "test", str(component), "--on", self.parent]
        started = time.perf_counter()
        done = subprocess.run(
            [*argv, "--json", *options], capture_output=True, check=False, env=self.environment
        )
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            say(done.stderr.decode(errors="replace")[-3000:])
            raise SystemExit(f"the test ended with {done.returncode}")
        return seconds, json.loads(done.stdout)

    def by_hand(self, root: Path) -> float:
        """Give the seconds of the same commands, each in a systemd-nspawn of its own."""
        argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        argv += ["--pipe", f"--directory={root}", "/bin/bash", "-c", "true"]
        started = time.perf_counter()
        for _ in range(STEPS):
            subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - started


def step_seconds(result: dict[str, object]) -> list[float]:
    """Give the seconds of each of a component's own steps, as it saw them itself."""
    steps = result["steps"]
    if not isinstance(steps, list):
        raise SystemExit("the test printed no steps")
    return [float(step["seconds"]) for step in steps if step["phase"]]


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Give every figure."""
    # As after any first start, also where Python is told to write no bytecode.
    compileall.compile_dir(str(ROOT / "imagebuilder"), quiet=1)
    one, fifty = bench.component(1), bench.component(STEPS)
    say(f"making the root of {bench.parent} ...")
    _, kept = bench.test(one, "--keep")
    root = Path(str(kept["kept"]))
    small = [bench.test(one)[0] for _ in range(SMALL_ROUNDS)]
    say("one step: " + ", ".join(f"{seconds:.2f} s" for seconds in small))
    ours, hands, inside = [], [], []
    for number in range(rounds):
        seconds, result = bench.test(fifty)
        ours.append(seconds)
        inside += step_seconds(result)
        hands.append(bench.by_hand(root))
        say(f"round {number + 1}: fifty by us {ours[-1]:.2f} s, by hand {hands[-1]:.2f} s")
    alone = statistics.median(small)
    overhead = statistics.median((seconds - alone) / (STEPS - 1) for seconds in ours)
    whole = sum(inside) / rounds
    say(f"where fifty steps go: {alone:.2f} s a process with one step")
    say(
        f"  {statistics.median(inside) * 1000:.1f} ms a step by its own clock, {whole:.2f} s in all"
    )
    imports(bench)
    return {
        "step_overhead_ms": overhead * 1000,
        "fifty_steps_ratio": statistics.median(ours) / statistics.median(hands),
        "component_test_seconds": alone,
        "fifty_steps_seconds": statistics.median(ours),
        "fifty_nspawns_seconds": statistics.median(hands),
    }


def imports(bench: Bench) -> None:
    """Say which modules take the longest to load for a test of one step."""
    argv = [sys.executable, "-X", "importtime", *IMAGEBUILDER[1:], "component", "test"]
    argv += [str(bench.component(1)), "--on", bench.parent, "--quiet"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=bench.environment)
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    timed = [(int(row[1]), row[2].rstrip()) for row in rows if row[1].strip().isdigit()]
    top = [(us, name) for us, name in timed if not name.startswith("   ")]
    for us, name in sorted(top, reverse=True)[:8]:
        say(f"  {us / 1000:6.0f} ms loading{name}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="documents of fifty steps")
    parser.add_argument("--folder", type=Path, default=None, help="where to work")
    parser.add_argument("--on", default=PARENT, help="the parent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as folder:
        figures = measure(Bench(Path(folder), arguments.on), arguments.rounds)
    for name, value in figures.items():
        say(f"{name:>26} {value:10.3f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
