"""SARIF: findings as code scanners tell them."""

from typing import Any

from imagebuilder.domain.finding_search import FoundIn
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.verdict import FindingState, Judged
from imagebuilder.formats.sarif import sarif
from tests.build import a_finding, a_waiver


def found(id_: str, severity: Severity, waiver: Any = None, of: str = "web@1.0.0/1") -> FoundIn:
    finding = a_finding(id_, severity=severity, installed_version="3.0", fixed_version="3.1")
    judged = Judged(finding=finding, state=FindingState.OPEN, waiver=waiver)
    return FoundIn(reference=of, release="debian:bookworm", judged=judged)


def run_of(*findings: FoundIn) -> Any:
    log: Any = sarif(findings, version="0.1.0")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_log_when_written_then_has_a_rule_for_each_and_a_result_for_each() -> None:
    run = run_of(
        found("CVE-1", Severity.CRITICAL),
        found("CVE-2", Severity.LOW),
        found("CVE-1", Severity.CRITICAL, of="db@1.0.0/1"),
    )

    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["vulnerability/CVE-1", "vulnerability/CVE-2"]
    assert [each["ruleIndex"] for each in run["results"]] == [0, 1, 0]
    assert [each["level"] for each in run["results"]] == ["error", "note", "error"]
    prints = {each["partialFingerprints"]["finding/v1"] for each in run["results"]}
    assert len(prints) == 3
    assert run["results"][0]["message"]["text"] == (
        "web@1.0.0/1: CVE-1 in openssl 3.0 (critical, fixed in 3.1)."
    )


def test_result_when_waived_then_is_suppressed_with_the_reason() -> None:
    waived, other = run_of(
        found("CVE-1", Severity.HIGH, a_waiver()), found("CVE-2", Severity.UNKNOWN)
    )["results"]

    (suppression,) = waived["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert "not reachable (waiver-1, by bob, until 2026-03-31" in suppression["justification"]
    assert (other["suppressions"], other["level"]) == ([], "warning")


def test_log_when_nothing_is_found_then_is_whole_and_empty() -> None:
    assert run_of()["results"] == []
