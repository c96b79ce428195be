"""What the lines of a playbook's driver come to; some were written by somebody else."""

import json

import pytest

from imagebuilder.adapters.confined.ansible.events import PlaybookLog


def a_log(*entries: object) -> PlaybookLog:
    log = PlaybookLog()
    for entry in entries:
        log.add(json.dumps(entry).encode())
    return log


def ended(task: str, run: int = 1, **more: object) -> dict[str, object]:
    return {"event": "runner_on_ok", "task": task, "run": run, **more}


def counted(run: int, **counts: object) -> dict[str, object]:
    return {"event": "playbook_on_stats", "run": run, "counts": counts}


def test_log_when_a_run_ended_then_gives_how_many_tasks_did_what() -> None:
    log = a_log(
        ended("A", is_changed=True), counted(1, ok=2, changed=1), {"event": "end", "status": 0}
    )

    assert log.status == 0
    assert log.outputs() == {"ok": "2", "changed": "1", "skipped": "0"}
    assert log.not_idempotent() == ""


def test_log_when_the_second_run_changed_something_then_names_it() -> None:
    log = a_log(ended("A", is_changed=True), ended("B", 2, is_changed=True), counted(2, changed=1))

    assert log.not_idempotent().splitlines()[1:] == ["  B"]
    assert log.changed == {1: ["A"], 2: ["B"]}


def test_log_when_a_task_failed_then_its_words_are_the_failure() -> None:
    log = a_log(
        ended("A"),
        {"event": "runner_on_failed", "task": "B", "msg": "no", "stderr": "because\nof that"},
    )

    assert log.failure == "B: failed\n  no\n  because\n  of that"
    assert log.output.startswith("A: ok\nB: failed")


def test_log_when_a_failure_was_ignored_then_it_is_told_and_is_no_failure() -> None:
    log = a_log({"event": "runner_on_failed", "task": "B", "msg": "no", "is_ignored": True})

    assert log.failures == []
    assert log.said == ["B: failed, ignored", "  no"]


def test_log_when_no_task_failed_then_the_last_words_are_the_failure() -> None:
    log = a_log({"event": "verbose", "stdout": "ERROR! the playbook is none\n\n"})

    assert log.failure == "ERROR! the playbook is none"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[1, 2]",
        b'"x"',
        b"{}",
        b"[" * 100_000,
        b'{"event": ["x"]}',
        b'{"run": "x"}',
    ],
)
def test_log_when_a_line_says_nothing_then_it_is_passed_over(line: bytes) -> None:
    log = PlaybookLog()

    log.add(line)

    assert (log.said, log.status, log.failures) == ([], None, [])


def test_log_when_values_are_of_other_kinds_then_they_count_for_nothing() -> None:
    log = a_log(counted(1, ok="many", changed=[1]), {"event": "end", "status": "fine"})

    assert log.outputs() == {"ok": "0", "changed": "0", "skipped": "0"}
    assert log.status is None


def test_log_when_it_is_flooded_then_keeps_what_it_can() -> None:
    log = a_log(*(ended(f"T{number}") for number in range(20_010)))

    assert len(log.said) == 20_000
