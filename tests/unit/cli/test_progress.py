"""What a build shows while it works."""

import io
import json
import sys

import pytest

from imagebuilder.cli.progress import (
    JsonLines,
    LiveDisplay,
    PlainLines,
    Silence,
    copying,
    display,
)
from imagebuilder.domain.run import StepState


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_display_when_json_is_wanted_then_writes_an_object_for_each_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display(as_json=True, is_quiet=False) as shown:
        shown.step_started("nginx")
        shown.line("unpacking")
        shown.step_ended(StepState.SUCCEEDED, "4 MiB")

    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == ["step-started", "line", "step-ended"]
    assert events[1] == {"event": "line", "step": "nginx", "text": "unpacking"}
    assert (events[2]["state"], events[2]["detail"]) == ("succeeded", "4 MiB")


def test_display_in_a_pipe_then_writes_a_line_for_each_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display(as_json=False, is_quiet=False) as shown:
        assert isinstance(shown, PlainLines)
        shown.step_started("nginx")
        shown.line("unpacking")
        shown.step_ended(StepState.CACHED, "from before")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.split() == ["cached", "0.0", "s", "nginx", "from", "before"]


def test_display_when_quiet_then_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with display(as_json=False, is_quiet=True) as shown:
        assert isinstance(shown, Silence)
        shown.step_started("nginx")
        shown.line("unpacking")
        shown.step_ended(StepState.FAILED, "no")

    assert capsys.readouterr() == ("", "")


def test_display_when_both_json_and_quiet_are_wanted_then_json_wins() -> None:
    assert isinstance(display(as_json=True, is_quiet=True), JsonLines)


def test_live_display_when_a_step_fails_then_its_last_lines_stay_and_steer_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "dumb")
    with display(as_json=False, is_quiet=False) as shown:
        assert isinstance(shown, LiveDisplay)
        shown.step_started("nginx [build]")
        shown.line("cannot \x1b[2Junpack")
        shown.step_ended(StepState.FAILED, "[exit 1]")

    said = terminal.getvalue()
    assert "cannot ?[2Junpack" in said
    assert "nginx [build]" in said
    assert "[exit 1]" in said


@pytest.mark.parametrize(("is_terminal", "size"), [(False, 10**9), (True, 1000)])
def test_copying_when_nobody_watches_or_it_is_small_then_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, size: int
) -> None:
    stream = _Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    with copying("web", size) as on_bytes:
        assert on_bytes is None

    assert stream.getvalue() == ""


def test_copying_when_it_is_large_and_watched_then_counts_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    with copying("web", 10**9) as on_bytes:
        assert on_bytes is not None
        on_bytes(10**9)

    assert "web" in terminal.getvalue()


def test_plain_lines_when_tails_are_kept_then_each_step_has_its_last_lines_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlainLines(keeps_tails=True) as shown:
        shown.step_started("one")
        for number in range(20):
            shown.line(f"line {number}\x1b[31m")
        shown.step_ended(StepState.SUCCEEDED, "exit status 0")
        shown.step_started("two")
        shown.step_ended(StepState.FAILED)

    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert lines[0].endswith("one  exit status 0")
    assert lines[1:-1] == [f"line {number}?[31m" for number in range(14, 20)]
    assert lines[-1].endswith("two")


def test_live_display_when_tails_are_kept_then_those_of_good_steps_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with LiveDisplay(keeps_tails=True) as shown:
        shown.step_started("one")
        shown.line("what it said")
        shown.step_ended(StepState.SUCCEEDED)

    last = terminal.getvalue().rpartition("one")[2]
    assert "what it said" in last
