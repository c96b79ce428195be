"""What somebody is told says all they need, and nothing that is secret."""

import json

import pytest

from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.ids import PipelineName, VersionId
from imagebuilder.domain.notice import (
    Event,
    Notice,
    event_of,
    shown,
    wants,
    why_of,
)
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget, Trigger
from imagebuilder.domain.run import RunState
from tests.build import SOME_DAY, a_run, an_order


def a_target(*events: str) -> NoticeTarget:
    return NoticeTarget(kind=NoticeKind.WEBHOOK, to="https://x.example.org", events=events)


def test_document_of_a_run_then_is_the_form_that_is_documented() -> None:
    order = an_order(
        variant="small",
        trigger=Trigger.SCHEDULE,
        slot_at=SOME_DAY,
        overrides={"nginx.password": "hush"},
    )
    run = a_run(
        state=RunState.FAILED,
        ended_at=SOME_DAY,
        error="Component nginx failed.",
        error_code="component-failed",
        attempt=2,
        order=order,
        version_id=VersionId("version-1"),
    )
    notice = Notice(
        id="notice-1",
        event=event_of(run.state),
        at=SOME_DAY,
        pipeline=PipelineName("nightly-web"),
        why=why_of(run),
        run=run,
        version="debian-web@1.2.0/1",
    )

    moment = SOME_DAY.isoformat()
    assert notice.document() == {
        "schema": "imagebuilder.notice/1",
        "id": "notice-1",
        "event": "failed",
        "at": moment,
        "pipeline": "nightly-web",
        "text": "pipeline nightly-web [small], run run-1: failed (Component nginx failed.)",
        "why": "Component nginx failed.",
        "run": {
            "id": "run-1",
            "image": "debian-web",
            "state": "failed",
            "variant": "small",
            "trigger": "schedule",
            "slot_at": moment,
            "started_at": moment,
            "ended_at": moment,
            "attempt": 2,
            "version": "debian-web@1.2.0/1",
            "version_id": "version-1",
            "error_code": "component-failed",
        },
    }
    assert b"hush" not in canonical_json(notice.document())


def test_document_of_a_pipeline_then_speaks_of_no_run() -> None:
    notice = Notice(
        id="notice-1",
        event=Event.PAUSED,
        at=SOME_DAY,
        pipeline=PipelineName("nightly-web"),
        why="3 scheduled runs failed",
    )

    document = json.loads(canonical_json(notice.document()))
    assert document["text"] == "pipeline nightly-web: paused (3 scheduled runs failed)"
    assert document["run"] is None


@pytest.mark.parametrize("state", list(RunState))
def test_event_of_every_state_there_is_one(state: RunState) -> None:
    assert event_of(state).value == {"running": "started"}.get(state, state)


def test_why_of_then_is_the_error_who_cancelled_or_what_made_it_due() -> None:
    order = an_order(why="the parent moved")
    assert why_of(a_run(state=RunState.QUEUED, order=order)) == "the parent moved"
    assert why_of(a_run(state=RunState.SUCCEEDED, order=order)) == ""
    assert why_of(a_run(state=RunState.CANCELLED, cancelled_by="eva", order=order)) == "by eva"
    long = why_of(a_run(state=RunState.FAILED, error="x" * 5000, order=order))
    assert (len(long), long[-4:]) == (503, "x...")


def test_wants_then_everything_or_what_is_named() -> None:
    assert all(wants(a_target(), event) for event in Event)
    assert [e for e in Event if wants(a_target("failed", "paused"), e)] == ["failed", "paused"]


@pytest.mark.parametrize(
    ("kind", "to", "told"),
    [
        (
            NoticeKind.WEBHOOK,
            "https://chat.example.org/services/T0/key",
            "https://chat.example.org/...",
        ),
        (NoticeKind.WEBHOOK, "http://ann:key@chat.example.org", "http://chat.example.org/..."),
        (NoticeKind.EMAIL, "ops@example.org", "ops@example.org"),
    ],
)
def test_shown_then_holds_nothing_that_lets_others_in(kind: NoticeKind, to: str, told: str) -> None:
    assert shown(NoticeTarget(kind=kind, to=to)) == told
