"""What every LeaseStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Barrier

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.leases import SqlLeaseStore
from imagebuilder.domain.lease import Lease
from imagebuilder.ports.leases import LeaseStore
from tests.databases import DATABASES, FreshLocation
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeaseStore
from tests.roots import wait_until

MINUTE = 60.0
TAKERS = 4
TINY = 0.005


@dataclass(frozen=True, slots=True)
class Bench:
    """A store, and what lets a lease of TINY seconds end."""

    store: LeaseStore
    wait: Callable[[], None]

    def take(self, holder: str = "one", seconds: float = MINUTE) -> Lease | None:
        return self.store.take("scheduler", holder, seconds, {"pid": 7})

    def taken(self, holder: str = "one", seconds: float = MINUTE) -> Lease:
        lease = self.take(holder, seconds)
        assert lease is not None
        return lease


@pytest.fixture(params=["fake", *DATABASES])
def bench(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Bench]:
    clock = FakeClock()
    if request.param == "fake":
        yield Bench(FakeLeaseStore(clock), lambda: clock.advance(1))
        return
    with open_database(fresh_location(request.param)) as database:
        store = SqlLeaseStore(database, clock)

        def is_over() -> bool:
            clock.advance(1)
            return all(lease.is_expired for lease in store.leases(""))

        yield Bench(store, lambda: wait_until(is_over, "the end of a lease"))


def test_take_when_nobody_holds_it_then_gives_it_and_keeps_what_it_stands_for(bench: Bench) -> None:
    taken = bench.taken()

    [kept] = bench.store.leases("sched")
    assert (taken.holder, taken.token, taken.remaining_seconds) == ("one", 1, MINUTE)
    assert (kept.name, kept.holder, kept.token) == ("scheduler", "one", 1)
    assert kept.details == {"pid": 7}
    assert 0 < kept.remaining_seconds <= MINUTE


def test_take_when_another_holds_it_then_gives_none(bench: Bench) -> None:
    bench.taken("one")

    assert bench.take("two") is None
    assert bench.store.leases("")[0].holder == "one"


def test_take_when_own_then_renews_it_under_the_same_token(bench: Bench) -> None:
    bench.taken(seconds=TINY)
    bench.wait()

    again = bench.taken()

    assert again.token == 1
    assert not bench.store.leases("")[0].is_expired


def test_take_when_it_ended_then_the_token_grows_with_each_new_holder(bench: Bench) -> None:
    tokens = []
    for holder in ("one", "two", "one"):
        tokens.append(bench.taken(holder, TINY).token)
        bench.wait()

    assert tokens == [1, 2, 3]


def test_take_when_it_lasts_longer_than_any_is_given_then_its_clock_was_set_back(
    bench: Bench,
) -> None:
    bench.taken("one", 3600)

    assert bench.taken("two").token == 2


def test_renew_when_held_then_it_lasts_longer(bench: Bench) -> None:
    lease = bench.taken(seconds=TINY)
    bench.wait()

    assert bench.store.renew(lease, MINUTE)
    assert bench.store.leases("")[0].remaining_seconds > 1


def test_renew_when_another_took_it_then_is_refused(bench: Bench) -> None:
    lease = bench.taken("one", TINY)
    bench.wait()
    bench.taken("two")

    assert not bench.store.renew(lease, 5 * MINUTE)
    assert bench.store.leases("")[0].remaining_seconds <= MINUTE


def test_renew_when_own_of_an_older_token_then_is_refused(bench: Bench) -> None:
    older = bench.taken("one", TINY)
    bench.wait()
    bench.store.release(bench.taken("two"))
    bench.taken("one")

    assert not bench.store.renew(older, MINUTE)


def test_release_then_another_may_take_it_at_once(bench: Bench) -> None:
    bench.store.release(bench.taken("one"))

    assert bench.store.leases("")[0].is_expired
    assert bench.taken("two").token == 2


def test_release_when_it_is_anothers_then_nothing_happens(bench: Bench) -> None:
    lease = bench.taken("one", TINY)
    bench.wait()
    bench.taken("two")

    bench.store.release(lease)

    assert not bench.store.leases("")[0].is_expired


def test_leases_when_several_then_gives_those_whose_names_start_so_by_name(bench: Bench) -> None:
    for name in ("executor/b", "executor/a", "Executor/c", "scheduler", "executor%"):
        bench.store.take(name, "one", MINUTE, {})

    assert [lease.name for lease in bench.store.leases("executor/")] == ["executor/a", "executor/b"]


def test_forget_when_it_ended_then_it_is_gone(bench: Bench) -> None:
    lease = bench.taken("one", TINY)
    bench.wait()

    bench.store.forget(lease)

    assert bench.store.leases("") == []
    assert not bench.store.renew(lease, MINUTE)


def test_forget_when_it_was_renewed_then_it_stays(bench: Bench) -> None:
    lease = bench.taken("one", TINY)
    bench.wait()
    bench.store.renew(lease, MINUTE)

    bench.store.forget(lease)

    assert bench.store.renew(lease, MINUTE)


@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("is_there", [False, True], ids=["never held", "held before"])
def test_take_when_many_do_at_once_then_one_has_it(
    kind: str, fresh_location: FreshLocation, *, is_there: bool
) -> None:
    location, barrier = fresh_location(kind), Barrier(TAKERS)
    with ExitStack() as opened:
        stores = [
            SqlLeaseStore(opened.enter_context(open_database(location)), FakeClock())
            for _ in range(TAKERS)
        ]
        if is_there:
            before = stores[0].take("scheduler", "before", MINUTE, {})
            assert before is not None
            stores[0].release(before)

        def take(number: int) -> Lease | None:
            barrier.wait(timeout=30)
            return stores[number].take("scheduler", f"process {number}", MINUTE, {})

        with ThreadPoolExecutor(TAKERS) as threads:
            taken = [lease for lease in threads.map(take, range(TAKERS)) if lease is not None]

        [kept] = stores[0].leases("")
    assert [(lease.holder, lease.token) for lease in taken] == [(kept.holder, kept.token)]
    assert kept.token == 1 + is_there
