"""Moments as people type and read them."""

from datetime import timedelta

import pytest

from imagebuilder.cli.moments import ends_text
from tests.build import SOME_DAY


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=12, hours=23), "ends in 12 days"),
        (timedelta(hours=47), "ends in 1 day"),
        (timedelta(hours=23, minutes=59), "ends in 23 hours"),
        (timedelta(hours=1), "ends in 1 hour"),
        (timedelta(minutes=59), "ends within the hour"),
    ],
)
def test_end_then_is_told_in_whole_days_or_hours(left: timedelta, told: str) -> None:
    assert ends_text(SOME_DAY + left, SOME_DAY) == told
