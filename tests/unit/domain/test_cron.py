"""Cron expressions: what is malformed is told by field, with what is allowed."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.cron import CronMalformed, cron_of


@pytest.mark.parametrize(
    ("text", "part", "message", "hint"),
    [
        ("0 25 * * *", "25", "The hour cannot be '25'", "0 to 23"),
        ("61 3 * * *", "61", "The minute cannot be '61'", "0 to 59"),
        ("0 3 0 * *", "0", "The day of the month cannot be '0'", "1 to 31"),
        ("0 3 * JANUAR *", "JANUAR", "The month cannot be 'JANUAR'", "JAN to DEC"),
        ("0 3 * * MOO", "MOO", "The day of the week cannot be 'MOO'", "SUN to SAT"),
        ("0 3 * * 5-1", "5-1", "ends before it begins", "ranges"),
        ("*/0 3 * * *", "*/0", "a step is a number", "steps"),
        ("5/15 3 * * *", "5/15", "5-59/15", "ranges"),
        ("0, 3 * * *", "0,", "cannot be ''", "0 to 59"),
        ("0 3 L * *", "L", "cannot be 'L'", "1 to 31"),
        ("0 0 30 2 *", "30", "no such day", "another day"),
        ("0 3 * *", "0 3 * *", "has 5 fields, not 4", "0 3 * * *"),
        ("0 3 * * ? *", "0 3 * * ? *", "has 5 fields, not 6", "cron(...)"),
        ("cron(0 3 * * *)", "cron(0 3 * * *)", "has 6 fields, not 5", "year"),
        ("cron(0 3 * * * *)", "*", "Exactly one", "?"),
        ("cron(0 3 ? * ? *)", "?", "Exactly one", "?"),
        ("cron(0 3 ? * 0 *)", "0", "cannot be '0'", "1 is Sunday"),
        ("cron(0 3 ? * 2#6 *)", "2#6", "from 1 to 5", "6#3"),
        ("cron(0 3 32W * ? *)", "32W", "out of range", "15W"),
        ("cron(0 3 * * ? 1969)", "1969", "out of range", "1970 to 2199"),
        ("0 3 * * (1)", "(1)", "not understood", "0 to 7"),
        ("@nightly", "@nightly", "no schedule", "@daily"),
        ("@reboot", "@reboot", "no schedule", "@daily"),
        ("", "", "not 0", "0 3 * * *"),
        ("٣ 3 * * *", "٣", "not understood", "0 to 59"),
    ],
)
def test_cron_when_it_is_malformed_says_which_field_and_what_is_allowed(
    text: str, part: str, message: str, hint: str
) -> None:
    with pytest.raises(CronMalformed) as caught:
        cron_of(text)
    (fault,) = caught.value.faults
    assert (fault.part, text[fault.start :].startswith(fault.part)) == (part, True)
    assert message in fault.message
    assert hint in fault.hint


def test_cron_when_several_fields_are_malformed_tells_all() -> None:
    with pytest.raises(CronMalformed) as caught:
        cron_of("61 25 32 13 8")
    assert [fault.start for fault in caught.value.faults] == [0, 3, 6, 9, 12]


@given(st.text("0123456789*/-,?LW#@()cronJANFRI ", max_size=25))
def test_cron_when_it_is_any_text_is_understood_or_malformed(text: str) -> None:
    try:
        cron = cron_of(text)
    except CronMalformed:
        return
    assert cron.minutes
    assert cron.months
    assert cron.next_wall(datetime(1970, 1, 1)) is not None  # noqa: DTZ001 - of the wall
