"""What every Clock and every IdSource keeps."""

from datetime import timedelta

import pytest

from imagebuilder.adapters.system.clock import RandomIds, SystemClock
from imagebuilder.ports.clock import Clock, IdSource
from tests.fakes.clock import FakeClock, FakeIds


@pytest.fixture(params=[SystemClock, FakeClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    """Give each clock in turn."""
    made: Clock = request.param()
    return made


@pytest.fixture(params=["random", "random-with-standing-clock", "fake"])
def ids(request: pytest.FixtureRequest) -> IdSource:
    """Give each source in turn."""
    sources: dict[str, IdSource] = {
        "random": RandomIds(SystemClock()),
        "random-with-standing-clock": RandomIds(FakeClock()),
        "fake": FakeIds(),
    }
    return sources[str(request.param)]


def test_now_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_monotonic_never_goes_back(clock: Clock) -> None:
    moments = [clock.monotonic() for _ in range(100)]

    assert moments == sorted(moments)


def test_new_when_asked_often_then_no_id_comes_twice(ids: IdSource) -> None:
    made = [ids.new("run") for _ in range(500)]

    assert len(set(made)) == len(made)


def test_new_begins_with_the_prefix(ids: IdSource) -> None:
    assert ids.new("version").startswith("version-")


def test_new_when_time_moves_on_then_ids_sort_by_their_moment() -> None:
    clock = FakeClock()
    ids = RandomIds(clock)
    made = []
    for seconds in (0.001, 1, 86_400, 40_000_000):
        made.append(ids.new("run"))
        clock.advance(seconds)

    assert made == sorted(made)


def test_new_when_the_clock_was_set_back_then_ids_do_not_sort_before_older_ones() -> None:
    clock = FakeClock()
    ids = RandomIds(clock)
    older = ids.new("run")
    clock.advance(-3600)

    assert ids.new("run").rpartition("-")[0] >= older.rpartition("-")[0]
