"""Schedule: the moments at which a pipeline is due, as arithmetic; nothing here looks at a clock.

A slot is the moment a run is due, in UTC. When clocks change, Debian's cron is followed: work for
a time of the day that is skipped is due once, right after the gap, and work for one that comes
twice is due the first time only; work whose minute or hour begins with a star goes by what the
clock shows, skipped minutes lost and repeated ones kept, and so by absolute time.
Source: cron(8) of Debian, "Daylight Saving Time and other time changes".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice, takewhile
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from imagebuilder.domain.cron import Cron, CronFault, CronMalformed, cron_of
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import InvalidInput

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_SHORT = timedelta(hours=1)
_WIDER = 8
_RATE = re.compile(r"(?:rate\(\s*)?([0-9]{1,6})\s+(minute|hour|day)s?\s*\)?")
_RATE_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_NEAR_ZONES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSchedule:
    """Due whenever the clocks of a zone show what a cron expression means."""

    cron: Cron
    zone: ZoneInfo

    @property
    def text(self) -> str:
        """The expression as it is written."""
        return self.cron.text


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSchedule:
    """Due every so often, counted from an anchor: the moment its pipeline was first applied.

    The zone is where people read its moments; a day is always 24 hours.
    """

    text: str
    interval_seconds: int
    zone: ZoneInfo


Schedule: TypeAlias = CronSchedule | RateSchedule


class ZoneUnknown(InvalidInput):
    """There is no time zone of that name."""

    code = "zone-unknown"

    def __init__(self, name: str) -> None:
        """Quote it and name those that are like it."""
        super().__init__(
            f"There is no time zone {name!r}.",
            context="Time zones are named as in the IANA database.",
            hint=_zone_hint(name),
        )


class RateMalformed(InvalidInput):
    """A rate that says no time."""

    code = "rate-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"{text!r} is not a rate.",
            hint="Write a number of minutes, hours or days, such as rate(6 hours).",
        )


def zone_of(name: str) -> ZoneInfo:
    """Give the time zone of a name, such as Europe/Berlin. Raises: ZoneUnknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ZoneUnknown(name) from error


def cron_schedule(text: str, zone: ZoneInfo) -> CronSchedule:
    """Give the schedule of an expression: five fields, @daily and its like, or AWS cron(...).

    Raises: CronMalformed.
    """
    if text.lstrip().startswith("rate("):
        hint = f"Write rate: {text.strip()}"
        raise CronMalformed(text, [CronFault(message="This is a rate.", hint=hint, part=text)])
    return CronSchedule(cron=cron_of(text), zone=zone)


def rate_schedule(text: str, zone: ZoneInfo) -> RateSchedule:
    """Give the schedule of a rate: `rate(6 hours)`, or `6 hours`. Raises: RateMalformed."""
    matched = _RATE.fullmatch(text.strip())
    is_closed = text.strip().startswith("rate(") == text.strip().endswith(")")
    if matched is None or not is_closed or int(matched[1]) == 0:
        raise RateMalformed(text)
    interval_seconds = int(matched[1]) * _RATE_UNITS[matched[2]]
    return RateSchedule(text=text, interval_seconds=interval_seconds, zone=zone)


def next_slots(
    schedule: Schedule, after: datetime, count: int, *, anchor: datetime
) -> tuple[datetime, ...]:
    """Give the next slots after a moment; fewer when no more follow.

    `anchor` is what a rate counts from: one interval later it is due for the first time.
    """
    return tuple(islice(_slots(schedule, after, anchor), count))


def slots_between(
    schedule: Schedule, after: datetime, until: datetime, *, anchor: datetime
) -> tuple[datetime, ...]:
    """Give the slots after a moment up to another, which is included."""
    return tuple(takewhile(lambda slot: slot <= until, _slots(schedule, after, anchor)))


def newest_slot(
    schedule: Schedule, after: datetime, until: datetime, *, anchor: datetime
) -> datetime | None:
    """Give the last slot after a moment up to another, which is included; None if there is none.

    What lies between is not walked through, however long it is.
    """
    match schedule:
        case CronSchedule():
            return _newest_cron_slot(schedule, after.astimezone(UTC), until.astimezone(UTC))
        case RateSchedule(interval_seconds=seconds):
            interval, start = timedelta(seconds=seconds), anchor.astimezone(UTC)
            count = (until - start) // interval
            slot = start + count * interval
            return slot if count > 0 and slot > after else None


def count_slots(
    schedule: Schedule, after: datetime, until: datetime, *, anchor: datetime, limit: int
) -> int:
    """Give how many slots are after a moment up to another, which is included; at most `limit`."""
    found = takewhile(lambda slot: slot <= until, _slots(schedule, after, anchor))
    return sum(1 for _ in islice(found, limit))


def spread_seconds(name: str, window_seconds: int) -> int:
    """Give how long after its slot a pipeline of that name begins: the same on every machine.

    It delays the work, not the slot, which stays what identifies the run.
    """
    if window_seconds <= 0:
        return 0
    return int(Digest.of_bytes(name.encode()).hex, 16) % window_seconds


def _slots(schedule: Schedule, after: datetime, anchor: datetime) -> Iterator[datetime]:
    match schedule:
        case CronSchedule():
            return _cron_slots(schedule.cron, schedule.zone, after.astimezone(UTC))
        case RateSchedule():
            interval = timedelta(seconds=schedule.interval_seconds)
            return _rate_slots(interval, after.astimezone(UTC), anchor.astimezone(UTC))


def _newest_cron_slot(schedule: CronSchedule, after: datetime, until: datetime) -> datetime | None:
    """Look at ever longer spans before the end, the last hour first."""
    span = _SHORT
    while True:
        start = max(after, until - span)
        found = slots_between(schedule, start, until, anchor=start)
        if found:
            return found[-1]
        if start == after:
            return None
        span *= _WIDER


def _rate_slots(interval: timedelta, after: datetime, anchor: datetime) -> Iterator[datetime]:
    slot = anchor + max((after - anchor) // interval + 1, 1) * interval
    while True:
        yield slot
        slot += interval


def _cron_slots(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Walk over stretches in which the zone's offset stays as it is, so that only sums remain."""
    at = after + _TICK
    while True:
        wall = _wall(at, zone)
        found = cron.next_wall(wall)
        if found is None:
            return
        slot = at + (found - wall)
        change = _first_change(zone, at, slot)
        if change is None:
            if cron.is_every or not slot.astimezone(zone).fold:
                yield slot
            at = slot + _TICK
        elif not cron.is_every and found < _wall(change, zone):
            yield change
            at = change + _TICK
        else:
            at = change


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """Give when the zone's offset first changes after start, up to end; None when it does not.

    It looks once a day: no zone changes twice within one and is as before.
    """
    offset = _offset_at(zone)
    before = offset(start)
    while start < end:
        later = min(start + _DAY, end)
        if offset(later) != before:
            return _bisected(offset, start, later)
        start = later
    return None


def _offset_at(zone: ZoneInfo) -> Callable[[datetime], timedelta | None]:
    return lambda moment: moment.astimezone(zone).utcoffset()


def _bisected(
    offset: Callable[[datetime], timedelta | None], start: datetime, end: datetime
) -> datetime:
    """Give the whole second at which an offset becomes another, between two moments."""
    low, high = int(start.timestamp()), -int(-end.timestamp() // 1)
    before = offset(start)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(datetime.fromtimestamp(middle, UTC)) == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _zone_hint(name: str) -> str:
    """Name the zones that are like one; a place alone is enough to find its zone."""
    asked = name.replace(" ", "_").casefold()
    by_folded = {zone.casefold(): zone for zone in sorted(available_timezones())}
    by_place = {zone.rpartition("/")[2]: zone for zone in by_folded}
    near = [by_place[place] for place in (asked, asked.rpartition("/")[2]) if place in by_place]
    near += get_close_matches(asked, by_folded, n=_NEAR_ZONES, cutoff=0.7)
    near += [by_place[p] for p in get_close_matches(asked, by_place, n=_NEAR_ZONES, cutoff=0.75)]
    names = list(dict.fromkeys(by_folded[zone] for zone in near))[:_NEAR_ZONES]
    return f"Did you mean {' or '.join(names)}?" if names else "Write UTC, or Europe/Berlin."
