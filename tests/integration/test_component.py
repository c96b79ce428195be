"""Components tried on real roots and run on a real machine, by the command as people type it."""

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.roots import Workbench, kill, left_behind, tiny_archive, traces, wait_until
from tests.sshd import Server, ssh_server

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

ODD = r"printf 'a\033[31m<b> & \001\377\n' >&2"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path)
    bench.component("good", "echo made > /etc/made; echo said", network="none")
    return bench


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


def path_of(bench: Workbench, name: str) -> Path:
    return bench.folder / "components" / name / "component.yaml"


def tried(
    bench: Workbench, name: str, *options: object, on: object = ""
) -> "subprocess.CompletedProcess[str]":
    """Test a component and see that nothing is left of it."""
    on = on or f"rootfs:{tiny_archive()}"
    done = bench.run("component", "test", path_of(bench, name), "--on", on, *options)
    assert "Traceback" not in done.stderr
    assert_nothing_is_left(bench)
    return done


def assert_nothing_is_left(bench: Workbench) -> None:
    wait_until(lambda: traces(str(bench.home)) == [], "a clean machine")
    assert left_behind(bench.home) == []
    assert bench.runs() == []


def steps(bench: Workbench, name: str, *phases: dict[str, object]) -> None:
    bench.component(name, network="none", phases=list(phases))


def phase(name: str, *commands: str, **more: object) -> dict[str, object]:
    """Give a phase whose steps run one command each."""
    return {
        "name": name,
        "steps": [
            {
                "name": f"Do{number}",
                "action": "ExecuteBash",
                "inputs": {"commands": [command]},
                **more,
            }
            for number, command in enumerate(commands)
        ],
    }


def test_component_when_it_is_good_then_stdout_is_one_line_and_progress_is_on_stderr(
    bench: Workbench,
) -> None:
    done = tried(bench, "good")

    assert done.returncode == 0
    assert done.stdout.startswith("good 1.0.0 passed on rootfs:")
    assert done.stdout.count("\n") == 1
    assert "build: Do (ExecuteBash)  exit status 0" in done.stderr
    assert "said" in done.stderr


def test_component_when_it_is_tried_again_then_its_root_is_not_made_again(
    bench: Workbench,
) -> None:
    tried(bench, "good")
    keys = list((bench.home / "layers/keys").iterdir())

    again = json.loads(tried(bench, "good", "--json").stdout)

    assert again["has_passed"] is True
    assert list((bench.home / "layers/keys").iterdir()) == keys
    assert len(keys) == 1


def test_component_when_a_step_fails_then_says_which_and_exits_with_5(bench: Workbench) -> None:
    steps(bench, "bad", phase("build", "true", f"seq 30; {ODD}; exit 7", "never"))
    report = bench.folder / "report.xml"

    done = tried(bench, "bad", "--json", "--junit", report)

    assert done.returncode == 5
    told = json.loads(done.stdout)
    assert [(s["name"], s["state"], s["exit_status"]) for s in told["steps"]] == [
        ("Do0", "succeeded", 0),
        ("Do1", "failed", 7),
    ]
    assert "30" in told["steps"][1]["tail"]
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "component-failed"
    assert f"component test {path_of(bench, 'bad')} --on rootfs:" in error["hint"]
    cases = ET.fromstring(report.read_bytes()).iter("testcase")
    messages = {case.get("name"): [f.get("message") for f in case] for case in cases}
    assert messages["Do1"] == ["exit status 7"]


def test_component_then_each_phase_sees_what_it_would_see_in_a_build(bench: Workbench) -> None:
    steps(
        bench,
        "phased",
        phase("build", "touch /tmp/left /run/left /etc/kept"),
        phase("validate", "test -e /etc/kept -a ! -e /tmp/left -a ! -e /run/left", "rm /etc/kept"),
        phase("test", "test -e /etc/kept"),
    )

    done = tried(bench, "phased", "--json")

    told = json.loads(done.stdout)
    assert [s["state"] for s in told["steps"]] == ["succeeded"] * 3 + ["skipped", "succeeded"]
    assert "no init" in told["steps"][3]["detail"]


def test_component_on_a_recipe_that_uses_it_then_the_layers_below_it_are_there(
    bench: Workbench,
) -> None:
    bench.component("below", "echo below > /etc/below")
    bench.component("above", "echo above > /etc/above")
    steps(bench, "between", phase("build", "test -e /etc/below -a ! -e /etc/above"))
    recipe = bench.recipe("below", "between", "above")
    bench.build(recipe)
    keys = set((bench.home / "layers/keys").iterdir())

    done = bench.run("component", "test", path_of(bench, "between"), "--on", recipe)

    assert done.returncode == 0, done.stderr
    assert set((bench.home / "layers/keys").iterdir()) == keys


def test_build_when_a_component_fails_then_the_command_it_tells_runs_just_that_one(
    bench: Workbench,
) -> None:
    bench.component("below", "echo below > /etc/below")
    steps(bench, "broken", phase("build", "test -e /etc/below && ! true"))
    bench.component("above", "true")
    refusal = bench.refused(bench.recipe("below", "broken", "above"))
    command = refusal.hint.partition("Run just this component with: ")[2]

    program, *arguments = shlex.split(command)
    done = bench.run(*arguments)

    assert program == "imagebuilder"
    assert done.returncode == 5, done.stderr
    assert "broken 1.0.0 failed" in done.stdout
    assert "above" not in done.stderr


def test_component_when_its_root_is_kept_then_the_printed_command_enters_it(
    bench: Workbench,
) -> None:
    done = tried(bench, "good", "--keep", "--json")

    told = json.loads(done.stdout)
    command = told["enter"].partition(": ")[2]
    entered = subprocess.run(
        [*shlex.split(command), "--pipe", "/bin/cat", "/etc/made"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert entered.stdout == "made\n"
    assert Path(told["kept"], "etc/made").read_text() == "made\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_component_when_it_is_interrupted_then_nothing_is_left(
    bench: Workbench, number: signal.Signals
) -> None:
    steps(bench, "slow", phase("build", "echo begun; sleep 4712"))
    process = bench.begin(
        "component", "test", path_of(bench, "slow"), "--on", f"rootfs:{tiny_archive()}"
    )
    wait_until(lambda: traces("sleep 4712") != [], "the step")

    assert kill(process, number) == 130

    wait_until(lambda: traces("sleep 4712") == [], "the end of the step")
    assert_nothing_is_left(bench)


def test_component_when_it_is_killed_then_the_next_takes_away_what_it_left(
    bench: Workbench,
) -> None:
    steps(bench, "slow", phase("build", "echo begun; sleep 4713"))
    process = bench.begin(
        "component", "test", path_of(bench, "slow"), "--on", f"rootfs:{tiny_archive()}"
    )
    wait_until(lambda: traces("sleep 4713") != [], "the step")
    kill(process)
    wait_until(lambda: traces("sleep 4713") == [], "the end of the step")

    assert tried(bench, "good").returncode == 0


def test_run_then_the_machine_stays_as_the_component_leaves_it(
    bench: Workbench, server: Server, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    steps(bench, "marks", phase("build", f"echo here > {mark}"), phase("test", f"cat {mark}"))
    login = ("--host", "root@127.0.0.1", "--port", server.port, "--key", server.key)

    done = bench.run(
        "component",
        "run",
        path_of(bench, "marks"),
        *login,
        *("--known-hosts", server.known_hosts, "--json"),
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [s["tail"] for s in told["steps"] if s["phase"] == "test"] == [["here"]]
    assert mark.read_text() == "here\n"
    assert_nothing_is_left(bench)


def test_run_when_the_host_is_unknown_then_exits_with_4_and_nothing_runs(
    bench: Workbench, server: Server, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    steps(bench, "marks", phase("build", f"echo here > {mark}"))
    login = ("--host", "root@127.0.0.1", "--port", server.port, "--key", server.key)

    done = bench.run(
        "component", "run", path_of(bench, "marks"), *login, "--known-hosts", tmp_path / "none"
    )

    assert done.returncode == 4
    assert "--accept-new" in done.stderr
    assert not mark.exists()
