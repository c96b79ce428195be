"""pytest's report log, and what is made of it when it is cut short."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.adapters.confined.testinfra.report import ReportLog
from imagebuilder.domain.control import ControlMark
from imagebuilder.domain.evidence import Outcome
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.process import CommandResult


def an_ending(exit_status: int = 0, *, has_timed_out: bool = False) -> CommandResult:
    return CommandResult(
        argv=("bwrap",),
        exit_status=exit_status,
        stdout=b"last words",
        stderr=b"",
        seconds=1.0,
        has_timed_out=has_timed_out,
    )


def a_line(
    when: str, outcome: str, *, name: str = "t.py::test_a", longrepr: object = None
) -> bytes:
    entry = {
        "$report_type": "TestReport",
        "nodeid": name,
        "when": when,
        "outcome": outcome,
        "duration": 0.25,
        "longrepr": longrepr,
    }
    return json.dumps(entry).encode()


def a_finish(exit_status: int = 0) -> bytes:
    return json.dumps({"$report_type": "SessionFinish", "exitstatus": exit_status}).encode()


def test_report_of_a_test_that_was_tried_again_then_the_tries_are_told() -> None:
    log = ReportLog()
    entry = json.loads(a_line("teardown", "passed"))
    entry["earlier"] = [{"reason": "refused", "seconds": 1.5}, {"reason": "late", "seconds": 1}]
    for line in (a_line("call", "passed"), json.dumps(entry).encode(), a_finish()):
        log.add(line)
    (result,) = log.results
    assert (result.attempts, result.seconds) == (3, 3.0)
    assert result.detail == "Passed on try 3; the first one said: refused"


@pytest.mark.parametrize("earlier", [7, [], "x", {}])
def test_report_when_earlier_tries_are_no_list_then_there_were_none(earlier: object) -> None:
    log = ReportLog()
    entry = {**json.loads(a_line("teardown", "passed")), "earlier": earlier, "attempts": "many"}
    log.add(json.dumps(entry).encode())
    assert log.results[0].attempts == 1


@pytest.mark.parametrize(
    ("setup", "call", "teardown", "expected"),
    [
        ("passed", "passed", "passed", Outcome.PASSED),
        ("passed", "failed", "passed", Outcome.FAILED),
        ("passed", "failed", "failed", Outcome.FAILED),
        ("passed", "passed", "failed", Outcome.ERROR),
        ("failed", None, "passed", Outcome.ERROR),
        ("skipped", None, "passed", Outcome.SKIPPED),
        ("passed", "skipped", "passed", Outcome.SKIPPED),
    ],
)
def test_report_of_three_phases_then_the_first_that_went_wrong_decides(
    setup: str, call: str | None, teardown: str, expected: Outcome
) -> None:
    log = ReportLog()
    for when, outcome in (("setup", setup), ("call", call), ("teardown", teardown)):
        if outcome is not None:
            log.add(a_line(when, outcome))
    assert [r.outcome for r in log.results] == [expected]


def test_report_of_a_failure_then_the_detail_has_file_line_and_message() -> None:
    log = ReportLog()
    crash = {"path": "/tests/web/t.py", "lineno": 12, "message": "assert 404 == 200"}
    log.add(a_line("call", "failed", longrepr={"reprcrash": crash}))
    log.add(a_line("teardown", "passed"))
    assert log.results[0].detail == "web/t.py:12: assert 404 == 200"


def test_report_when_testinfra_adds_its_host_then_names_go_without_it() -> None:
    log = ReportLog()
    log.add(a_line("teardown", "passed", name="t.py::test_a[image]"))
    log.add(a_line("teardown", "passed", name="t.py::test_b[image-80]"))
    assert [r.name for r in log.results] == ["t.py::test_a", "t.py::test_b[80]"]


def test_report_when_a_test_ends_then_its_line_is_told_at_once() -> None:
    told: list[str] = []
    log = ReportLog(told.append)
    log.add(a_line("setup", "passed"))
    assert told == []
    log.add(a_line("teardown", "passed"))
    assert told == ["t.py::test_a passed (0.50 s)"]


def test_report_without_its_end_when_killed_in_a_test_then_crash_names_signal_and_test() -> None:
    log = ReportLog()
    log.add(a_line("setup", "passed"))
    assert log.crash(an_ending(139)).startswith(
        "The test process was killed by signal 11 in t.py::test_a."
    )
    assert log.results == ()


def test_report_without_its_end_when_it_exited_well_then_it_is_a_crash_all_the_same() -> None:
    log = ReportLog()
    log.add(a_line("teardown", "passed"))
    assert "ended with exit status 0 after t.py::test_a" in log.crash(an_ending(0))


def test_report_when_time_ran_out_then_the_running_test_is_named() -> None:
    log = ReportLog()
    log.add(a_line("setup", "passed"))
    crash = log.crash(an_ending(-9, has_timed_out=True))
    assert crash == "The tests took longer than allowed in t.py::test_a and were ended."


@pytest.mark.parametrize("status", [0, 1, 5])
def test_report_with_its_end_when_the_process_agrees_then_there_is_no_crash(status: int) -> None:
    log = ReportLog()
    log.add(a_finish(status))
    assert log.crash(an_ending(status)) == ""


@pytest.mark.parametrize(("said", "ended"), [(0, 139), (0, 1), (3, 3), (4, 4), (2, 2)])
def test_report_with_its_end_when_the_process_does_not_agree_then_it_is_a_crash(
    said: int, ended: int
) -> None:
    log = ReportLog()
    log.add(a_finish(said))
    assert log.crash(an_ending(ended))


@given(st.binary(max_size=200))
def test_report_of_arbitrary_bytes_then_it_is_never_a_pass(line: bytes) -> None:
    log = ReportLog()
    log.add(line)
    assert log.crash(an_ending(0))
    assert log.results == ()


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_report_with_arbitrary_reason_then_the_detail_is_a_short_text(reason: object) -> None:
    log = ReportLog()
    log.add(a_line("call", "failed", longrepr=reason))
    log.add(a_line("teardown", "passed"))
    assert len(log.results[0].detail) <= 2003


@pytest.mark.parametrize(
    ("said", "severity"),
    [("high", Severity.HIGH), ("", Severity.UNKNOWN), ("terrible", Severity.UNKNOWN)],
)
def test_report_when_a_test_is_marked_with_a_control_then_tells_it(
    said: str, severity: Severity
) -> None:
    log = ReportLog()
    entry = json.loads(a_line("call", "passed"))

    log.add(
        json.dumps(entry | {"control": {"rule": "A-1", "severity": said, "title": "t"}}).encode()
    )

    assert log.controls == {"t.py::test_a": ControlMark(rule="A-1", severity=severity, title="t")}


@pytest.mark.parametrize("said", [None, "A-1", {"rule": 1, "title": ""}, {"rule": "A-1"}, [1]])
def test_report_when_a_control_is_no_control_then_it_is_none(said: object) -> None:
    log = ReportLog()

    log.add(json.dumps(json.loads(a_line("call", "passed")) | {"control": said}).encode())

    assert log.controls == {}
