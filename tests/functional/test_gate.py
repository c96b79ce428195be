"""`imagebuilder gate` and `finding`, and channels whose gates ask for findings."""

import json
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.objection import AdvisoryStanding
from imagebuilder.domain.promotion import GateRefused
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.waiver import Accepted
from imagebuilder.services.gating import KnownVulnerabilities
from imagebuilder.wiring.catalogue import CatalogueWiring
from tests.build import (
    a_draft,
    a_finding,
    a_pipeline,
    a_report,
    a_run,
    a_waiver,
    an_applied,
    an_order,
)
from tests.functional.conftest import Cli

SKIPPED = "test_ssh.py::test_up"
ONE = "web@1.2.0/1"


@pytest.fixture
def web(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line, as bob, over a version of web one test of which was skipped."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    reports = (
        a_report(Stage.OFFLINE),
        a_report(Stage.BOOTED, **{SKIPPED: Outcome.SKIPPED, "test_a": Outcome.PASSED}),
    )
    stored.application().cataloguing.record(a_draft("web", "1.2.0", reports=reports))
    return stored


@pytest.fixture
def vulnerable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line over a version of web of which advisories say something."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    cli.application().cataloguing.record(a_draft("web", "1.2.0"))
    advise(
        monkeypatch,
        a_finding("CVE-2026-1", fixed_version="3.1", installed_version="3.0"),
        a_finding("CVE-2026-2", severity=Severity.CRITICAL, scope="zlib"),
        a_finding("CVE-2026-3", severity=Severity.LOW, is_known_exploited=True),
    )
    return cli


def advise(monkeypatch: pytest.MonkeyPatch, *findings: Any, age_days: float = 0) -> None:
    """Let advisories of some age say that."""

    def said(self: CatalogueWiring, _: object) -> KnownVulnerabilities:
        data_at = self.clock.now() - timedelta(days=age_days)
        standing = AdvisoryStanding(data_at=data_at, exploited_at=data_at)
        return KnownVulnerabilities(findings=findings, standing=standing)

    monkeypatch.setattr(CatalogueWiring, "_vulnerabilities", said)


def done(cli: Cli, *words: str) -> str:
    result = cli(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def waive(cli: Cli, finding: str, *more: str, expires: str = "30d") -> str:
    told = cli.json(
        "waiver", "add", finding, "--image", "web", "--expires", expires, "--reason", "known",
        "--ticket", "SEC-1", "--owner", "ann", *more,
    )  # fmt: skip
    assert told[0]["is_found"]
    return str(told[0]["id"])


def blocked(cli: Cli, *words: str) -> list[str]:
    """Give the reasons that a command is refused for."""
    error = cli.error(*words)
    assert (error["exit"], error["code"]) == (4, "gate-refused")
    assert error["hint"]
    return str(error["context"]).splitlines()


def test_required_test_when_skipped_then_a_waiver_lets_it_in_until_it_is_revoked(web: Cli) -> None:
    done(web, "channel", "gate", "web@stable", "--require-test", "booted")
    reason = f"Test {SKIPPED} of stage booted was skipped, and must pass."

    assert blocked(web, "channel", "set", ONE, "stable") == [reason]
    waiver = waive(web, SKIPPED)
    done(web, "channel", "set", ONE, "stable")
    done(web, "channel", "unset", "web@stable")
    done(web, "waiver", "revoke", waiver)

    (again,) = blocked(web, "channel", "set", ONE, "stable")
    assert again.startswith(f"{reason} Waiver {waiver} was revoked by bob at ")
    done(web, "channel", "rollback", "web@stable")


def test_waiver_of_an_advisory_then_says_which_findings_it_covers(
    vulnerable: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = ("USN-7000-1",)
    advise(
        monkeypatch,
        *(a_finding(f"CVE-2026-{n:02}", aliases=notice) for n in range(1, 13)),
        a_finding("CVE-2026-01", scope="zlib", aliases=notice),
        a_finding("CVE-2026-99"),
    )
    words = ("--image", "web", "--expires", "30d", "--reason", "known", "--ticket", "SEC-1")

    told = vulnerable("waiver", "add", "USN-7000-1", *words, "--owner", "ann")
    as_json = vulnerable.json("waiver", "add", "USN-7000-1", *words, "--owner", "ann")
    single = vulnerable("waiver", "add", "CVE-2026-01", *words, "--owner", "ann")

    assert told.stderr.startswith("warning: USN-7000-1 stands for 12 findings that are there now")
    assert told.stderr.endswith("CVE-2026-10 and 2 more\n")
    assert as_json[0]["covers"] == [f"CVE-2026-{n:02}" for n in range(1, 13)]
    assert single.stderr == ""


def test_waiver_when_it_ran_out_then_blocks_without_any_scan(web: Cli) -> None:
    done(web, "channel", "gate", "web@stable", "--require-test", SKIPPED)
    application = web.application()
    accepted = Accepted(kind=FindingKind.TEST, id=SKIPPED)
    begun = application.clock.now() - timedelta(days=10)
    application.waivers.add(a_waiver(accepted, at=begun, days=9.9))

    (reason,) = blocked(web, "channel", "set", ONE, "stable")

    assert "Waiver waiver-1 expired at " in reason


def test_promotion_when_it_rests_on_a_waiver_that_ends_soon_then_says_so(web: Cli) -> None:
    done(web, "channel", "gate", "web@stable", "--require-test", "booted")
    waiver = waive(web, SKIPPED, expires="3d")

    moved = web("channel", "set", ONE, "stable", "--dry-run")
    told = web.json("channel", "set", ONE, "stable", "--dry-run")

    assert moved.stderr.splitlines()[0] == (
        f"warning: the waiver of {SKIPPED} ends in 2 days ({waiver}): "
        f"web@stable will not let {ONE} in again"
    )
    assert told["ending_waivers"] == [waiver]
    checked = web("gate", "check", ONE, "--channel", "stable").stdout
    assert "Z (ends in 2 days), ann: known" in checked
    assert " (ends in 2 days)\t" in done(web, "waiver", "list")
    waive(web, SKIPPED)
    assert web.json("channel", "set", ONE, "stable")["ending_waivers"] == []


def test_check_when_asked_for_later_then_says_what_will_block_then(web: Cli) -> None:
    done(web, "channel", "gate", "web@stable", "--require-test", "booted")
    waiver = waive(web, SKIPPED)
    words = ("gate", "check", ONE, "--channel", "stable", "--at")

    now = web.json(*words, "29d")
    then = web(*words, "31d")

    assert (now["is_pass"], now["objections"]) == (True, [])
    assert [each["waiver"] for each in now["waived"]] == [waiver]
    assert then.exit_code == 4
    assert f"Waiver {waiver} expired at " in then.stdout


def test_check_when_something_is_in_the_way_then_says_all_of_it_and_the_commands(
    vulnerable: Cli,
) -> None:
    done(
        vulnerable, "channel", "gate", "web@stable", "--fail-on", "high", "--known-exploited",
        "--profile", "level1", "--min-coverage", "60%", "--after", "candidate",
    )  # fmt: skip

    result = vulnerable("gate", "check", "web", "--channel", "stable")

    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{ONE} does not pass, for 5 reasons (as of ")
    assert lines[1] == (
        "  channel web@stable: after candidate; nothing high or worse; nothing known to be "
        "exploited; scanned for level1; 60% of its controls judged"
    )
    assert [line for line in lines if line[:1].isdigit()] == [
        "1. It was never on web@candidate.",
        "2. It was never scanned for level1.",
        "3. CVE-2026-2 in zlib: critical, without a fix.",
        "4. CVE-2026-1 in openssl 3.0: high, fixed in 3.1.",
        "5. CVE-2026-3 in openssl: low, without a fix, known to be exploited.",
    ]
    assert (
        "   Build it again with openssl 3.1; or accept it: imagebuilder waiver add CVE-2026-1 "
        "--package openssl --image web --expires 30d --reason TEXT --ticket ID --owner NAME."
    ) in lines


def test_remedy_when_typed_then_clears_just_that(vulnerable: Cli) -> None:
    done(vulnerable, "channel", "gate", "web@stable", "--fail-on", "high", "--only-fixable")
    error = vulnerable.error("channel", "set", ONE, "stable")
    command = error["hint"].partition("imagebuilder ")[2].rstrip(".")

    assert vulnerable(*command.split()).exit_code == 0

    assert vulnerable.json("gate", "check", ONE, "--channel", "web@stable")["is_pass"]
    done(vulnerable, "channel", "set", ONE, "stable")


def test_advisories_when_new_ones_speak_of_it_then_a_clean_version_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.application().cataloguing.record(a_draft("web", "1.2.0"))
    done(cli, "channel", "gate", "web@stable", "--fail-on", "high")
    assert "no advisories were imported" in blocked(cli, "channel", "set", ONE, "stable")[0]
    advise(monkeypatch)
    done(cli, "channel", "set", ONE, "stable")
    done(cli, "channel", "unset", "web@stable")

    advise(monkeypatch, a_finding())

    assert blocked(cli, "channel", "set", ONE, "stable") == [
        "CVE-2026-1 in openssl: high, without a fix."
    ]
    advise(monkeypatch, age_days=8)
    assert "8.0 days old, and 7d is allowed" in blocked(cli, "channel", "set", ONE, "stable")[0]


def test_check_when_for_distribution_then_asks_the_gates_of_its_channels(vulnerable: Cli) -> None:
    done(vulnerable, "channel", "set", ONE, "stable")
    assert vulnerable.json("gate", "check", ONE)["gates"] == []
    done(vulnerable, "channel", "gate", "web@stable", "--known-exploited")

    result = vulnerable("gate", "check", ONE, "--for", "distribution")

    assert result.exit_code == 4
    assert "channel web@stable: nothing known to be exploited" in result.stdout
    application = vulnerable.application()
    version = application.versions.newest(ImageName("web"))
    assert version is not None
    with pytest.raises(Exception, match="may not be distributed"):
        application.gating.refuse_distribution(version)


def test_placement_when_a_gate_is_against_it_then_is_kept_with_a_warning(vulnerable: Cli) -> None:
    done(vulnerable, "channel", "set", ONE, "stable")
    done(vulnerable, "channel", "gate", "web@stable", "--known-exploited")

    result = vulnerable("placement", "add", ONE, "--target", "aws:1/eu", "--id", "ami-1")

    assert result.exit_code == 0
    assert f"warning: gates do not let {ONE} be distributed" in result.stderr
    assert f"imagebuilder gate check {ONE} --for distribution" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--fail-on", "terrible"],
        ["--fail-on", "unknown"],
        ["--only-fixable"],
        ["--min-coverage", "60"],
        ["--min-coverage", "nan"],
        ["--min-coverage", "much"],
        ["--max-data-age", "soon"],
        ["--profile", "a b"],
        ["--require-test", ""],
        ["--fail-on", "high", "--clear"],
    ],
)
def test_gate_when_it_makes_no_sense_then_is_refused(cli: Cli, options: list[str]) -> None:
    cli.application().cataloguing.record(a_draft("web", "1.2.0"))

    error = cli.error("channel", "gate", "web@stable", *options)

    assert (error["exit"], error["code"]) == (2, "gate-malformed")


def test_gate_when_set_then_is_shown_in_text_and_json(web: Cli) -> None:
    words = ("--fail-on", "high", "--only-fixable", "--max-data-age", "3d", "--tests", "booted")
    said = done(web, "channel", "gate", "web@stable", *words)

    assert said.endswith(
        "tests booted; nothing high or worse, vulnerabilities with a fix only; "
        "advisories no older than 3d"
    )
    gate = web.json("channel", "show", "web@stable")["gate"]
    assert gate["assurance"]["fail_on"] == "high"
    assert gate["assurance"]["max_data_age_seconds"] == 3 * 86400
    done(web, "channel", "gate", "web@stable", "--after", "candidate")
    assert web.json("channel", "show", "web@stable")["gate"]["assurance"] is None


def test_check_when_asked_for_what_is_not_there_then_says_so(web: Cli) -> None:
    assert web.error("gate", "check", "db")["code"] == "version-not-found"
    assert web.error("gate", "check", "web", "--channel", "db@stable")["exit"] == 3
    assert web.error("gate", "check", "web", "--pipeline", "p")["code"] == "pipeline-not-found"
    twice = web.error("gate", "check", "web", "--for", "distribution", "--channel", "stable")
    assert (twice["exit"], twice["code"]) == (2, "gate-asked-twice")
    # A channel that never was, and has no gate, asks for what every channel does.
    assert web.json("gate", "check", "web", "--channel", "stable")["is_pass"]


def test_findings_when_listed_then_each_has_its_state(vulnerable: Cli) -> None:
    waiver = waive(vulnerable, "CVE-2026-2")
    done(vulnerable, "channel", "gate", "web@stable", "--fail-on", "high")

    def listed(*words: str) -> list[tuple[str, str]]:
        found = vulnerable.json("finding", "list", *words)
        return [(each["id"], each["state"]) for each in found]

    assert listed("web") == [
        ("CVE-2026-1", "open"), ("CVE-2026-3", "open"), ("CVE-2026-2", "waived"),
    ]  # fmt: skip
    assert listed("web", "--channel", "stable") == [
        ("CVE-2026-1", "failing"), ("CVE-2026-2", "waived"), ("CVE-2026-3", "tolerated"),
    ]  # fmt: skip
    assert listed("--all", "--waived") == [("CVE-2026-2", "waived")]
    assert listed("--all", "--unwaived", "--severity", "high") == [("CVE-2026-1", "open")]
    assert listed("web", "--only-fixable") == [("CVE-2026-1", "open")]
    assert listed("web", "--expiring", "14d") == []
    assert listed("web", "--expiring", "31d") == [("CVE-2026-2", "waived")]
    assert listed("web", "--kind", "control") == []
    shown = done(vulnerable, "finding", "show", "CVE-2026-2", "web")
    assert waiver in shown
    assert "critical" in shown


def test_findings_when_asked_wrongly_then_says_so(vulnerable: Cli) -> None:
    assert vulnerable.error("finding", "list")["code"] == "findings-of-what"
    assert vulnerable.error("finding", "list", "web", "--all")["code"] == "findings-of-what"
    assert vulnerable.error("finding", "list", "web", "--severity", "bad")["exit"] == 2
    assert vulnerable.error("finding", "show", "CVE-1", "web")["code"] == "finding-not-found"


def test_refusal_when_there_are_many_reasons_then_tells_the_worst_and_where_all_are(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.application().cataloguing.record(a_draft("web", "1.2.0"))
    advise(monkeypatch, *(a_finding(f"CVE-2026-{number:03}") for number in range(300)))
    done(cli, "channel", "gate", "web@stable", "--fail-on", "high")

    error = cli.error("channel", "set", ONE, "stable")

    assert len(error["context"].splitlines()) == 11
    assert error["context"].endswith("And 290 more.")
    assert error["hint"].endswith(f"imagebuilder gate check {ONE} --channel web@stable.")
    assert len(vulnerable_reasons(cli, "--all")) == 300
    assert len(vulnerable_reasons(cli)) == 20


def vulnerable_reasons(cli: Cli, *more: str) -> list[str]:
    result = cli("gate", "check", ONE, "--channel", "stable", *more)
    reasons = [line for line in result.stdout.splitlines() if line[:1].isdigit()]
    left_out = f"... and {300 - len(reasons)} more: --all shows them."
    assert (left_out in result.stdout) == (not more)
    return reasons


@pytest.mark.parametrize("channel", [None, "candidate"])
def test_pipeline_when_its_gates_are_against_a_version_then_the_run_says_why(
    vulnerable: Cli, channel: str | None
) -> None:
    application = vulnerable.application()
    version = application.versions.newest(ImageName("web"))
    assert version is not None
    gates = AssuranceGate(stops_known_exploited=True)
    order = an_order(gates=gates, channel=channel)
    run = a_run(version_id=version.id, order=order)
    promote = application._running._staff.promote

    with pytest.raises(GateRefused) as refused:
        promote(run)

    assert refused.value.message == f"The gate of pipeline nightly-web does not let {ONE} in."
    assert refused.value.context.startswith("CVE-2026-3 in openssl: low, without a fix, known")
    waive(vulnerable, "CVE-2026-3")
    expected = {"channel": "web@candidate", "reference": ONE} if channel else {"channel": None}
    assert promote(run) == expected


def test_check_when_of_a_pipeline_then_asks_its_gates(vulnerable: Cli) -> None:
    application = vulnerable.application()
    gates = AssuranceGate(stops_known_exploited=True)
    pipeline = a_pipeline("nightly", image="web", gates=gates)
    application.pipelines.put(an_applied(pipeline))

    for words in (["--pipeline", "nightly"], ["--for", "distribution"]):
        result = vulnerable("gate", "check", "web", *words)
        assert result.exit_code == 4
        assert "pipeline nightly: nothing known to be exploited" in result.stdout


def test_check_when_at_a_later_moment_then_advisories_are_as_old_as_they_are_now(
    vulnerable: Cli,
) -> None:
    done(vulnerable, "channel", "gate", "web@stable", "--fail-on", "critical")
    waive(vulnerable, "CVE-2026-2", "--expires", "80d")

    later = ("gate", "check", ONE, "--channel", "stable", "--at")

    assert vulnerable.json(*later, "60d")["is_pass"]
    assert "1 waived:\n  CVE-2026-2 until" in done(vulnerable, *later, "60d")
    (line,) = [x for x in vulnerable(*later, "81d").stdout.splitlines() if x.startswith("1. ")]
    assert line.startswith("1. CVE-2026-2 in zlib: critical, without a fix. Waiver waiver-")


def test_findings_when_listed_in_a_pipe_then_are_rows_of_cells(vulnerable: Cli) -> None:
    waive(vulnerable, "CVE-2026-2")

    rows = [line.split("\t") for line in done(vulnerable, "finding", "list", "--all").splitlines()]

    assert rows[0] == [ONE, "open", "high", "CVE-2026-1", "openssl", "3.0", "3.1", ""]
    assert rows[1][1:4] == ["open", "low, exploited", "CVE-2026-3"]
    assert rows[2][1:5] == ["waived", "critical", "CVE-2026-2", "zlib"]
    assert vulnerable.json("finding", "show", "CVE-2026-1", "web")[0]["fixed_version"] == "3.1"


def test_findings_when_written_for_others_then_waived_ones_are_marked(vulnerable: Cli) -> None:
    waive(vulnerable, "CVE-2026-2", "--justification", "component_not_present")

    log = json.loads(done(vulnerable, "finding", "list", "web", "--format", "sarif"))
    vex = json.loads(done(vulnerable, "finding", "list", "web", "--format", "openvex"))

    results = log["runs"][0]["results"]
    assert [bool(each["suppressions"]) for each in results] == [False, False, True]
    assert {each["vulnerability"]["name"]: each["status"] for each in vex["statements"]} == {
        "CVE-2026-1": "affected",
        "CVE-2026-2": "not_affected",
        "CVE-2026-3": "affected",
    }
    assert done(vulnerable, "finding", "list", "web", "--format", "json").startswith("[")


def test_findings_when_advisories_say_nothing_then_warns_that_none_is_no_pass(web: Cli) -> None:
    result = web("finding", "list", "web", "--kind", "vulnerability")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        f"warning: {ONE}: Its vulnerabilities are unknown, which is no pass: "
        "no advisories were imported.\n"
    )
