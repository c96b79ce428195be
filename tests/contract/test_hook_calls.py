"""What every HookCalls keeps: in memory, in SQLite and in PostgreSQL."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.hook_calls import SqlHookCalls
from imagebuilder.ports.hooks import HookCalls
from tests.build import SOME_DAY, a_digest
from tests.databases import DATABASES, FreshLocation
from tests.fakes.hooks import FakeHookCalls


@pytest.fixture(params=["fake", *DATABASES])
def calls(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[HookCalls]:
    if request.param == "fake":
        yield FakeHookCalls()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlHookCalls(database)


def test_take_then_each_call_is_taken_once(calls: HookCalls) -> None:
    assert calls.take(a_digest("one"), SOME_DAY)
    assert calls.take(a_digest("two"), SOME_DAY)
    assert not calls.take(a_digest("one"), SOME_DAY + timedelta(days=1))


def test_forget_then_only_calls_of_before_can_be_taken_again(calls: HookCalls) -> None:
    calls.take(a_digest("old"), SOME_DAY)
    calls.take(a_digest("new"), SOME_DAY + timedelta(seconds=1))

    calls.forget(SOME_DAY + timedelta(seconds=1))

    assert calls.take(a_digest("old"), SOME_DAY)
    assert not calls.take(a_digest("new"), SOME_DAY)


@pytest.mark.parametrize("kind", DATABASES)
def test_take_when_many_ask_at_once_then_one_is_given_it(
    kind: str, fresh_location: FreshLocation
) -> None:
    with open_database(fresh_location(kind)) as database:
        calls = SqlHookCalls(database)
        answers: list[bool] = []
        together = threading.Barrier(8)

        def ask() -> None:
            together.wait()
            with database.together():
                answers.append(calls.take(a_digest("one"), SOME_DAY))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(answers) == [False] * 7 + [True]
