"""What is logged becomes lines, and what is said over and over again does not."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from imagebuilder.adapters.logs.lines import LogForm, Repetitions, set_up

LOG = logging.getLogger("imagebuilder.test")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """Leave logging as it was."""
    found = logging.getLogger()
    handlers, level = list(found.handlers), found.level
    yield
    found.handlers[:] = handlers
    found.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_then_each_line_is_a_document_with_what_belongs_to_it(stream: io.StringIO) -> None:
    set_up(LogForm.JSON, "info", stream)

    LOG.info("run %s is %s", "run-1", "running", extra={"run": "run-1", "stage": "build"})
    LOG.debug("not this")
    logging.getLogger("urllib3").info("nor this")
    logging.getLogger("urllib3").warning("but this")

    first, second = written(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "run run-1 is running",
        "run": "run-1",
        "stage": "build",
        "level": "info",
        "logger": "imagebuilder.test",
    }
    assert (second["event"], second["level"]) == ("but this", "warning")


def test_json_when_something_broke_then_says_where_in_one_line(stream: io.StringIO) -> None:
    set_up(LogForm.JSON, "info", stream)

    try:
        int("zu groß")
    except ValueError:
        LOG.exception("a fault")

    (line,) = written(stream)
    assert line["exception"][0]["exc_value"].endswith("'zu groß'")


def test_console_then_nothing_steers_the_terminal(stream: io.StringIO) -> None:
    set_up(LogForm.CONSOLE, "info", stream)

    LOG.info("said \x1b[31mred", extra={"run": "run-\x1b]0;x\x07"})

    text = stream.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "said ?[31mred" in text


def test_set_up_again_then_lines_are_not_doubled(stream: io.StringIO) -> None:
    set_up(LogForm.JSON, "info", stream)
    set_up(LogForm.JSON, "info", stream)

    LOG.info("once")

    assert len(written(stream)) == 1


def a_record(text: str, at: float, level: int = logging.WARNING) -> logging.LogRecord:
    record = logging.LogRecord("imagebuilder.serve", level, "x.py", 1, text, None, None)
    record.created = at
    return record


def test_repetitions_then_are_told_once_a_minute_with_their_count() -> None:
    repetitions = Repetitions()
    passed = []
    for second in range(0, 130, 10):
        record = a_record("The database does not answer.", second)
        if repetitions.filter(record):
            passed.append((second, getattr(record, "repeated", 0)))

    assert passed == [(0, 0), (60, 5), (120, 5)]


def test_repetitions_when_it_is_news_or_something_else_then_pass() -> None:
    repetitions = Repetitions()

    assert all(repetitions.filter(a_record("a run", 0, logging.INFO)) for _ in range(3))
    assert repetitions.filter(a_record("one", 0))
    assert repetitions.filter(a_record("other", 0))
    assert not repetitions.filter(a_record("one", 1))
