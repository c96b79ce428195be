"""Builds by the real Packer with a machine: an SSH server of a test's own on the loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imagebuilder.adapters.local.live_machines import SshLiveMachines
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.packer import PackerSource
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.live_builds import LiveBuildFailed, LiveBuildTimedOut, LiveMachine
from imagebuilder.ports.machine import MachineLost, Script
from tests.packers import Bench, a_source, an_order, limited, packer_bench
from tests.roots import CHECKOUT, traces, wait_until
from tests.sshd import Server, ssh_server

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def bench() -> Iterator[Bench]:
    with packer_bench() as bench:
        yield bench


@pytest.fixture
def source(server: Server) -> PackerSource:
    """Give a source that makes nothing, but of a machine that is there."""
    return a_source(
        "null",
        "there",
        communicator="ssh",
        ssh_host="127.0.0.1",
        ssh_port=server.port,
        ssh_username="root",
        ssh_private_key_file=str(server.key),
        ssh_timeout="20s",
    )


def test_built_when_a_machine_waits_then_it_is_worked_on_with_its_key(
    bench: Bench, source: PackerSource
) -> None:
    live = SshLiveMachines(bench.runner, SystemClock(), bench.work / "logins")
    seen: list[tuple[str, bytes]] = []

    def work(machine: LiveMachine) -> None:
        with live.connected(machine.login) as connected:
            seen.append((machine.source, connected.run(Script(text="echo here\n")).stdout))

    with bench.builder().built(an_order(source), work, bench.said.append) as outcome:
        assert [product.source for product in outcome.products] == ["there"]

    assert seen == [("there", b"here\n")]
    assert bench.left == []


def test_built_when_the_work_fails_then_packer_puts_away_and_that_is_raised(
    bench: Bench, source: PackerSource
) -> None:
    def work(machine: LiveMachine) -> None:
        raise MachineLost(machine.source, "it burnt")

    with (
        pytest.raises(MachineLost),
        bench.builder().built(an_order(source), work, bench.said.append),
    ):
        pass

    assert any("exit status" in line.lower() for line in bench.said)
    assert (bench.left, bench.cleared) == ([], ["there"])


def test_built_when_the_work_fails_on_one_half_then_the_good_half_is_kept(
    bench: Bench, source: PackerSource
) -> None:
    other = PackerSource(type=source.type, name="other", settings=source.settings)

    def work(machine: LiveMachine) -> None:
        if machine.source == "there":
            raise MachineLost(machine.source, "it burnt")

    with bench.builder().built(an_order(source, other), work, bench.said.append) as outcome:
        assert [product.source for product in outcome.products] == ["other"]
        assert "went away" in outcome.failures["there"]


@pytest.mark.parametrize("interruption", [RunInterrupted, KeyboardInterrupt])
def test_built_when_it_is_cancelled_then_packer_cleans_up_and_nothing_is_left(
    bench: Bench, source: PackerSource, interruption: type[BaseException]
) -> None:
    def work(_machine: LiveMachine) -> None:
        raise interruption

    with (
        pytest.raises(interruption),
        bench.builder().built(an_order(source), work, bench.said.append),
    ):
        pass

    assert (bench.left, bench.cleared) == ([], ["there"])
    assert traces(str(bench.work)) == []


def test_built_when_it_takes_too_long_then_it_is_ended_and_nothing_is_left(
    bench: Bench, server: Server
) -> None:
    absent = a_source(
        "null",
        "absent",
        communicator="ssh",
        ssh_host="127.0.0.1",
        ssh_port=1,
        ssh_username="root",
        ssh_private_key_file=str(server.key),
        ssh_timeout="10m",
    )

    with (
        pytest.raises(LiveBuildTimedOut, match="longer than 1 s"),
        bench.builder().built(
            limited(an_order(absent), 1.0), lambda _machine: None, bench.said.append
        ),
    ):
        pass

    assert (bench.left, bench.cleared) == ([], ["absent"])
    assert traces(str(bench.work)) == []


def test_looked_at_when_the_look_fails_then_that_is_raised(
    bench: Bench, source: PackerSource
) -> None:
    def work(machine: LiveMachine) -> None:
        raise MachineLost(machine.source, "it burnt")

    with pytest.raises(MachineLost):
        bench.builder().looked_at(an_order(source), work, bench.said.append)

    assert bench.left == []


def test_looked_at_when_no_machine_comes_up_then_says_what_packer_said(
    bench: Bench, source: PackerSource
) -> None:
    settings = {**source.settings, "ssh_port": 1, "ssh_timeout": "1s"}
    absent = PackerSource(type=source.type, name="absent", settings=settings)

    with pytest.raises(LiveBuildFailed, match=r"source absent.*SSH"):
        bench.builder().looked_at(an_order(absent), lambda _machine: None, bench.said.append)


_BUILD = """
import json, sys, time
from pathlib import Path
from imagebuilder.domain.packer import PackerSource
from tests.packers import Bench, an_order

source, work = json.loads(sys.argv[1]), Path(sys.argv[2])

def wait(machine):
    (work / "waits").touch()
    time.sleep(100)

with Bench(work).builder().built(an_order(PackerSource(**source)), wait, print):
    pass
"""


def test_built_when_we_are_killed_then_packer_ends_by_itself_and_the_rest_is_cleared_up(
    bench: Bench, source: PackerSource
) -> None:
    told = json.dumps({"type": source.type, "name": source.name, "settings": source.settings})
    argv = [sys.executable, "-c", _BUILD, told, str(bench.work)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as ours:
        wait_until((bench.work / "waits").exists, "the machine to wait")
        log = next(bench.work.glob("folders/*/packer.out"))
        ours.kill()

    wait_until(lambda: "Cleanly cancelled builds" in log.read_text(), "packer to have cleaned up")
    taken = bench.traces.take_away()

    assert [line for line in taken if "was taken away" in line] == ["there of run-1 was taken away"]
    assert bench.cleared == ["there"]
    assert list((bench.work / "traces").iterdir()) == []
    wait_until(lambda: traces(str(bench.work)) == [], "the end of every process")


def test_take_away_when_a_build_still_runs_then_it_is_left_alone(
    bench: Bench, source: PackerSource
) -> None:
    found: list[object] = []

    with bench.builder().built(
        an_order(source),
        lambda _machine: found.append(bench.traces.take_away()),
        bench.said.append,
    ):
        pass

    assert (found, bench.cleared) == ([[]], [])


def test_take_away_when_packer_was_killed_too_then_its_processes_are_ended(bench: Bench) -> None:
    environment = {
        "IMAGEBUILDER_PACKER_RUN": str(bench.work / "traces/run-9.json"),
        "PATH": "/usr/bin:/bin",
    }
    (bench.work / "traces").mkdir()
    (bench.work / "traces/run-9.json").write_text('{"run": "run-9", "sources": []}')
    with subprocess.Popen(["sleep", "4712"], env=environment) as stray:
        taken = bench.traces.take_away()

        assert stray.wait(20) == -9

    assert taken == [f"process {stray.pid} (sleep) of run-9 was ended"]


@pytest.mark.parametrize("content", ["", '{"run": "run-9", "sou', "[]", '{"run": "run-9"}'])
def test_take_away_when_a_trace_was_not_written_to_its_end_then_it_goes(
    bench: Bench, content: str
) -> None:
    (bench.work / "traces").mkdir()
    (bench.work / "traces/run-9.json").write_text(content)

    assert bench.traces.take_away() == []
    assert list((bench.work / "traces").iterdir()) == []
