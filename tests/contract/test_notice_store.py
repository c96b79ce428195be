"""What every NoticeStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.notices import SqlNoticeStore
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.ports.notices import KeptNotice, NoticeStore
from tests.build import SOME_DAY
from tests.databases import DATABASES, FreshLocation
from tests.fakes.notices import FakeNoticeStore

TARGET = NoticeTarget(
    kind=NoticeKind.WEBHOOK, to="https://x.example.org", events=("failed",), secret="env:KEY"
)
RUN = RunId("run-1")
LATER = SOME_DAY + timedelta(days=1)


@pytest.fixture(params=["fake", *DATABASES])
def notices(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[NoticeStore]:
    if request.param == "fake":
        yield FakeNoticeStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlNoticeStore(database)


def a_notice(**more: Any) -> KeptNotice:
    values: dict[str, Any] = {
        "at": SOME_DAY,
        "pipeline": PipelineName("nightly-web"),
        "event": Event.FAILED,
        "target": TARGET,
        "payload": {"id": "notice-1", "why": "zu groß \0", "run": None},
        "run_id": RUN,
        "next_at": SOME_DAY,
    } | more
    return KeptNotice(**values)


def test_notice_when_added_then_comes_back_as_it_was(notices: NoticeStore) -> None:
    notices.add([a_notice(), a_notice(run_id=None)])

    first, second = notices.due(SOME_DAY, 10)

    assert replace(first, number=0) == a_notice()
    assert replace(second, number=0) == a_notice(run_id=None)
    assert 0 < first.number < second.number


def test_due_then_gives_the_longest_due_first_up_to_the_limit(notices: NoticeStore) -> None:
    moments = [SOME_DAY + timedelta(seconds=s) for s in (3, 1, 1, 99)]
    notices.add([a_notice(next_at=at, error=str(n)) for n, at in enumerate(moments)])
    notices.add([a_notice(next_at=None)])

    assert [n.error for n in notices.due(SOME_DAY + timedelta(seconds=3), 10)] == ["1", "2", "0"]
    assert [n.error for n in notices.due(LATER, 2)] == ["1", "2"]
    assert notices.due(SOME_DAY, 10) == []
    assert notices.waiting() == 4


def test_save_then_keeps_how_far_that_notice_got(notices: NoticeStore) -> None:
    notices.add([a_notice(), a_notice()])
    first, second = notices.due(SOME_DAY, 10)
    told = replace(first, attempts=2, next_at=None, delivered_at=LATER, error="")
    missed = replace(second, attempts=1, next_at=LATER, error="It does not answer. ü")

    notices.save(told)
    notices.save(missed)

    assert notices.of_run(RUN) == [told, missed]
    assert notices.due(SOME_DAY, 10) == []
    assert notices.waiting() == 1


def test_of_run_then_gives_its_own(notices: NoticeStore) -> None:
    notices.add([a_notice(), a_notice(run_id=RunId("run-2")), a_notice(run_id=None)])

    assert [n.run_id for n in notices.of_run(RunId("run-2"))] == ["run-2"]
    assert notices.of_run(RunId("run-9")) == []


def test_forget_then_takes_away_what_is_old_and_not_to_be_told(notices: NoticeStore) -> None:
    done = {"next_at": None}
    notices.add([a_notice(**done), a_notice(), a_notice(at=LATER, **done), a_notice(**done)])

    assert notices.forget(LATER, 3) == 1
    assert notices.forget(LATER, 10) == 1
    assert [(n.at, n.next_at) for n in notices.of_run(RUN)] == [(SOME_DAY, SOME_DAY), (LATER, None)]
    assert notices.forget(LATER, 10) == 0


def test_add_when_there_is_nothing_then_keeps_nothing(notices: NoticeStore) -> None:
    notices.add([])

    assert notices.waiting() == 0
