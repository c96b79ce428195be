"""What commands print, on terminals and in pipes, and how they end."""

import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.cli.output import (
    EXIT_STATUS,
    moment_text,
    note,
    print_json,
    print_table,
    printable,
    told_errors,
)
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.run import RunInterrupted


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _ended_with(error: BaseException, *, as_json: bool = False) -> int:
    with pytest.raises(SystemExit) as ended, told_errors(as_json=as_json):
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_told_errors_when_all_is_well_then_nothing_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with told_errors():
        pass

    assert capsys.readouterr() == ("", "")


def test_told_errors_when_a_command_fails_then_says_what_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = _ended_with(VersionNotFound("web", ("base@1.0.0/1",)))

    assert status == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error (version-not-found): No image version matches web.",
        "  There are base@1.0.0/1.",
        "hint: List them with: imagebuilder image list",
    ]


def test_told_errors_as_json_then_writes_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    error = VersionNotFound("web", ())

    _ended_with(error, as_json=True)

    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "code": "version-not-found",
            "message": error.message,
            "context": error.context,
            "hint": error.hint,
            "origin": None,
        }
    }


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RunInterrupted])
def test_told_errors_when_it_is_interrupted_then_exits_with_130(
    interruption: Callable[[], BaseException],
) -> None:
    assert _ended_with(interruption()) == 130


def test_told_errors_when_nobody_thought_of_it_then_says_it_is_our_fault_and_how_to_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGEBUILDER_TRACEBACK", raising=False)

    status = _ended_with(ZeroDivisionError("division by zero"))

    said = capsys.readouterr().err
    assert status == 70
    assert "not your fault" in said
    assert "ZeroDivisionError: division by zero" in said
    assert "IMAGEBUILDER_TRACEBACK=1" in said
    assert "Traceback" not in said


def test_told_errors_when_a_traceback_is_wished_then_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_TRACEBACK", "1")

    _ended_with(ZeroDivisionError("division by zero"))

    assert capsys.readouterr().err.startswith("Traceback (most recent call last)")


def test_exit_statuses_when_families_differ_then_they_differ() -> None:
    assert sorted(EXIT_STATUS.values()) == [2, 3, 4, 5, 6, 70]


def test_error_when_it_holds_markup_or_escapes_then_they_are_shown_and_do_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _ended_with(VersionNotFound("[red]\x1b[2J", ()))

    assert "matches [red]?[2J." in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 70, 200])
def test_table_on_a_terminal_then_no_line_is_wider_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    long = "".join(chr(ord("a") + number % 26) for number in range(90))

    print_table(("ONE", "TWO"), [("[red]", long)])

    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert "".join(line.removeprefix("[red]").strip() for line in lines[1:]) == long
    assert lines[1].startswith("[red]")


@pytest.mark.parametrize("width", [40, 80])
def test_table_with_ids_beneath_then_those_are_whole_and_nothing_else_is_lost(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    ids = ["waiver-20260301T124002123456-9f3c01ab", "waiver-20260301T124002123457-00\x1bc01ab"]

    print_table(("FINDING", "FOR"), [("CVE-2026-1", "w" * 90), ("[red]", "")], beneath=ids)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if "waiver-" in line] == [
        f"  {text}".replace("\x1b", "?") for text in ids
    ]
    assert "".join(lines).count("w") == 92
    assert lines[-2].rstrip() == "[red]"


def test_table_with_ids_beneath_in_a_pipe_then_they_are_the_last_cells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("ONE",), [("a",), ("b",)], beneath=["id-1", "id-2"])

    assert capsys.readouterr().out == "a\tid-1\nb\tid-2\n"


def test_table_in_a_pipe_then_each_row_is_one_line_of_cells_between_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("ONE", "TWO"), [("a\tb", "c\nd"), ("e", "")])

    assert capsys.readouterr().out == "a b\tc d\ne\t\n"


@given(st.text())
def test_printable_when_given_anything_then_no_control_character_is_left(text: str) -> None:
    shown = printable(text)

    assert len(shown) == len(text)
    assert all(c.isprintable() or c in "\t\n " for c in shown)


def test_json_when_text_is_not_ascii_then_it_is_written_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"name": "Grüße"})

    assert capsys.readouterr().out == '{\n  "name": "Grüße"\n}\n'


def test_note_then_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("careful")

    assert capsys.readouterr() == ("", "careful\n")


def test_moment_when_there_is_none_then_nothing_is_written() -> None:
    assert moment_text(None) == ""
    assert moment_text(datetime(2026, 3, 1, 12, 30, 15, 9, tzinfo=UTC)) == "2026-03-01 12:30:15Z"
