"""Lines of time: as long as the whole, full where the part is."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import floats

from imagebuilder.cli.timeline import Span, bar
from tests.build import SOME_DAY

WHOLE = Span(begins_at=SOME_DAY, ends_at=SOME_DAY + timedelta(seconds=240))


def a_part(begin: float, end: float) -> Span:
    return Span(
        begins_at=SOME_DAY + timedelta(seconds=begin), ends_at=SOME_DAY + timedelta(seconds=end)
    )


@pytest.mark.parametrize(
    ("begin", "end", "drawn"),
    [
        (0, 240, "━" * 24),
        (0, 120, "━" * 12 + "·" * 12),
        (120, 240, "·" * 12 + "━" * 12),
        (10, 20, "·━" + "·" * 22),
        (10, 10, "·━" + "·" * 22),
        (240, 240, "·" * 23 + "━"),
    ],
)
def test_bar_then_is_full_where_the_part_is(begin: float, end: float, drawn: str) -> None:
    assert bar(a_part(begin, end), WHOLE) == drawn


@given(floats(-1000, 1000), floats(0, 1000))
def test_bar_whatever_the_part_then_is_as_long_as_the_whole(begin: float, more: float) -> None:
    drawn = bar(a_part(begin, begin + more), WHOLE)

    assert len(drawn) == 24
    assert "━" in drawn
    assert "━" * drawn.count("━") in drawn


def test_bar_when_nothing_took_any_time_then_is_still_there() -> None:
    assert bar(a_part(0, 0), a_part(0, 0)) == "━" + "·" * 23
