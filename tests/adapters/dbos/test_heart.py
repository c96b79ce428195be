"""A process shows that it lives; what others leave is taken over, but not after an outage."""

from dataclasses import dataclass, field

import pytest

from imagebuilder.adapters.dbos import heart
from imagebuilder.adapters.dbos.heart import Heart, HeartRate
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.lease import Lease, LeaseLost
from imagebuilder.ports.engine import Duty
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeaseStore
from tests.roots import wait_until

RATE = HeartRate(ttl_seconds=10.0, beat_seconds=0.01)
DUTY = Duty(controls=True, pools={"build.amd64": 2})


class CountingLeases(FakeLeaseStore):
    """Leases of a clock that a test moves, and how often one was renewed."""

    renewals = 0
    is_away = False

    def renew(self, lease: Lease, ttl_seconds: float) -> bool:
        self.renewals += 1
        if self.is_away:
            raise Unavailable("The server is away.")
        return super().renew(lease, ttl_seconds)


@dataclass
class Scene:
    clock: FakeClock = field(default_factory=FakeClock)
    lost: list[LeaseLost] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leases = CountingLeases(self.clock)

    def heart(self) -> Heart:
        return Heart(self.leases, self.clock, RATE, on_loss=self.lost.append)

    def beats(self, count: int = 3) -> None:
        """Wait until so many more beats were begun; the last but one has ended then."""
        until = self.leases.renewals + count
        wait_until(lambda: self.leases.renewals >= until, "beats")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene()
    monkeypatch.setattr(heart, "recover", scene.recovered.extend)
    return scene


def test_process_when_it_lives_then_its_lease_tells_what_it_does(scene: Scene) -> None:
    with scene.heart().beating("a", DUTY, recovers=True):
        (lease,) = scene.leases.leases("executor/")

    assert lease.name == "executor/a"
    assert lease.details == {"controls": True, "pools": {"build.amd64": 2}}


def test_process_when_it_ends_then_others_need_not_wait(scene: Scene) -> None:
    with scene.heart().beating("a", DUTY, recovers=True):
        pass

    (lease,) = scene.leases.leases("executor/")
    assert lease.is_expired


def test_dead_process_when_others_beat_long_enough_then_it_is_taken_over_once(
    scene: Scene,
) -> None:
    scene.leases.take("executor/dead", "dead", 5.0, {})

    with scene.heart().beating("a", DUTY, recovers=True):
        scene.clock.advance(9)
        scene.beats()
        before = list(scene.recovered)
        scene.leases.take("executor/a", "a", 10.0, {})
        scene.clock.advance(2)
        scene.beats()

    assert before == []
    assert scene.recovered == ["dead"]
    assert [lease.name for lease in scene.leases.leases("executor/")] == ["executor/a"]


def test_dead_process_when_the_file_has_one_process_then_nothing_is_taken_over(
    scene: Scene,
) -> None:
    scene.leases.take("executor/dead", "dead", 1.0, {})

    with scene.heart().beating("a", DUTY, recovers=False):
        scene.clock.advance(9)
        scene.leases.take("executor/a", "a", 10.0, {})
        scene.clock.advance(9)
        scene.beats()

    assert scene.recovered == []
    assert [lease.name for lease in scene.leases.leases("executor/")] == ["executor/a"]


def test_leases_when_the_store_was_away_then_the_living_are_not_taken_for_dead(
    scene: Scene,
) -> None:
    scene.leases.take("executor/other", "other", 5.0, {})

    with scene.heart().beating("a", DUTY, recovers=True):
        scene.leases.is_away = True
        scene.clock.advance(9)
        scene.beats()
        scene.leases.is_away = False
        scene.leases.take("executor/a", "a", 10.0, {})
        scene.clock.advance(5)
        scene.beats()

    assert scene.recovered == []


def test_process_when_another_has_its_lease_then_it_is_told_that_it_is_dead(scene: Scene) -> None:
    with scene.heart().beating("a", DUTY, recovers=True):
        scene.clock.advance(11)
        scene.leases.take("executor/a", "b", 10.0, {})
        wait_until(lambda: bool(scene.lost), "the loss")

    assert scene.lost[0].code == "lease-lost"
