"""Cron: which minutes of which days an expression means, and where it is malformed.

Days and minutes of the wall only: what a time zone makes of them is in `schedule`.
Source: crontab(5) of Debian's cron; Amazon EventBridge, "Cron expressions".
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from imagebuilder.domain.errors import InvalidInput

NICKNAMES: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LOOKED_AHEAD_YEARS = 41
"""The 29th of February on a given weekday comes back after 40 years at most, over 2100."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_DAYS_OF_WEEK = 7
_FRIDAY = 4
_LAST = frozenset({"L", "LW"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFault:
    """What is wrong in an expression. Units: `start` counts characters of it from 0."""

    message: str
    hint: str
    part: str
    start: int = 0


class CronMalformed(InvalidInput):
    """A cron expression that means no moments. Invariant: there is at least one fault."""

    code = "cron-malformed"

    def __init__(self, text: str, faults: Sequence[CronFault]) -> None:
        """Quote it and say all that is wrong."""
        super().__init__(
            f"{text!r} is not a schedule.",
            context="\n".join(fault.message for fault in faults),
            hint=" ".join(dict.fromkeys(fault.hint for fault in faults)),
        )
        self.faults = tuple(sorted(faults, key=lambda fault: fault.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRule:
    """Which days of a month are meant.

    Shape: weekdays count from Sunday, 0; `nth_weekdays` holds (weekday, 1 for the first).
    `is_either`: a day needs to fit the days or the weekdays, not both.
    """

    days: frozenset[int] = frozenset(range(1, 32))
    weekdays: frozenset[int] = frozenset(range(7))
    nearest_to: frozenset[int] = frozenset()
    last_weekdays: frozenset[int] = frozenset()
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    is_last_day: bool = False
    is_last_workday: bool = False
    is_either: bool = False

    def of_month(self, year: int, month: int, first: int = 1) -> Iterator[date]:
        """Give the days of a month that are meant, from one on, in order."""
        _, length = monthrange(year, month)
        days = {*self.days, *(_workday_near(year, month, d) for d in self.nearest_to)}
        if self.is_last_day:
            days.add(length)
        if self.is_last_workday:
            days.add(_workday_near(year, month, length))
        for number in range(first, length + 1):
            day = date(year, month, number)
            fits = number in days, self._fits_weekday(day, length)
            if any(fits) if self.is_either else all(fits):
                yield day

    def _fits_weekday(self, day: date, length: int) -> bool:
        weekday = day.isoweekday() % _DAYS_OF_WEEK
        return (
            weekday in self.weekdays
            or (weekday in self.last_weekdays and day.day + _DAYS_OF_WEEK > length)
            or (weekday, (day.day - 1) // _DAYS_OF_WEEK + 1) in self.nth_weekdays
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A cron expression, understood. Shape: each field is sorted; no `years` means all.

    `is_every` says that minute or hour begins with a star: such work is asked for again and again,
    other work for a time of the day.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DayRule
    months: tuple[int, ...]
    years: tuple[int, ...] = ()
    is_every: bool = False

    def fits(self, wall: datetime) -> bool:
        """Whether a minute of the wall is meant."""
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.month in self.months
            and (not self.years or wall.year in self.years)
            and wall.date() in self.days.of_month(wall.year, wall.month)
        )

    def next_wall(self, wall: datetime) -> datetime | None:
        """Give the first minute of the wall that is meant, at or after one; None if none is."""
        if wall.second or wall.microsecond:
            wall = wall.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for day in self._days_from(wall.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime.combine(day, time(hour, minute))
                    if found >= wall:
                        return found
                    if hour < wall.hour and day == wall.date():
                        break
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        years = self.years or range(first.year, first.year + _LOOKED_AHEAD_YEARS)
        for year in (year for year in years if year >= first.year):
            for month in self.months:
                if (year, month) == (first.year, first.month):
                    yield from self.days.of_month(year, month, first.day)
                elif (year, month) > (first.year, first.month):
                    yield from self.days.of_month(year, month)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field of an expression: what it takes, in numbers and by names."""

    name: str
    lowest: int
    highest: int
    names: Mapping[str, int] = field(default_factory=dict)
    more: str = ""

    @property
    def allowed(self) -> str:
        names = f" or {next(iter(self.names))} to {list(self.names)[-1]}" if self.names else ""
        return (
            f"The {self.name} takes {self.lowest} to {self.highest}{names}, *, ranges such as "
            f"{self.lowest}-{self.lowest + 2}, steps such as */2, and lists with commas{self.more}."
        )

    def values(self, item: str, *, is_aws: bool) -> Sequence[int]:
        """Give what one item of a list means. Raises: ValueError: with what is wrong."""
        span, slash, step_text = item.partition("/")
        step = self._step(step_text) if slash else 1
        if span == "*":
            return range(self.lowest, self.highest + 1, step)
        first_text, dash, last_text = span.partition("-")
        first = self._number(first_text)
        if not dash:
            if slash and not is_aws:
                raise ValueError(f"a step needs a range: {first_text}-{self.highest}/{step}")
            return range(first, self.highest + 1, step) if slash else (first,)
        last = self._number(last_text)
        if last < first:
            raise ValueError("the range ends before it begins")
        return range(first, last + 1, step)

    def _step(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= self.highest:
            raise ValueError(f"a step is a number from 1 to {self.highest}")
        return int(text)

    def _number(self, text: str) -> int:
        if text.upper() in self.names:
            return self.names[text.upper()]
        if not re.fullmatch("[0-9]{1,4}", text):
            raise ValueError("it is not understood")
        if not self.lowest <= int(text) <= self.highest:
            raise ValueError("it is out of range")
        return int(text)


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MINUTE = _Field(name="minute", lowest=0, highest=59)
_HOUR = _Field(name="hour", lowest=0, highest=23)
_DAY = _Field(name="day of the month", lowest=1, highest=31)
_MONTH = _Field(name="month", lowest=1, highest=12, names={n: i for i, n in enumerate(_MONTHS, 1)})
_WEEKDAY = _Field(
    name="day of the week", lowest=0, highest=7, names={n: i for i, n in enumerate(_WEEKDAYS)}
)
_AWS_DAY = _Field(name="day of the month", lowest=1, highest=31, more=", ?, L, LW, 15W")
_AWS_WEEKDAY = _Field(
    name="day of the week",
    lowest=1,
    highest=7,
    names={n: i for i, n in enumerate(_WEEKDAYS, 1)},
    more=", ?, L, 6L, 6#3; 1 is Sunday",
)
_YEAR = _Field(name="year", lowest=_FIRST_YEAR, highest=_LAST_YEAR)
_CRONTAB = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)
_AWS = (_MINUTE, _HOUR, _AWS_DAY, _MONTH, _AWS_WEEKDAY, _YEAR)


@lru_cache(maxsize=4096)  # thousands of pipelines are due at far fewer times
def cron_of(text: str) -> Cron:
    """Give what an expression means: five fields, a nickname such as @daily, or AWS cron(...).

    Raises: CronMalformed: with every field that is wrong.
    """
    if text.startswith("@"):
        return _nicknamed(text)
    matched = re.fullmatch(r"\s*cron\((.*)\)\s*", text, re.DOTALL)
    start, end = matched.span(1) if matched else (0, len(text))
    parts = [(found[0], found.start()) for found in re.compile(r"\S+").finditer(text, start, end)]
    return _Reading(text, parts, is_aws=matched is not None).cron()


def _nicknamed(text: str) -> Cron:
    if text.lower() not in NICKNAMES:
        hint = f"Write five fields, or one of {', '.join(NICKNAMES)}."
        fault = CronFault(message=f"There is no schedule {text!r}.", hint=hint, part=text)
        raise CronMalformed(text, [fault])
    meant = cron_of(NICKNAMES[text.lower()])
    return Cron(
        text=text,
        minutes=meant.minutes,
        hours=meant.hours,
        days=meant.days,
        months=meant.months,
        is_every=meant.is_every,
    )


class _Reading:
    """One expression while it is read: its fields, and what was found wrong so far."""

    def __init__(self, text: str, parts: Sequence[tuple[str, int]], *, is_aws: bool) -> None:
        self._text = text
        self._parts = parts
        self._is_aws = is_aws
        self._faults: list[CronFault] = []

    def cron(self) -> Cron:
        fields = _AWS if self._is_aws else _CRONTAB
        if len(self._parts) != len(fields):
            raise CronMalformed(self._text, [self._miscounted(len(fields))])
        minutes = self._numbers(0, _MINUTE)
        hours = self._numbers(1, _HOUR)
        days = self._aws_days() if self._is_aws else self._crontab_days()
        months = self._numbers(3, _MONTH)
        years = self._numbers(5, _YEAR) if self._is_aws and self._parts[5][0] != "*" else ()
        if self._faults:
            raise CronMalformed(self._text, self._faults)
        cron = Cron(
            text=self._text,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            years=years,
            is_every=any(part.startswith("*") for part, _ in self._parts[:2]),
        )
        if cron.next_wall(datetime(_FIRST_YEAR, 1, 1)) is None:  # noqa: DTZ001 - of the wall
            self._fault(2, "There is no such day in any of these months.", "Choose another day.")
            raise CronMalformed(self._text, self._faults)
        return cron

    def _miscounted(self, wanted: int) -> CronFault:
        count = len(self._parts)
        if self._is_aws:
            hint = "cron(...) has minute, hour, day of the month, month, day of the week, year."
        elif count == len(_AWS):
            hint = "Write the six fields of AWS as cron(...)."
        else:
            hint = "Write minute, hour, day of the month, month, day of the week: 0 3 * * *"
        message = f"A schedule of this form has {wanted} fields, not {count}."
        return CronFault(message=message, hint=hint, part=self._text)

    def _fault(self, index: int, message: str, hint: str) -> None:
        part, start = self._parts[index]
        self._faults.append(CronFault(message=message, hint=hint, part=part, start=start))

    def _numbers(
        self, index: int, field_: _Field, special: Callable[[str], bool] = lambda _: False
    ) -> tuple[int, ...]:
        """Give what a field means, sorted; what `special` knows is left to it."""
        found: set[int] = set()
        for item in self._parts[index][0].split(","):
            try:
                if not special(item.upper()):
                    found.update(field_.values(item, is_aws=self._is_aws))
            except ValueError as reason:
                message = f"The {field_.name} cannot be {item!r}: {reason}."
                self._fault(index, message, field_.allowed)
        return tuple(sorted(found))

    def _crontab_days(self) -> DayRule:
        # A star in either field, even */2, means that both must fit, as in Debian's cron.
        return DayRule(
            days=frozenset(self._numbers(2, _DAY)),
            weekdays=frozenset(n % _DAYS_OF_WEEK for n in self._numbers(4, _WEEKDAY)),
            is_either=not any(self._parts[i][0].startswith("*") for i in (2, 4)),
        )

    def _aws_days(self) -> DayRule:
        day, weekday = self._parts[2][0], self._parts[4][0]
        if (day == "?") == (weekday == "?"):
            message = "Exactly one of day of the month and day of the week must be ?."
            self._fault(2, message, "Write ? for the one that does not matter.")
            return DayRule()
        return self._aws_month_days() if weekday == "?" else self._aws_weekdays()

    def _aws_month_days(self) -> DayRule:
        nearest: set[int] = set()
        last: set[str] = set()

        def special(item: str) -> bool:
            if item in _LAST:
                last.add(item)
                return True
            if not item.endswith("W"):
                return False
            nearest.update(_AWS_DAY.values(item[:-1], is_aws=True))
            return True

        return DayRule(
            days=frozenset(self._numbers(2, _AWS_DAY, special)),
            nearest_to=frozenset(nearest),
            is_last_day="L" in last,
            is_last_workday="LW" in last,
        )

    def _aws_weekdays(self) -> DayRule:
        last: set[int] = set()
        nth: set[tuple[int, int]] = set()

        def special(item: str) -> bool:
            weekday, hash_, number = item.partition("#")
            if hash_:
                if number not in {"1", "2", "3", "4", "5"}:
                    raise ValueError("after # stands a number from 1 to 5")
                nth.update((n - 1, int(number)) for n in _AWS_WEEKDAY.values(weekday, is_aws=True))
            elif item.endswith("L") and item != "L":
                last.update(n - 1 for n in _AWS_WEEKDAY.values(item[:-1], is_aws=True))
            return bool(hash_) or (item.endswith("L") and item != "L")

        # L alone is the last day of the week.
        part, start = self._parts[4]
        parts = [*self._parts]
        parts[4] = (re.sub(r"(?i)(?<![^,])L(?![^,])", "7", part), start)
        self._parts = parts
        weekdays = frozenset(n - 1 for n in self._numbers(4, _AWS_WEEKDAY, special))
        return DayRule(
            weekdays=weekdays, last_weekdays=frozenset(last), nth_weekdays=frozenset(nth)
        )


def _workday_near(year: int, month: int, number: int) -> int:
    """Give the day from Monday to Friday nearest to a day, in its month; 0 when it has no such."""
    _, length = monthrange(year, month)
    if number > length:
        return 0
    past_friday = date(year, month, number).weekday() - _FRIDAY
    if past_friday <= 0:
        return number
    if past_friday == 1:
        return number - 1 if number > 1 else number + 2
    return number + 1 if number < length else number - 2
