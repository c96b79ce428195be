"""`imagebuilder run` in text and JSON."""

from datetime import timedelta

import pytest

from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from imagebuilder.services.sweeping import run_lock
from tests.build import SOME_DAY, a_run, a_step
from tests.functional.conftest import Catalogue, Cli


@pytest.fixture
def runs(cli: Cli, catalogue: Catalogue) -> None:
    """Record a run that ended well, one that failed and one whose process is gone."""
    application = cli.application()
    later = SOME_DAY + timedelta(seconds=75)
    good = a_run("run-good", state=RunState.SUCCEEDED, ended_at=later, version_id=catalogue.new.id)
    bad = a_run(
        "run-bad",
        state=RunState.FAILED,
        ended_at=later,
        error_code="component-failed",
        error="Component nginx failed.",
        image="debian-base",
    )
    for run in (good, bad, a_run("run-killed", started_at=later)):
        application.runs.save(run)
    for number, state in enumerate((StepState.CACHED, StepState.SUCCEEDED), 1):
        step = a_step(number, state=state, seconds=2.5, detail="4 MiB")
        application.runs.save_step(good.id, step)
    application.run_files.append(good.id, 2, "nginx", "unpacking \x1b[31mnginx")


@pytest.mark.usefixtures("runs")
def test_list_then_shows_a_run_whose_process_is_gone_as_interrupted(cli: Cli) -> None:
    rows = [line.split("\t") for line in cli("run", "list").stdout.splitlines()]

    assert [(row[0], row[2]) for row in rows] == [
        ("run-killed", "interrupted"),
        ("run-good", "succeeded"),
        ("run-bad", "failed"),
    ]
    assert rows[1][4:] == ["1 min 15 s", "debian-web@1.2.1/1", ""]
    assert rows[2][5] == "Component nginx failed."


@pytest.mark.usefixtures("runs")
def test_list_when_a_run_is_held_by_a_living_process_then_it_is_running(cli: Cli) -> None:
    application = cli.application()
    run = a_run("run-alive", started_at=SOME_DAY + timedelta(days=1))
    application.runs.save(run)

    with application.locks.hold(run_lock(run.id), "a test"):
        listed = cli.json("run", "list", "--limit", "1")

    assert [(run["id"], run["state"]) for run in listed] == [("run-alive", "running")]


@pytest.mark.usefixtures("runs")
def test_list_as_json_when_an_image_is_named_then_gives_its_runs(cli: Cli) -> None:
    assert cli.json("run", "list", "--image", "debian-base") == [
        {
            "id": "run-bad",
            "image": "debian-base",
            "state": "failed",
            "started_at": SOME_DAY.isoformat(),
            "ended_at": (SOME_DAY + timedelta(seconds=75)).isoformat(),
            "seconds": 75.0,
            "version": None,
            "version_id": None,
            "error": {"code": "component-failed", "message": "Component nginx failed."},
            "attempt": 1,
            "queued_at": None,
            "cancelled_by": None,
            "order": None,
        }
    ]


@pytest.mark.usefixtures("runs")
def test_show_then_tells_the_run_and_its_steps(cli: Cli) -> None:
    shown = cli("run", "show", "run-g").stdout

    assert "version  debian-web@1.2.1/1\n" in shown
    times = f"+0.0 s\t2.5 s\t{'━' * 24}\tnginx\t4 MiB\n"
    assert f"1\tcached\t{times}2\tsucceeded\t{times}" in shown


@pytest.mark.usefixtures("runs")
def test_show_as_json_then_holds_the_steps(cli: Cli) -> None:
    shown = cli.json("run", "show", "run-good")

    assert shown["version"] == "debian-web@1.2.1/1"
    assert [(s["number"], s["state"], s["seconds"]) for s in shown["steps"]] == [
        (1, "cached", 2.5),
        (2, "succeeded", 2.5),
    ]


@pytest.mark.usefixtures("runs")
def test_logs_then_shows_each_step_and_nothing_that_steers_a_terminal(cli: Cli) -> None:
    assert cli("run", "logs", "run-good").stdout == (
        "== 1 nginx (cached)\n== 2 nginx (succeeded)\nunpacking ?[31mnginx\n"
    )


@pytest.mark.usefixtures("runs")
def test_logs_when_a_step_is_named_then_gives_its_lines_alone(cli: Cli) -> None:
    assert cli("run", "logs", "run-good", "--step", "2").stdout == "unpacking ?[31mnginx\n"
    assert cli.json("run", "logs", "run-good", "--step", "2") == {
        "run": "run-good",
        "steps": [
            {"number": 2, "name": "nginx", "text": "unpacking \x1b[31mnginx\n", "details": []}
        ],
    }


@pytest.mark.usefixtures("runs")
def test_logs_when_another_machine_wrote_some_then_says_where_they_are(cli: Cli) -> None:
    application = cli.application()
    run = application.runs.get("run-good")
    for stage, host in ((RunStage.RESOLVE, application.host), (RunStage.BUILD, "builder")):
        worker = f"{host}-1-20260101T000000000000-aaaaaaaa"
        done = StageRun(
            stage=stage, state=StepState.SUCCEEDED, started_at=SOME_DAY, worker=worker, result={}
        )
        application.runs.save_stage(run.id, done)

    told = cli("run", "logs", "run-good").stderr

    assert "builder-1-20260101T000000000000-aaaaaaaa" in told
    assert application.host not in told


@pytest.mark.usefixtures("runs")
def test_logs_when_components_left_details_then_says_where(cli: Cli) -> None:
    kept = cli.home / "runs/run-good/02-nginx.detailedoutput.json"
    kept.write_text("{}")
    assert cli("run", "logs", "run-good").stdout.endswith(f"== all details: {kept}\n")
    assert cli.json("run", "logs", "run-good")["steps"][1]["details"] == [str(kept)]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "nothing"), "run-not-found"),
        (("show", "run-"), "run-not-found"),
        (("logs", "nothing"), "run-not-found"),
        (("logs", "run-good", "--step", "9"), "step-not-found"),
    ],
)
def test_commands_when_there_is_no_such_run_or_step_then_exit_with_3(
    cli: Cli, arguments: tuple[str, ...], code: str
) -> None:
    error = cli.error("run", *arguments)

    assert (error["exit"], error["code"]) == (3, code)
