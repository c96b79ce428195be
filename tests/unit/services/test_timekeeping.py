from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from imagebuilder.domain.errors import Broken, ImageBuilderError, Unavailable
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import Timing
from imagebuilder.domain.schedule import cron_schedule
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.services.timekeeping import Timekeeping, Watchmaker
from tests.build import a_pipeline, an_applied
from tests.fakes.clock import FakeClock
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.scheduling import FakeScheduler

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class JumpingClock(FakeClock):
    """A clock that can be set."""

    def set(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Tower:
    """Timekeeping on fakes, from noon on; slots that are told move their cursors."""

    def __init__(self) -> None:
        self.pipelines, self.clock = FakePipelineStore(), JumpingClock(NOON)
        self.scheduler = FakeScheduler(self.clock)
        self.fired: list[tuple[str, datetime]] = []
        self.trouble: ImageBuilderError | None = None
        self.troubles: list[ImageBuilderError] = []
        self.timekeeping = Timekeeping(
            Watchmaker(
                scheduler=self.scheduler,
                pipelines=self.pipelines,
                clock=self.clock,
                fire=self.fire,
                on_trouble=self.troubles.append,
            )
        )

    def fire(self, due: Sequence[DueSlot]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.fired += [(slot.pipeline, slot.slot_at) for slot in due]
        self.pipelines.set_cursors({slot.pipeline: slot.slot_at for slot in due})

    def apply(self, name: str = "hourly", schedule: str | None = "0 * * * *", **more: Any) -> None:
        cron = None if schedule is None else cron_schedule(schedule, ZoneInfo("UTC"))
        values: dict[str, Any] = {"cursor_at": NOON, "first_applied_at": NOON} | more
        self.pipelines.put(an_applied(a_pipeline(name, timing=Timing(schedule=cron)), **values))

    def pass_time(self, seconds: float) -> list[tuple[str, datetime]]:
        """Let the clock run on and tick; give what was told."""
        before = len(self.fired)
        self.clock.advance(seconds)
        self.timekeeping.tick()
        return self.fired[before:]


@pytest.fixture
def tower() -> Tower:
    tower = Tower()
    tower.apply()
    tower.timekeeping.begin()
    tower.timekeeping.tick()
    return tower


def test_tick_when_a_slot_comes_then_it_is_told(tower: Tower) -> None:
    assert tower.pass_time(3599) == []
    assert tower.pass_time(1) == [("hourly", NOON + HOUR)]
    assert tower.pass_time(1) == []


def test_tick_when_nothing_changed_then_pipelines_are_not_read_again(tower: Tower) -> None:
    for _ in range(5):
        tower.pass_time(3600)

    assert tower.scheduler.kept == 1


def test_tick_when_pipelines_come_change_and_go_then_the_clock_goes_by_them(tower: Tower) -> None:
    tower.apply("half", "30 * * * *")
    assert tower.pass_time(1800) == [("half", NOON + HOUR / 2)]
    tower.apply("half", "45 * * * *", cursor_at=NOON + HOUR / 2, applied_at=NOON + HOUR / 2)
    assert tower.pass_time(900) == [("half", NOON + HOUR * 3 / 4)]
    tower.pipelines.remove(PipelineName("half"))
    assert tower.pass_time(3600) == [("hourly", NOON + HOUR)]


def test_tick_when_a_pipeline_has_no_schedule_then_it_is_never_due(tower: Tower) -> None:
    tower.apply("by-hand", None)
    tower.pass_time(1)

    assert list(tower.scheduler.timetables) == ["hourly"]


def test_begin_when_slots_were_missed_then_the_last_is_told_at_once() -> None:
    tower = Tower()
    tower.apply(cursor_at=NOON - 5 * HOUR)
    tower.timekeeping.begin()
    tower.timekeeping.tick()

    assert tower.fired == [("hourly", NOON)]


def test_cease_then_the_clock_is_looked_at_no_more(tower: Tower) -> None:
    tower.timekeeping.cease()

    assert not tower.scheduler.is_started


def test_begin_when_it_was_begun_before_then_goes_by_the_cursors_of_now(tower: Tower) -> None:
    tower.timekeeping.cease()
    tower.clock.advance(3 * 3600)
    tower.pipelines.set_cursors({PipelineName("hourly"): NOON + 2 * HOUR})
    tower.timekeeping.begin()

    assert tower.pass_time(0) == [("hourly", NOON + 3 * HOUR)]


@pytest.mark.parametrize("error", [Unavailable("away"), Broken("damaged")], ids=["away", "damaged"])
def test_fire_when_it_fails_then_the_slot_is_told_again(
    tower: Tower, error: ImageBuilderError
) -> None:
    tower.trouble = error
    assert tower.pass_time(3600) == []

    assert tower.troubles == [error]
    tower.trouble = None
    assert tower.pass_time(1) == [("hourly", NOON + HOUR)]
    assert tower.pass_time(1) == []


def test_tick_when_the_clock_is_set_forward_then_one_slot_is_told(tower: Tower) -> None:
    tower.clock.set(5 * 3600)

    assert tower.pass_time(1) == [("hourly", NOON + 5 * HOUR)]
    assert tower.pass_time(3600) == [("hourly", NOON + 6 * HOUR)]


def test_tick_when_the_clock_is_set_back_then_coming_slots_are_told_though_they_were_before(
    tower: Tower,
) -> None:
    tower.clock.set(5 * 3600)
    tower.pass_time(1)
    tower.clock.set(-5 * 3600)

    # Whether such a slot has its run already is for who makes runs to see.
    assert tower.pass_time(1) == []
    assert tower.pass_time(3600) == [("hourly", NOON + HOUR)]


def test_tick_when_the_clock_is_corrected_by_little_then_nothing_is_read_again(
    tower: Tower,
) -> None:
    for _ in range(20):
        tower.clock.set(-0.05)
        tower.pass_time(1)

    assert tower.scheduler.kept == 1


def test_tick_when_the_machine_slept_then_the_last_slot_is_told(tower: Tower) -> None:
    # Seconds that only grow stand still while a machine sleeps.
    tower.clock.set(10 * 3600 + 60)

    assert tower.pass_time(0) == [("hourly", NOON + 10 * HOUR)]
