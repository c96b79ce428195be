from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.lease import Lease
from imagebuilder.services.leading import Chore, Leading, Watchword
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakePresence
from tests.fakes.leases import FakeLeaseStore


class AwayLeases(FakeLeaseStore):
    """Leases that cannot be asked for."""

    def take(self, *_: object) -> Lease | None:
        raise Unavailable("The server is away.")

    def renew(self, *_: object) -> bool:
        raise Unavailable("The server is away.")


class Here(FakePresence):
    """A process that is told to leave while it waits."""

    def wait(self, seconds: float) -> None:
        self.is_staying = False


class Process:
    """A process that could lead, and what it did."""

    def __init__(self, holder: str, leases: FakeLeaseStore, clock: FakeClock) -> None:
        self.did: list[str] = []
        self.troubles: list[str] = []
        self.trouble: Unavailable | None = None
        chore = Chore(
            name="look",
            every_seconds=2.0,
            do=self.look,
            begin=lambda: self.did.append("begin"),
            cease=lambda: self.did.append("cease"),
        )
        who = Watchword(
            holder=holder,
            presence=Here(),
            on_trouble=lambda name, trouble: self.troubles.append(f"{name}: {trouble.message}"),
        )
        self.leading = Leading(leases, clock, [chore], who)

    def look(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.did.append("look")


def test_leader_when_nobody_else_is_then_it_begins_and_does_its_chores_in_their_time() -> None:
    clock = FakeClock()
    process = Process("a", FakeLeaseStore(clock), clock)

    for _ in range(5):
        process.leading.tick()
        clock.advance(1)

    assert process.did == ["begin", "look", "look", "look"]


def test_second_process_when_the_first_leads_then_it_does_nothing() -> None:
    clock = FakeClock()
    leases = FakeLeaseStore(clock)
    first, second = Process("a", leases, clock), Process("b", leases, clock)

    first.leading.tick()
    second.leading.tick()

    assert second.did == []
    assert not second.leading.is_leader


def test_second_process_when_the_first_is_silent_then_it_leads_within_the_lease() -> None:
    clock = FakeClock()
    leases = FakeLeaseStore(clock)
    first, second = Process("a", leases, clock), Process("b", leases, clock)
    first.leading.tick()
    clock.advance(16)

    second.leading.tick()

    assert second.did == ["begin", "look"]


def test_leader_when_another_took_over_then_it_ceases() -> None:
    clock = FakeClock()
    leases = FakeLeaseStore(clock)
    first, second = Process("a", leases, clock), Process("b", leases, clock)
    first.leading.tick()
    clock.advance(16)
    second.leading.tick()

    first.leading.tick()

    assert first.did == ["begin", "look", "cease"]


def test_leader_when_it_ends_then_the_next_one_need_not_wait() -> None:
    clock = FakeClock()
    leases = FakeLeaseStore(clock)
    first, second = Process("a", leases, clock), Process("b", leases, clock)

    first.leading.attend()
    second.leading.tick()

    assert first.did == ["begin", "look", "cease"]
    assert second.leading.is_leader


def test_chore_when_something_does_not_answer_then_it_is_told_and_done_when_due_again() -> None:
    clock = FakeClock()
    process = Process("a", FakeLeaseStore(clock), clock)
    process.trouble = Unavailable("The mirror does not answer.")
    process.leading.tick()
    process.trouble = None
    clock.advance(2)

    process.leading.tick()

    assert process.troubles == ["look: The mirror does not answer."]
    assert process.did == ["begin", "look"]


def test_leader_when_the_store_is_away_for_longer_than_its_lease_then_it_ceases() -> None:
    clock = FakeClock()
    process = Process("a", FakeLeaseStore(clock), clock)
    process.leading.tick()
    process.leading._leases = AwayLeases(clock)
    clock.advance(16)

    process.leading.tick()

    assert process.did == ["begin", "look", "cease"]
    assert process.troubles == ["lease: The server is away."]
