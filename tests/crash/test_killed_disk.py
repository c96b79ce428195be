"""Killed at every stage of a real Debian's build, one after the other, in one state folder."""

import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.roots import CHECKOUT, Workbench, kill, left_behind, traces, wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.qemu,
    pytest.mark.timeout(900),
]

STAGES = (
    "debian:bookworm",
    "base-system",
    "disk",
    "artifact qcow2",
    "test booted in a container",
    "boot through uefi to a login",
)
SIGNS = {
    "debian:bookworm": "mmdebstrap",
    "test booted in a container": "systemd-nspawn",
    "boot through uefi to a login": "qemu-system",
}
"""The program that has to run before a stage counts as reached."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    shutil.copytree(CHECKOUT / "components", tmp_path / "components")
    bench = Workbench(tmp_path)
    # The sockets of a boot stand in the state folder only where its name is short.
    with tempfile.TemporaryDirectory(prefix="killed-") as home:
        bench.home = Path(home)
        yield bench


def steps(bench: Workbench) -> list[tuple[str, str]]:
    """Give name and state of the newest run's steps."""
    catalogue = bench.home / "catalogue.db"
    if not catalogue.exists():
        return []
    query = (
        "select name, state from run_steps where run_id = "
        "(select id from runs order by started_at desc limit 1) order by number"
    )
    try:
        with closing(sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)) as opened:
            return list(opened.execute(query))
    except sqlite3.OperationalError:
        return []  # its tables are being made


def is_reached(bench: Workbench, stage: str) -> bool:
    sign = SIGNS.get(stage, str(bench.home))
    is_running = (stage, "running") in steps(bench)
    return is_running and any(sign in trace for trace in traces(str(bench.home)))


def test_kill_at_every_stage_then_nothing_is_left_and_the_next_build_goes_on(
    bench: Workbench,
) -> None:
    recipe = bench.recipe(
        "base-system",
        name="killed",
        parent="debian:bookworm",
        artifacts=["qcow2"],
        disk={"size": "2GiB", "firmware": ["uefi"]},
    )
    for stage in STAGES:
        process = bench.begin("build", recipe, "--quiet")
        wait_until(
            lambda stage=stage, process=process: (  # type: ignore[misc]
                is_reached(bench, stage) or process.poll() is not None
            ),
            stage,
            300,
        )
        assert process.poll() is None, process.communicate()
        seen = dict(steps(bench))
        assert kill(process) == -signal.SIGKILL
        wait_until(lambda: traces(str(bench.home)) == [], f"a clean machine after {stage}")

        if STAGES.index(stage) > STAGES.index("disk"):
            assert (seen["debian:bookworm"], seen["base-system"]) == ("cached", "cached")

    built = bench.build(recipe, "--until", "artifact")

    files = built.answer["files"]
    assert isinstance(files, dict)
    assert Path(files["qcow2"]).stat().st_size > 50_000_000
    assert built.layers == []
    assert [run["state"] for run in bench.runs()] == ["succeeded", *["interrupted"] * len(STAGES)]
    assert left_behind(bench.home) == []
