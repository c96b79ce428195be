"""`imagebuilder run` for runs of pipelines: found, shown as a timeline, followed and decided on."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.need import Decision, Move, Terms, component_reason, decide
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget, Trigger
from imagebuilder.domain.run import RunStage, RunState, StageRun, StepState
from imagebuilder.domain.signature import is_signed
from imagebuilder.ports.notices import KeptNotice
from imagebuilder.ports.pipelines import AppliedPipeline, KeptDecision
from tests.build import SOME_DAY, a_pipeline, a_run, a_step, an_order
from tests.functional.conftest import Cli
from tests.listeners import HookListener, listening_hooks

RUN = RunId("run-1")


@pytest.fixture(autouse=True)
def eva(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let eva be at work."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "eva")


def keep(cli: Cli, run_id: str, state: RunState, **more: Any) -> None:
    """Keep a run of a pipeline."""
    ended = SOME_DAY + timedelta(seconds=100) if state.is_final else None
    values = {"order": an_order(), "ended_at": ended} | more
    cli.application().runs.save(a_run(run_id, state=state, **values))


def listed(cli: Cli, *options: str) -> list[str]:
    """Give the ids of the runs that are listed."""
    return [line.split("\t")[0] for line in cli("run", "list", *options).stdout.splitlines()]


def test_list_when_filtered_then_gives_those_alone(cli: Cli) -> None:
    keep(cli, "run-1", RunState.SUCCEEDED)
    keep(cli, "run-2", RunState.FAILED, started_at=SOME_DAY + timedelta(hours=1))
    keep(cli, "run-3", RunState.QUEUED, order=an_order("other", variant="small"))
    keep(cli, "run-4", RunState.FAILED, order=None)

    assert listed(cli, "--pipeline", "nightly-web") == ["run-2", "run-1"]
    assert listed(cli, "--state", "failed") == ["run-2", "run-4"]
    assert listed(cli, "--state", "failed", "--state", "queued") == ["run-2", "run-4", "run-3"]
    assert listed(cli, "--pipeline", "nightly-web", "--state", "failed") == ["run-2"]
    assert listed(cli, "--since", "2026-03-01T13:00") == ["run-2"]
    assert listed(cli, "--since", "1h") == []
    assert listed(cli, "--limit", "1") == ["run-2"]
    last = cli("run", "list", "--pipeline", "other").stdout.rstrip("\n").split("\t")[-1]
    assert last == "other [small]"


def test_list_when_since_is_no_moment_then_says_what_is(cli: Cli) -> None:
    error = cli.error("run", "list", "--since", "yesterday")

    assert (error["code"], error["exit"]) == ("moment-malformed", 2)


def test_list_as_json_then_says_what_the_pipeline_asked_for(cli: Cli) -> None:
    order = an_order(trigger=Trigger.SCHEDULE, slot_at=SOME_DAY, overrides={"nginx.key": "hush"})
    keep(cli, "run-1", RunState.QUEUED, order=order)

    result = cli("run", "list", "--json")

    assert '"trigger": "schedule"' in result.stdout
    assert f'"slot_at": "{SOME_DAY.isoformat()}"' in result.stdout
    assert "hush" not in result.stdout


def test_show_then_draws_stages_and_below_them_their_steps(cli: Cli) -> None:
    order = an_order(trigger=Trigger.PARENT, why="debian-base@1.0.1/1 was published")
    keep(
        cli, "run-1", RunState.FAILED, order=order, attempt=2, error="It broke.", error_code="boot"
    )
    runs = cli.application().runs

    def stage(name: RunStage, begin: int, end: int, **more: Any) -> None:
        values = {"state": StepState.SUCCEEDED, "worker": "w1"} | more
        runs.save_stage(
            RUN,
            StageRun(
                stage=name,
                started_at=SOME_DAY + timedelta(seconds=begin),
                ended_at=SOME_DAY + timedelta(seconds=end),
                **values,
            ),
        )

    stage(RunStage.RESOLVE, 0, 25)
    stage(RunStage.BUILD, 25, 75)
    said = "It broke.\nNo login.\nLook at its console."
    failed = {"state": StepState.FAILED, "attempt": 2, "error": said, "error_code": "boot"}
    stage(RunStage.VALIDATE, 75, 100, **failed)
    for number, at in ((1, 25), (2, 50), (3, 76)):
        begun = SOME_DAY + timedelta(seconds=at)
        runs.save_step(RUN, a_step(number, started_at=begun, seconds=24, name=f"step{number}"))

    lines = cli("run", "show", "run-1").stdout.splitlines()

    table = [line.split("\t") for line in lines[lines.index("") + 1 :]]
    assert [row[0] for row in table] == ["resolve", "build", "1", "2", "validate", "3"]
    assert table[0][1:] == ["succeeded", "+0.0 s", "25 s", "━" * 6 + "·" * 18, "", "on w1"]
    assert table[1][4] == "·" * 6 + "━" * 12 + "·" * 6
    assert table[4][6] == "attempt 2, on w1, It broke. (boot)"
    begin = lines.index("error    It broke. (boot)")
    assert lines[begin + 1 : begin + 3] == ["         No login.", "         Look at its console."]
    assert "trigger  parent: debian-base@1.0.1/1 was published" in lines
    assert "attempt  2" in lines
    shown = cli.json("run", "show", "run-1")
    assert [s["stage"] for s in shown["stages"]] == ["resolve", "build", "validate"]
    assert shown["stages"][2]["error"] == {"code": "boot", "message": said}
    assert shown["approval"] is None


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (
            decide([component_reason([Move(name="nginx", before="1.0.0", now="1.0.1")])], Terms()),
            ["decision build", "         because component changed: nginx 1.0.0 to 1.0.1"],
        ),
        (decide([], Terms(), "debian-web@1.2.0/1"), ["decision skip"]),
    ],
    ids=["build", "skip"],
)
def test_show_when_it_was_decided_whether_to_build_then_says_why(
    cli: Cli, decision: Decision, told: list[str]
) -> None:
    keep(cli, "run-1", RunState.RUNNING)
    kept = KeptDecision(
        pipeline=PipelineName("nightly-web"),
        variant="",
        at=SOME_DAY,
        slot_at=None,
        run_id=RUN,
        verdict=decision.verdict,
        document=decision.document(),
    )
    cli.application().pipelines.add_decision(kept)

    lines = cli("run", "show", "run-1").stdout.splitlines()

    begin = lines.index(told[0])
    assert lines[begin : begin + len(told)] == told
    assert not lines[begin + len(told)].startswith(" ")
    assert cli.json("run", "show", "run-1")["decision"] == decision.document()


def test_cancel_when_the_run_waits_then_it_is_over(cli: Cli) -> None:
    keep(cli, "run-1", RunState.QUEUED)

    assert cli("run", "cancel", "run-1").stdout == "run-1 is cancelled\n"

    shown = cli.json("run", "show", "run-1")
    assert (shown["state"], shown["cancelled_by"]) == ("cancelled", "eva")
    assert cli.error("run", "cancel", "run-1")["code"] == "run-over"


def test_cancel_when_the_run_is_at_work_then_it_is_told_to_end(cli: Cli) -> None:
    keep(cli, "run-1", RunState.RUNNING)

    assert cli("run", "cancel", "run-1").stdout == "run-1 is told to end\n"
    assert cli("run", "show", "run-1").stdout.count("cancel   asked for by eva") == 1
    assert cli.error("run", "cancel", "run-1")["code"] == "cancel-asked"


def test_approve_then_the_run_goes_on_and_who_said_so_is_kept(cli: Cli) -> None:
    keep(cli, "run-1", RunState.AWAITING_APPROVAL)

    told = cli.json("run", "approve", "run-1", "--why", "tested by hand")

    assert (told["state"], told["attempt"]) == ("queued", 2)
    assert ": tested by hand" in cli("run", "show", "run-1").stdout
    audit = cli("audit", "list", "--action", "run-approved").stdout.split("\t")
    assert audit[1:5] == ["eva", "run-approved", "run-1", "tested by hand"]
    for verb in ("approve", "reject"):
        error = cli.error("run", verb, "run-1")
        assert (error["code"], error["exit"]) == ("approval-given", 3)


def test_approve_when_the_run_was_cancelled_then_is_refused(cli: Cli) -> None:
    keep(cli, "run-1", RunState.AWAITING_APPROVAL)
    cli("run", "cancel", "run-1")

    error = cli.error("run", "approve", "run-1")

    assert (error["code"], error["exit"]) == ("run-over", 3)
    assert "it is cancelled" in error["message"]


def test_approve_when_nobody_is_named_then_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IMAGEBUILDER_ACTOR", "SUDO_USER", "LOGNAME", "USER"):
        monkeypatch.delenv(name, raising=False)
    keep(cli, "run-1", RunState.AWAITING_APPROVAL)

    error = cli.error("run", "approve", "run-1")

    assert (error["code"], error["exit"]) == ("approver-unknown", 2)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookListener]:
    """Give who takes webhooks, and may be told though it is not public."""
    monkeypatch.setenv("IMAGEBUILDER_NOTICE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("HOOK_KEY", "s3cret")
    with listening_hooks() as listener:
        yield listener


def test_reject_then_whoever_wants_to_know_is_told(cli: Cli, hooks: HookListener) -> None:
    told = NoticeTarget(kind=NoticeKind.WEBHOOK, to=hooks.url("a"), secret="env:HOOK_KEY")
    other = NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org", events=("failed",))
    applied = AppliedPipeline(
        pipeline=a_pipeline("nightly-web", notify=(told, other)),
        first_applied_at=SOME_DAY,
        applied_at=SOME_DAY,
        applied_by="eva",
        cursor_at=SOME_DAY,
    )
    cli.application().pipelines.put(applied)
    keep(cli, "run-1", RunState.AWAITING_APPROVAL)

    cli("run", "reject", "run-1", "--why", "too large")

    assert "notice   rejected to webhook" in cli("run", "show", "run-1").stdout
    assert hooks.posted == []
    cli.application().notifying.deliver()
    ((_, headers, body),) = hooks.posted
    assert is_signed(headers["Imagebuilder-Signature"], b"s3cret", body)
    notice = json.loads(body)
    assert (notice["event"], notice["why"]) == ("rejected", "eva rejected it: too large")
    shown = cli.json("run", "show", "run-1")["notices"]
    assert [(n["event"], n["attempts"], n["error"]) for n in shown] == [("rejected", 1, None)]
    assert ": arrived 20" in cli("run", "show", "run-1").stdout


def test_show_when_somebody_cannot_be_told_then_says_why(cli: Cli, hooks: HookListener) -> None:
    application = cli.application()
    hooks.answers = 500
    target = NoticeTarget(kind=NoticeKind.WEBHOOK, to=hooks.url("a"))
    keep(cli, "run-1", RunState.QUEUED)
    notice = KeptNotice(
        at=SOME_DAY,
        pipeline=PipelineName("nightly-web"),
        event=Event.QUEUED,
        target=target,
        payload={"id": "notice-1", "event": "queued"},
        run_id=RUN,
        next_at=SOME_DAY,
    )
    # It happened long ago, so that the first attempt is the last one.
    application.notices.add([notice, replace(notice, at=application.clock.now())])

    application.notifying.deliver()

    lines = cli("run", "show", "run-1").stdout
    assert "given up after 1 attempts: It answers 500, not 2xx." in lines
    assert "attempt 1 failed: It answers 500, not 2xx." in lines


def test_retry_then_the_run_is_queued_and_can_be_cancelled_again(cli: Cli) -> None:
    keep(cli, "run-1", RunState.RUNNING)
    cli("run", "cancel", "run-1")
    keep(cli, "run-1", RunState.CANCELLED)

    assert cli("run", "retry", "run-1").stdout == "run-1 is queued for attempt 2\n"

    assert cli.json("run", "show", "run-1")["cancelled_by"] is None
    assert cli.error("run", "retry", "run-1")["code"] == "run-over"
    assert cli("run", "cancel", "run-1").exit_code == 0


def test_retry_when_the_run_is_of_no_pipeline_then_says_how_to_build(cli: Cli) -> None:
    keep(cli, "run-1", RunState.FAILED, order=None)

    error = cli.error("run", "retry", "run-1")

    assert (error["code"], error["exit"]) == ("run-by-hand", 3)
    assert "imagebuilder build RECIPE" in error["hint"]


def test_follow_when_the_run_is_over_then_gives_all_and_says_how_it_ended(cli: Cli) -> None:
    keep(cli, "run-1", RunState.FAILED, error="It broke.")
    application = cli.application()
    for number in (1, 2):
        application.runs.save_step(RUN, a_step(number))
        application.run_files.append(RUN, number, "nginx", f"line of {number} \x1b[31m")

    result = cli("run", "logs", "run-1", "-f")

    assert result.stdout == "== 1 nginx\nline of 1 ?[31m\n== 2 nginx\nline of 2 ?[31m\n"
    assert result.stderr == "run run-1 is failed: It broke.\n"
    lines = cli("run", "logs", "run-1", "--follow", "--step", "2", "--json").stdout.splitlines()
    assert lines == [
        '{"number": 2, "name": "nginx", "text": ""}',
        '{"number": 2, "name": "nginx", "text": "line of 2 \\u001b[31m\\n"}',
    ]


def test_follow_when_the_run_waits_for_a_person_then_says_how_to_approve(cli: Cli) -> None:
    keep(cli, "run-1", RunState.AWAITING_APPROVAL)

    told = cli("run", "logs", "run-1", "-f").stderr

    assert "imagebuilder run approve run-1" in told
