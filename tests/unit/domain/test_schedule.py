"""Slots of schedules: against a minute-by-minute model, cronsim and APScheduler."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from cronsim import CronSim
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from imagebuilder.domain.cron import Cron, cron_of
from imagebuilder.domain.schedule import (
    CronSchedule,
    RateMalformed,
    ZoneUnknown,
    count_slots,
    cron_schedule,
    newest_slot,
    next_slots,
    rate_schedule,
    slots_between,
    spread_seconds,
    zone_of,
)

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
)
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin, forwards
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin, backwards
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York, forwards
    datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York, backwards
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC),  # St John's, backwards over midnight
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, half an hour backwards
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe, half an hour forwards
    datetime(2026, 4, 23, 22, tzinfo=UTC),  # Cairo, midnight is skipped
    datetime(2026, 4, 5, 3, tzinfo=UTC),  # Santiago, backwards at midnight
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia, a whole day is skipped
]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.integers(1, high).map(lambda step: f"*/{step}")
    # cronsim takes 3-3/2 for 3/2, so a stepped span here has more than one number.
    stepped = st.builds(
        lambda first, step: f"{first}-{high}/{step}",
        st.integers(low, high - 1),
        st.integers(1, min(high, 9)),
    )
    lists = st.lists(number | spans, min_size=1, max_size=3).map(lambda i: ",".join(map(str, i)))
    return st.just("*") | lists | steps | stepped


EXPRESSIONS = st.tuples(
    field(0, 59), field(0, 23) | st.integers(0, 4).map(str), field(1, 28), field(1, 12), field(0, 7)
).map(" ".join)
DAILY = st.tuples(field(0, 59), field(0, 4)).map(lambda pair: f"{pair[0]} {pair[1]} * * *")
MOMENTS = st.tuples(st.sampled_from(CHANGES), st.integers(-1500, 1500)).map(
    lambda pair: pair[0] + pair[1] * MINUTE
)


def a_schedule(text: str, zone: str = "Europe/Berlin") -> CronSchedule:
    return cron_schedule(text, ZoneInfo(zone))


def between(schedule: CronSchedule, after: datetime, until: datetime) -> tuple[datetime, ...]:
    return slots_between(schedule, after, until, anchor=after)


def shown(text: str, day: str, zone: str = "Europe/Berlin") -> list[str]:
    """Give the slots of a day and the night after it, as the clocks of the zone show them."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - MINUTE
    slots = between(a_schedule(text, zone), start, start + timedelta(hours=24))
    return [f"{slot.astimezone(ZoneInfo(zone)):%H:%M%z}" for slot in slots]


def walls_skipped(before: datetime, now: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Give the minutes that the clocks jumped over between two minutes."""
    wall = before.astimezone(zone).replace(tzinfo=None) + MINUTE
    while wall < now.astimezone(zone).replace(tzinfo=None):
        yield wall
        wall += MINUTE


def modelled(cron: Cron, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """Look at the clocks every minute, as cron does."""
    found = []
    now = after
    while (now := now + MINUTE) <= until:
        local = now.astimezone(zone)
        is_due = cron.fits(local.replace(tzinfo=None)) and (cron.is_every or not local.fold)
        if not cron.is_every:
            is_due = is_due or any(map(cron.fits, walls_skipped(now - MINUTE, now, zone)))
        if is_due:
            found.append(now)
    return found


@given(expression=EXPRESSIONS | DAILY, zone=st.sampled_from(ZONES), after=MOMENTS)
def test_slots_are_those_of_a_clock_that_is_looked_at_every_minute(
    expression: str, zone: str, after: datetime
) -> None:
    schedule = a_schedule(expression, zone)
    until = after + timedelta(hours=30)
    found = between(schedule, after, until)

    assert list(found) == modelled(schedule.cron, schedule.zone, after, until)
    assert all(earlier < later for earlier, later in pairwise(found))


@given(expression=EXPRESSIONS, zone=st.sampled_from(ZONES), after=MOMENTS)
def test_slots_fit_their_fields_or_stand_right_after_a_gap(
    expression: str, zone: str, after: datetime
) -> None:
    schedule = a_schedule(expression, zone)
    for slot in next_slots(schedule, after, 5, anchor=after):
        wall = slot.astimezone(schedule.zone).replace(tzinfo=None)
        skipped = walls_skipped(slot - MINUTE, slot, schedule.zone)
        assert slot > after
        assert schedule.cron.fits(wall) or any(map(schedule.cron.fits, skipped))


@given(expression=EXPRESSIONS, after=MOMENTS)
def test_slots_without_clock_changes_are_those_of_cronsim(expression: str, after: datetime) -> None:
    schedule = a_schedule(expression, "UTC")
    simulated = CronSim(expression, after)
    expected = tuple(next(simulated) for _ in range(5))

    assert next_slots(schedule, after, 5, anchor=after) == expected


@given(
    minute=st.integers(0, 59), hour=st.integers(0, 23), after=MOMENTS, zone=st.sampled_from(ZONES)
)
def test_slots_of_a_time_of_day_are_those_of_cronsim_over_clock_changes(
    minute: int, hour: int, after: datetime, zone: str
) -> None:
    assume(zone != "Pacific/Apia")  # cronsim takes a skipped day for a malformed one
    expression = f"{minute} {hour} * * *"
    simulated = CronSim(expression, after.astimezone(ZoneInfo(zone)))
    expected = tuple(next(simulated).astimezone(UTC) for _ in range(4))

    assert next_slots(a_schedule(expression, zone), after, 4, anchor=after) == expected


@given(expression=st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12)), after=MOMENTS)
def test_slots_without_clock_changes_are_those_of_apscheduler(
    expression: tuple[str, str, str, str], after: datetime
) -> None:
    # Its weekdays count from Monday and always join with the days, so they are left out.
    text = " ".join([*expression, "*"])
    try:
        trigger = CronTrigger.from_crontab(text, timezone="UTC")
    except ValueError:
        reject()  # it refuses steps that are longer than their range
    moment, expected = after, []
    for _ in range(4):
        moment = trigger.get_next_fire_time(moment, moment + timedelta(microseconds=1))
        expected.append(moment)

    assert next_slots(a_schedule(text, "UTC"), after, 4, anchor=after) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "day", "times"),
    [
        ("30 2 * * *", "2026-03-29", ["03:00+0200"]),
        ("0,30 2,3 * * *", "2026-03-29", ["03:00+0200", "03:30+0200"]),
        ("30 2 * * *", "2026-10-25", ["02:30+0200"]),
        ("0 1-3 * * *", "2026-10-25", ["01:00+0200", "02:00+0200", "03:00+0100"]),
        ("*/30 2 * * *", "2026-03-29", []),
        ("*/30 2 * * *", "2026-10-25", ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
        ("cron(30 2 * * ? *)", "2026-03-29", ["03:00+0200"]),
    ],
)
def test_slots_when_clocks_change(text: str, day: str, times: list[str]) -> None:
    assert shown(text, day) == times


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 24), ("2026-10-25", 24)])
def test_slots_of_every_hour_when_clocks_change_go_by_absolute_time(day: str, count: int) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    found = next_slots(a_schedule("@hourly"), start - MINUTE, count, anchor=start)

    assert list(found) == [start + timedelta(hours=hour) for hour in range(count)]


def test_slots_when_midnight_is_skipped_are_due_once_after_it() -> None:
    assert shown("@daily", "2026-04-24T00:00", "Africa/Cairo")[:1] == ["01:00+0300"]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("cron(0 3 L * ? *)", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("cron(0 3 LW * ? *)", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("cron(0 3 1W * ? *)", ["2026-01-01", "2026-02-02", "2026-03-02"]),
        ("cron(0 3 31W * ? *)", ["2026-01-30", "2026-03-31", "2026-05-29"]),
        ("cron(0 3 ? * 6L *)", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("cron(0 3 ? * FRI#2 *)", ["2026-01-09", "2026-02-13", "2026-03-13"]),
        ("cron(0 3 ? * L *)", ["2026-01-03", "2026-01-10", "2026-01-17"]),
        ("cron(0 3 ? * 1 *)", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("cron(0 3 1 1 ? 2028-2032/2)", ["2028-01-01", "2030-01-01", "2032-01-01"]),
        ("0 3 13 * FRI", ["2026-01-02", "2026-01-09", "2026-01-13"]),
        ("0 3 */10 * MON", ["2026-05-11", "2026-06-01", "2026-08-31"]),
        ("0 3 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 3 * * 7", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("@yearly", ["2027-01-01", "2028-01-01", "2029-01-01"]),
    ],
)
def test_slots_fall_on_the_days_that_are_meant(text: str, days: list[str]) -> None:
    after = datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    found = next_slots(a_schedule(text, "UTC"), after, 3, anchor=after)

    assert [f"{slot:%Y-%m-%d}" for slot in found] == days


def test_slots_when_the_years_are_over_are_none() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_slots(a_schedule("cron(0 3 * * ? 2025)"), after, 3, anchor=after) == ()


@given(count=st.integers(1, 999), unit=st.sampled_from(["minute", "hour", "day"]), after=MOMENTS)
def test_slots_of_a_rate_count_from_their_anchor(count: int, unit: str, after: datetime) -> None:
    anchor = datetime(2020, 1, 1, 0, 0, 7, tzinfo=UTC)
    schedule = rate_schedule(f"rate({count} {unit}s)", ZoneInfo("Europe/Berlin"))
    first, second = next_slots(schedule, after, 2, anchor=anchor)
    interval = timedelta(seconds=schedule.interval_seconds)

    assert (first - anchor) % interval == timedelta()
    assert after < first <= after + interval or first == anchor + interval
    assert second - first == interval


def test_slots_of_a_rate_before_its_anchor_begin_one_interval_after_it() -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    schedule = rate_schedule("6 hours", ZoneInfo("UTC"))
    found = next_slots(schedule, anchor - timedelta(days=9), 1, anchor=anchor)

    assert found == (anchor + timedelta(hours=6),)


@pytest.mark.parametrize("text", ["rate(0 hours)", "rate(1 week)", "rate(1 hour", "1 hour)", "6"])
def test_rate_when_it_says_no_time_is_refused(text: str) -> None:
    with pytest.raises(RateMalformed):
        rate_schedule(text, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Belrin", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("US/New York", "America/New_York"),
        ("../../etc/passwd", "Write UTC"),
        ("", "Write UTC"),
    ],
)
def test_zone_when_it_is_unknown_then_near_ones_are_named(name: str, near: str) -> None:
    with pytest.raises(ZoneUnknown) as caught:
        zone_of(name)
    assert near in caught.value.hint


@given(st.text(max_size=20), st.integers(-5, 10_000))
def test_spread_is_within_its_window_and_the_same_every_time(name: str, window: int) -> None:
    delay = spread_seconds(name, window)
    assert 0 <= delay <= max(window - 1, 0)
    assert delay == spread_seconds(name, window)


def test_cron_when_it_is_understood_keeps_its_text() -> None:
    assert cron_of("@daily").text == "@daily"


@given(expression=EXPRESSIONS | DAILY, zone=st.sampled_from(ZONES), after=MOMENTS)
def test_newest_slot_and_count_are_those_of_a_walk_through_all_slots(
    expression: str, zone: str, after: datetime
) -> None:
    schedule, until = a_schedule(expression, zone), after + timedelta(hours=50)
    walked = between(schedule, after, until)

    assert newest_slot(schedule, after, until, anchor=after) == (walked[-1] if walked else None)
    assert count_slots(schedule, after, until, anchor=after, limit=5) == min(len(walked), 5)


@pytest.mark.parametrize(
    ("hours_away", "newest"),
    [(0, None), (5, None), (6, 6), (29, 24), (24 * 365 * 200, 24 * 365 * 200)],
)
def test_newest_slot_of_a_rate_is_the_last_of_its_multiples(
    hours_away: int, newest: int | None
) -> None:
    anchor = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    schedule = rate_schedule("6 hours", ZoneInfo("UTC"))

    found = newest_slot(schedule, anchor, anchor + timedelta(hours=hours_away), anchor=anchor)

    assert found == (None if newest is None else anchor + timedelta(hours=newest))


def test_newest_slot_when_decades_passed_then_they_are_not_walked_through() -> None:
    after, until = datetime(1980, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 12, 30, 1, tzinfo=UTC)

    assert newest_slot(a_schedule("* * * * *"), after, until, anchor=after) == until.replace(
        second=0
    )
    assert count_slots(a_schedule("* * * * *"), after, until, anchor=after, limit=100) == 100
