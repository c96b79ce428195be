"""What every Scheduler keeps: a fake one, and APScheduler's by a clock that we set."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers import base as scheduler_module

from imagebuilder.adapters.apscheduler.clock import ApschedulerClock
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.schedule import (
    RateSchedule,
    Schedule,
    cron_schedule,
    rate_schedule,
    slots_between,
)
from imagebuilder.ports.scheduling import DueSlot, Scheduler, Timetable
from tests.fakes.clock import FakeClock
from tests.fakes.scheduling import FakeScheduler
from tests.roots import wait_until

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HEARTBEAT = PipelineName("heartbeat")
EVERY_SECOND = RateSchedule(text="", interval_seconds=1, zone=ZoneInfo("UTC"))


class Bell:
    """A scheduler that is started, and what it told; its clock moves when a test says so."""

    def __init__(self, scheduler: Scheduler, clock: FakeClock) -> None:
        self.scheduler, self.clock = scheduler, clock
        self.calls: list[list[tuple[str, datetime]]] = []
        self.beats: list[datetime] = []
        self.tables: list[Timetable] = []
        scheduler.start(self.told)

    def told(self, due: Sequence[DueSlot]) -> None:
        beats = [slot.slot_at for slot in due if slot.pipeline == HEARTBEAT]
        call: list[tuple[str, datetime]] = [
            (slot.pipeline, slot.slot_at) for slot in due if slot.pipeline != HEARTBEAT
        ]
        if call:
            self.calls.append(call)
        self.beats += beats

    def keep(self, *timetables: Timetable) -> None:
        self.tables = list(timetables)
        self.scheduler.keep([*timetables, self._heartbeat()])

    def at(self, moment: datetime) -> list[tuple[str, datetime]]:
        """Let it be a moment, a whole second, and give what was told since the one before."""
        before = len(self.calls)
        self.clock.advance((moment - self.clock.now()).total_seconds())
        self.scheduler.look()
        # All that is due in a moment is told at once, so with this beat all else was told.
        wait_until(lambda: moment in self.beats, f"a beat at {moment}")
        return sorted(slot for call in self.calls[before:] for slot in call)

    def _heartbeat(self) -> Timetable:
        return table(HEARTBEAT, EVERY_SECOND, after=self.clock.now() - timedelta(seconds=1))


def table(name: str, schedule: Schedule, after: datetime = START) -> Timetable:
    return Timetable(
        pipeline=PipelineName(name),
        schedule=schedule,
        anchor=START - timedelta(days=365),
        after=after,
    )


def cron(text: str, zone: ZoneInfo = BERLIN) -> Schedule:
    return cron_schedule(text, zone)


@pytest.fixture(params=["fake", "apscheduler"])
def ring(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[datetime], Bell]]:
    """Give what starts a scheduler at a moment."""
    bells: list[Bell] = []

    def started(at: datetime) -> Bell:
        clock = FakeClock(at)
        if request.param == "fake":
            bell = Bell(FakeScheduler(clock), clock)
        else:
            monkeypatch.setattr(scheduler_module, "datetime", told_by(clock))
            bell = Bell(ApschedulerClock(clock), clock)
        bells.append(bell)
        return bell

    yield started
    for bell in bells:
        bell.scheduler.stop()


def told_by(clock: FakeClock) -> type[datetime]:
    """Give a datetime whose now is a clock's: APScheduler lets nobody else say what time it is."""

    class Told(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.now().astimezone(tz)

    return Told


@pytest.fixture
def bell(ring: Callable[[datetime], Bell]) -> Bell:
    return ring(START)


def test_slot_when_it_is_there_then_it_is_told_once_and_not_before(bell: Bell) -> None:
    bell.keep(table("a", cron("30 * * * *")))

    assert bell.at(START + 30 * MINUTE - timedelta(seconds=1)) == []
    assert bell.at(START + 30 * MINUTE) == [("a", START + 30 * MINUTE)]
    assert bell.at(START + 30 * MINUTE + timedelta(seconds=1)) == []
    assert bell.at(START + 90 * MINUTE) == [("a", START + 90 * MINUTE)]


def test_slots_when_due_in_one_moment_then_they_are_told_at_once(bell: Bell) -> None:
    names = [f"p{number:02d}" for number in range(40)]
    bell.keep(*(table(name, cron("0 * * * *")) for name in names))

    assert bell.at(START + HOUR) == [(name, START + HOUR) for name in names]
    assert len(bell.calls) == 1


def test_slots_when_they_passed_before_it_was_asked_then_the_last_is_told(bell: Bell) -> None:
    bell.keep(
        table("minutes", cron("* * * * *"), after=START - timedelta(days=400)),
        table("rate", rate_schedule("7 minutes", BERLIN), after=START - HOUR),
        table("none", cron("0 3 * * *"), after=START - HOUR),
    )

    told = dict(bell.at(START))

    assert told == {"minutes": START, "rate": START - timedelta(minutes=START_RATE)}


START_RATE = 365 * 24 * 60 % 7


def test_slots_when_nobody_looked_for_long_then_the_last_is_told_and_then_the_next(
    bell: Bell,
) -> None:
    bell.keep(table("a", cron("*/5 * * * *")))

    later = START + timedelta(days=40)
    assert bell.at(later + MINUTE) == [("a", later)]
    assert bell.at(later + 5 * MINUTE) == [("a", later + 5 * MINUTE)]


def test_keep_when_a_timetable_is_the_same_then_it_stays_where_it_is(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")))
    bell.at(START + HOUR)

    bell.keep(table("a", cron("0 * * * *"), after=START - 5 * HOUR))

    assert bell.at(START + HOUR + MINUTE) == []
    assert bell.at(START + 2 * HOUR) == [("a", START + 2 * HOUR)]


def test_keep_when_a_schedule_is_another_then_it_counts_from_what_it_says(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")), table("b", cron("0 * * * *")))
    bell.keep(table("a", cron("10 * * * *")), table("b", cron("5 * * * *"), after=START - HOUR))

    assert bell.at(START + MINUTE) == [("b", START - 55 * MINUTE)]
    assert bell.at(START + HOUR) == [("a", START + 10 * MINUTE), ("b", START + 5 * MINUTE)]


def test_keep_when_one_is_left_out_then_it_is_told_of_no_more(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")), table("b", cron("0 * * * *")))
    bell.keep(table("b", cron("0 * * * *")))

    assert bell.at(START + HOUR) == [("b", START + HOUR)]


def test_keep_when_no_slots_are_left_then_nothing_is_told(bell: Bell) -> None:
    bell.keep(table("a", cron("cron(0 13 1 3 ? 2026)", ZoneInfo("UTC"))))

    assert bell.at(START + HOUR) == [("a", START + HOUR)]
    bell.keep(*bell.tables, table("b", cron("cron(0 3 * * ? 2025)")))
    assert bell.at(START + timedelta(days=400)) == []


def test_reset_then_timetables_count_from_what_they_say_again(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")))
    bell.at(START + HOUR)

    bell.scheduler.reset()
    bell.beats.clear()
    bell.keep(*bell.tables)

    assert bell.at(START + HOUR + MINUTE) == [("a", START + HOUR)]


def test_clock_when_set_back_and_reset_then_slots_are_told_as_they_come(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")))
    bell.at(START + 3 * HOUR)

    bell.clock.advance(-2 * 3600)
    bell.scheduler.reset()
    bell.beats.clear()
    bell.keep(table("a", cron("0 * * * *"), after=START + HOUR))

    assert bell.at(START + HOUR + MINUTE) == []
    assert bell.at(START + 2 * HOUR) == [("a", START + 2 * HOUR)]


def test_start_when_stopped_before_then_begins_without_timetables(bell: Bell) -> None:
    bell.keep(table("a", cron("0 * * * *")))
    bell.scheduler.stop()

    bell.scheduler.start(bell.told)
    bell.keep(table("b", cron("0 * * * *")))

    assert bell.at(START + HOUR) == [("b", START + HOUR)]


@pytest.mark.parametrize(
    ("text", "day", "zone", "shown"),
    [
        ("30 2 * * *", "2026-03-29", "Europe/Berlin", ["03:00+0200"]),
        ("30 2 * * *", "2026-10-25", "Europe/Berlin", ["02:30+0200"]),
        ("*/30 2 * * *", "2026-03-29", "Europe/Berlin", []),
        (
            "*/30 2 * * *",
            "2026-10-25",
            "Europe/Berlin",
            ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"],
        ),
        ("30 1 * * *", "2026-11-01", "America/New_York", ["01:30-0400"]),
        ("15 2 * * *", "2026-03-08", "America/New_York", ["03:00-0400"]),
        ("cron(30 2 * * ? *)", "2026-03-29", "Europe/Berlin", ["03:00+0200"]),
        ("0 2 * * *", "2026-10-04", "Australia/Lord_Howe", ["02:30+1100"]),
    ],
)
def test_slots_when_clocks_change_then_are_those_of_debians_cron(
    ring: Callable[[datetime], Bell], text: str, day: str, zone: str, shown: list[str]
) -> None:
    of = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=of).astimezone(UTC)
    bell = ring(midnight)
    bell.keep(table("a", cron(text, of), after=midnight))

    told = [slot for step in range(1, 25 * 4) for slot in bell.at(midnight + step * 15 * MINUTE)]

    slots = [slot_at.astimezone(of) for _, slot_at in told]
    assert [f"{slot:%H:%M%z}" for slot in slots if f"{slot:%Y-%m-%d}" == day] == shown


def test_slots_over_a_year_then_are_all_that_the_schedule_has(
    ring: Callable[[datetime], Bell],
) -> None:
    schedule = cron("30 2 * * *")
    bell = ring(START)
    bell.keep(table("a", schedule))

    told = [slot for day in range(1, 366) for slot in bell.at(START + timedelta(days=day))]

    wanted = slots_between(schedule, START, START + timedelta(days=365), anchor=START)
    assert [slot_at for _, slot_at in told] == list(wanted)
    assert len(wanted) == 365
