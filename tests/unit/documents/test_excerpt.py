"""What people see of a problem: the caret under its column, and nothing that could harm them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.documents.excerpt import caret_lines, excerpt, quoted
from imagebuilder.domain.origin import Origin


def cells(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


@pytest.mark.parametrize(
    ("line", "column", "shown", "indent"),
    [
        ("name: web", 7, "name: web", 6),
        ("\tname: web", 8, "    name: web", 10),
        ("日本: x", 5, "日本: x", 6),
        ("e\u0301: x", 5, "e\u0301: x", 3),
        ("a\x1b[31mb", 8, "a�[31mb", 7),
        ("a", 5, "a", 1),
    ],
    ids=["plain", "tab", "wide", "combining", "escape", "behind-the-end"],
)
def test_caret_lines_when_characters_differ_in_width_stand_under_the_column(
    line: str, column: int, shown: str, indent: int
) -> None:
    assert caret_lines(line, column) == (shown, " " * indent + "^")


def test_caret_lines_when_line_is_long_cut_it_around_the_caret() -> None:
    shown, caret = caret_lines("x" * 500 + "!" + "y" * 500, 501)
    assert len(shown) <= 102
    assert shown[caret.index("^")] == "!"
    assert (shown[0], shown[-1]) == ("…", "…")


def test_caret_lines_when_characters_before_are_wide_cut_until_they_fit() -> None:
    shown, caret = caret_lines("語" * 60 + "!", 61)
    assert (shown[0], shown[-1], cells(caret)) == ("…", "!", 62)


@given(st.text(st.characters(exclude_characters="\r\n"), max_size=300), st.data())
def test_caret_lines_when_line_is_anything_fit_on_a_screen_and_keep_the_caret_inside(
    line: str, data: st.DataObject
) -> None:
    column = data.draw(st.integers(1, len(line) + 1))
    shown, caret = caret_lines(line, column)
    assert cells(shown) <= 102
    assert cells(caret) <= 63
    assert not any(unicodedata.category(c).startswith("C") for c in shown)


@pytest.mark.parametrize(
    "line",
    ["url: https://me:secret@example.org/", "url: https://secret@example.org", "x://a:se@cret@b"],
)
def test_excerpt_when_line_holds_credentials_hides_them_and_keeps_the_columns(line: str) -> None:
    shown, caret = caret_lines(line, len(line))
    assert "secret" not in shown
    assert "cret" not in shown
    assert len(shown) == len(line)
    assert caret.index("^") == len(line) - 1


def test_excerpt_when_there_is_a_hint_ends_with_it() -> None:
    text = excerpt("It is wrong.", Origin(document="d.yaml", line=12, column=3), "a: b", "Do so.")
    assert text == "d.yaml:12:3: It is wrong.\n  12 | a: b\n     |   ^\n  Do so."


def test_excerpt_when_the_line_is_empty_shows_only_the_sentence() -> None:
    assert excerpt("It is empty.", Origin(document="d"), "") == "d:1:1: It is empty."


def test_quoted_when_text_is_long_or_has_lines_gives_one_short_line() -> None:
    assert quoted("a\n  b") == "'a b'"
    assert len(quoted("x" * 100)) == 62
