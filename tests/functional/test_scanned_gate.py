"""Gates that ask about scans, asked of versions that were scanned."""

from datetime import timedelta

import pytest

from imagebuilder.domain.control import Assessment, ControlOutcome
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.waiver import Accepted
from tests.build import a_control, a_draft, a_waiver, an_assessment
from tests.functional.conftest import Cli

ONE = "web@1.2.0/1"
RULE = "sshd_disable_root_login"
CIS = ("--profile", "cis_level1_server")


def gated(cli: Cli, *assessments: Assessment, gate: tuple[str, ...]) -> None:
    cli.application().cataloguing.record(a_draft("web", "1.2.0", assessments=assessments))
    assert cli("channel", "gate", "web@stable", *gate).exit_code == 0


def reasons(cli: Cli) -> list[str]:
    """Give what stands in the way of version 1, but for advisories, of which there are none."""
    result = cli("gate", "check", ONE, "--channel", "stable")
    lines = [line.partition(". ")[2] for line in result.stdout.splitlines() if line[:1].isdigit()]
    return [line for line in lines if line and "no advisories were imported" not in line]


def waive(cli: Cli, *, days: float) -> None:
    application = cli.application()
    accepted = Accepted(kind=FindingKind.CONTROL, id=RULE, within=an_assessment().benchmark)
    begun = application.clock.now() - timedelta(days=10)
    application.waivers.add(a_waiver(accepted, at=begun, days=days))


@pytest.mark.parametrize("gate", [CIS, ("--min-coverage", "10%")], ids=["profile", "coverage"])
def test_gate_when_it_was_never_scanned_then_refuses(cli: Cli, gate: tuple[str, ...]) -> None:
    gated(cli, gate=gate)

    (reason,) = reasons(cli)

    assert reason.startswith("It was never scanned for ")


def test_gate_when_scanned_for_another_profile_then_refuses(cli: Cli) -> None:
    gated(cli, an_assessment(profile="own"), gate=CIS)

    assert reasons(cli) == ["It was never scanned for cis_level1_server."]


def test_gate_when_too_few_rules_were_judged_then_refuses(cli: Cli) -> None:
    absent = (a_control(f"kernel_{n}", ControlOutcome.NOT_APPLICABLE) for n in range(3))
    gated(cli, an_assessment(a_control(), *absent), gate=(*CIS, "--min-coverage", "60%"))

    assert reasons(cli) == [
        "Only 25% of the controls of cis_level1_server were judged, and 60% are asked for."
    ]


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [
        (ControlOutcome.FAIL, "did not pass"),
        (ControlOutcome.ERROR, "could not be judged"),
        (ControlOutcome.UNKNOWN, "could not be judged"),
    ],
)
def test_gate_when_a_rule_did_not_pass_then_refuses_until_it_is_waived(
    cli: Cli, outcome: ControlOutcome, ended: str
) -> None:
    gated(cli, an_assessment(a_control(RULE, outcome)), gate=(*CIS, "--fail-on", "high"))
    before = reasons(cli)

    waive(cli, days=30)

    assert before == [f"{RULE} of {an_assessment().benchmark} {ended} (high)."]
    assert reasons(cli) == []


def test_gate_when_the_waiver_of_a_rule_ran_out_then_refuses_without_a_scan(cli: Cli) -> None:
    failed = an_assessment(a_control(RULE, ControlOutcome.FAIL))
    gated(cli, failed, gate=(*CIS, "--fail-on", "high"))
    waive(cli, days=9.9)

    (reason,) = reasons(cli)

    assert "Waiver waiver-1 expired at " in reason


def test_gate_when_rules_are_less_bad_or_said_nothing_then_passes(cli: Cli) -> None:
    results = (
        a_control("low", ControlOutcome.FAIL, Severity.LOW),
        a_control("none", ControlOutcome.NOT_APPLICABLE),
        a_control("told", ControlOutcome.INFORMATIONAL),
    )
    gated(cli, an_assessment(*results), gate=(*CIS, "--fail-on", "medium"))

    assert reasons(cli) == []
