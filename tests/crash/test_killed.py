"""Killed in the middle: nothing runs on, nothing stays mounted, the next build goes on."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.roots import Workbench, kill, left_behind, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

WAITING = "touch /tmp/reached; echo reached; while [ ! -e /etc/never ]; do sleep 0.05; done"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path)
    bench.component("first", "echo first > /etc/first")
    bench.component("second", "echo second > /etc/second")
    return bench


def is_clean(bench: Workbench) -> bool:
    """Whether nothing of a build runs any more, and no process has anything of it mounted."""
    return traces(str(bench.home)) == []


def killed_when(
    bench: Workbench,
    recipe: Path,
    said: str,
    number: signal.Signals = signal.SIGKILL,
    kept: int = 0,
) -> "subprocess.Popen[str]":
    """Build, and send a signal as soon as the logs hold a text and that many layers are kept."""
    process = bench.begin("build", recipe, "--quiet")
    keys = bench.home / "layers/keys"

    def is_time() -> bool:
        return said in bench.logs() and len(list(keys.iterdir())) >= kept

    wait_until(lambda: is_time() or process.poll() is not None, said)
    assert process.poll() is None, process.communicate()
    kill(process, number)
    wait_until(lambda: is_clean(bench), "a clean machine")
    return process


def states(bench: Workbench) -> list[object]:
    return [run["state"] for run in bench.runs()]


def test_kill_in_the_middle_of_a_component_then_the_next_build_goes_on_behind_the_last_layer(
    bench: Workbench,
) -> None:
    bench.component("waiting", WAITING)
    recipe = bench.recipe("first", "waiting", "second")

    process = killed_when(bench, recipe, "reached", kept=2)

    assert process.returncode == -signal.SIGKILL
    bench.component("waiting", "true")
    built = bench.build(recipe)
    assert built.layers == ["waiting", "second", "finish"]
    assert states(bench) == ["succeeded", "interrupted"]
    assert left_behind(bench.home) == []


def test_kill_when_background_processes_run_then_they_are_gone_too(bench: Workbench) -> None:
    mark = f"3333.{os.getpid()}"
    bench.component("waiting", f"setsid sleep {mark} & (sleep {mark} &) ; {WAITING}")

    killed_when(bench, bench.recipe("waiting"), "reached")

    assert traces(f"sleep {mark}") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_in_the_middle_of_a_component_then_it_is_cancelled_and_nothing_is_left(
    bench: Workbench, number: signal.Signals
) -> None:
    bench.component("waiting", WAITING)
    recipe = bench.recipe("first", "waiting")

    process = killed_when(bench, recipe, "reached", number)

    assert process.returncode == 130
    assert states(bench) == ["cancelled"]
    assert left_behind(bench.home) == []


def test_kill_while_a_layer_is_sealed_then_half_of_it_is_never_found(bench: Workbench) -> None:
    # Many small files: long enough to be met in the middle of being copied.
    bench.component("many", "mkdir /var/many; cd /var/many; for n in $(seq 6000); do : > $n; done")
    recipe = bench.recipe("first", "many")
    process = bench.begin("build", recipe, "--quiet")
    incoming = bench.home / "layers/incoming"

    def is_sealing() -> bool:
        return process.poll() is not None or any(incoming.glob("layer-*/tree/var/many/1*"))

    wait_until(is_sealing, "sealing")
    assert process.poll() is None, process.communicate()
    kill(process)
    wait_until(lambda: is_clean(bench), "a clean machine")

    assert bench.build(recipe).layers[-2:] == ["many", "finish"]
    assert states(bench) == ["succeeded", "interrupted"]
    assert left_behind(bench.home) == []


def test_kill_at_random_moments_then_a_build_in_the_end_is_the_same_as_an_undisturbed_one(
    bench: Workbench, tmp_path: Path
) -> None:
    recipe = bench.recipe("first", "second")
    for hundredths in (40, 60, 70, 80, 90, 100, 120):
        process = bench.begin("build", recipe, "--quiet")
        # The wait is the point: each round ends somewhere else, the last perhaps at the end.
        with suppress(subprocess.TimeoutExpired):
            process.wait(hundredths / 100)
        kill(process)
    wait_until(lambda: is_clean(bench), "a clean machine")
    bench.run("build", recipe)
    other = Workbench(tmp_path / "undisturbed")
    other.component("first", "echo first > /etc/first")
    other.component("second", "echo second > /etc/second")
    other.build(other.recipe("first", "second"))

    assert bench.build(recipe).answer["is_unchanged"] is True
    assert bench.artifact().read_bytes() == other.artifact().read_bytes()
    assert "running" not in states(bench)
    assert left_behind(bench.home) == []


def test_kill_of_one_build_then_another_of_the_same_image_is_not_kept_waiting(
    bench: Workbench,
) -> None:
    bench.component("waiting", WAITING)
    recipe = bench.recipe("waiting")
    process = bench.begin("build", recipe, "--quiet")
    wait_until(lambda: "reached" in bench.logs(), "the component")
    busy = bench.refused(recipe)
    kill(process)
    bench.component("waiting", "true")

    assert (busy.status, busy.code) == (3, "in-progress")
    assert bench.build(recipe).answer["version"] == "tiny@1.0.0/1"


def test_kill_then_run_list_says_interrupted_and_its_steps_show_where(bench: Workbench) -> None:
    bench.component("waiting", WAITING)
    killed_when(bench, bench.recipe("first", "waiting"), "reached")

    done = bench.run("run", "list", "--json")

    assert json.loads(done.stdout)
    assert states(bench) == ["interrupted"]
