import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.units import (
    GIB,
    duration_seconds,
    duration_text,
    size_bytes,
    size_text,
)

_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATIONS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@given(st.integers(1, 10**12), st.sampled_from(sorted(_SIZES)))
def test_size_when_parsed_then_is_number_times_unit(number: int, unit: str) -> None:
    assert size_bytes(f"{number}{unit}") == number * _SIZES[unit]


@given(st.integers(1, 10**9), st.sampled_from(sorted(_DURATIONS)))
def test_duration_when_parsed_then_is_number_times_unit(number: int, unit: str) -> None:
    assert duration_seconds(f"{number}{unit}") == number * _DURATIONS[unit]


@pytest.mark.parametrize(
    "text", ["", "4", "GiB", "0GiB", "-1GiB", "1.5GiB", "4 GiB", "4GB", "4gib", "4GiB\n", "٤GiB"]
)
def test_size_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size such as 4GiB"):
        size_bytes(text)


@pytest.mark.parametrize(
    "text", ["", "15", "m", "0m", "-1m", "1.5h", "15 m", "15M", "15m\n", "1h5m"]
)
def test_duration_when_text_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 15m or 7d"):
        duration_seconds(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (GIB * 5 // 2, "2.5 GiB"),
        (3 * 2**40, "3.0 TiB"),
    ],
)
def test_size_text_when_written_then_has_the_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(1, 2**50))
def test_size_text_when_read_by_people_then_is_within_a_twentieth_of_its_unit(size: int) -> None:
    number, unit = size_text(size).split()

    assert float(number) >= 1
    assert abs(float(number) * _SIZES[unit] - size) <= 0.0501 * _SIZES[unit]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.9, "9.9 s"),
        (10, "10 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_duration_text_when_written_then_has_no_more_than_two_units(
    seconds: float, text: str
) -> None:
    assert duration_text(seconds) == text
