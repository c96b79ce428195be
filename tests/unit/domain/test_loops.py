"""What a loop goes through, in which order, and which loops are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.loops import (
    ITERATIONS_LIMIT,
    CountingLoop,
    ListLoop,
    Loop,
    LoopUnusable,
    SplitLoop,
    counting_fault,
    values_of,
)


def values(loop: Loop, **references: str) -> list[str]:
    found = values_of(loop, lambda text: references.get(text, text))
    assert [each.index for each in found] == list(range(len(found)))
    return [each.value for each in found]


@pytest.mark.parametrize(
    ("start", "end", "update_by", "expected"),
    [
        (1, 5, 1, "1 2 3 4 5"),
        (1, 5, 2, "1 3 5"),
        (1, 6, 2, "1 3 5"),
        (10, 0, -5, "10 5 0"),
        (-1, 1, 1, "-1 0 1"),
        (3, 3, 1, "3"),
        (3, 3, -1, "3"),
    ],
)
def test_counting_loop_when_gone_through_includes_both_ends(
    start: int, end: int, update_by: int, expected: str
) -> None:
    loop = CountingLoop(start=start, end=end, update_by=update_by)
    assert values(loop) == expected.split()


def test_counting_loop_when_numbers_are_references_counts_with_what_they_hold() -> None:
    loop = CountingLoop(start="From", end="To", update_by="+1")
    assert values(loop, From="2", To="4") == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("start", "end", "update_by", "why"),
    [
        (1, 5, 0, "never gets further"),
        (1, 5, -1, "never ends"),
        (5, 1, 1, "never ends"),
        (1, ITERATIONS_LIMIT + 1, 1, "runs 10,001 times"),
        (0, 10**17, 1, "runs"),
    ],
)
def test_counting_loop_when_it_would_not_end_is_refused(
    start: int, end: int, update_by: int, why: str
) -> None:
    assert (counting_fault(start, end, update_by) or "").startswith(why)
    with pytest.raises(LoopUnusable, match=why):
        values(CountingLoop(start=start, end=end, update_by=update_by))


@pytest.mark.parametrize("text", ["", "x", "1.5", "1_0", " 1", "9" * 5000])
def test_counting_loop_when_a_number_is_none_is_refused(text: str) -> None:
    with pytest.raises(LoopUnusable, match="is no whole number"):
        values(CountingLoop(start="From", end=5, update_by=1), From=text)


@given(start=st.integers(-50, 50), end=st.integers(-50, 50), update_by=st.integers(-7, 7))
def test_counting_loop_when_it_is_sound_never_leaves_its_ends(
    start: int, end: int, update_by: int
) -> None:
    if counting_fault(start, end, update_by) is not None:
        return
    numbers = [int(v) for v in values(CountingLoop(start=start, end=end, update_by=update_by))]
    assert numbers[0] == start
    assert all(min(start, end) <= number <= max(start, end) for number in numbers)
    assert abs(end - numbers[-1]) < abs(update_by)


def test_list_loop_when_an_item_is_a_reference_gives_what_it_holds_unsplit() -> None:
    assert values(ListLoop(items=("a", "Hosts")), Hosts="x,y") == ["a", "x,y"]


@pytest.mark.parametrize(
    ("text", "delimiter", "expected"),
    [
        ("a,b,c", ",", ["a", "b", "c"]),
        ("a, b", ",", ["a", " b"]),
        ("a,,b,", ",", ["a", "", "b", ""]),
        ("one\ntwo", "\n", ["one", "two"]),
        ("a-b_c", "_", ["a-b", "c"]),
        ("only", ",", ["only"]),
        ("", ",", []),
    ],
)
def test_split_loop_when_gone_through_splits_at_every_delimiter(
    text: str, delimiter: str, expected: list[str]
) -> None:
    assert values(SplitLoop(text=text, delimiter=delimiter)) == expected


def test_split_loop_when_text_is_a_reference_splits_what_it_holds_once() -> None:
    assert values(SplitLoop(text="Hosts"), Hosts="x,Hosts") == ["x", "Hosts"]


def test_loop_when_it_has_too_many_values_is_refused() -> None:
    text = "," * ITERATIONS_LIMIT
    with pytest.raises(LoopUnusable, match="has 10,001 values"):
        values(SplitLoop(text=text))
