"""What a waiver may accept, for how long, and when it counts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.domain.waiver import (
    Accepted,
    WaiverExpired,
    WaiverIncomplete,
    WaiverSelfApproved,
    WaiverState,
    WaiverTooLong,
    WaiverTooWide,
    WaiverUnclear,
    checked_waiver,
    kind_of,
)
from tests.build import SOME_DAY, a_finding, a_waiver

WEB = ImageName("web")
ONE = BuildVersion.parse("1.2.3/4")
RULE = "xccdf_org.ssgproject.content_rule_sshd_set_idle_timeout"
BENCHMARK = "xccdf_org.ssgproject.content_benchmark_DEBIAN-12"


def a_control_waiver(id_: str = RULE, within: str = "cis-debian12", **more: Any) -> Any:
    return a_waiver(Accepted(kind=FindingKind.CONTROL, id=id_, within=within), **more)


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ({"finding": "CVE-2024-1234"}, FindingKind.VULNERABILITY),
        ({"finding": "DSA-5532-1"}, FindingKind.VULNERABILITY),
        ({"finding": "GHSA-jfh8-c2jp-5v3q"}, FindingKind.VULNERABILITY),
        ({"finding": "TEMP-0000-ABCDEF"}, FindingKind.VULNERABILITY),
        ({"finding": "anything", "package": "openssl"}, FindingKind.VULNERABILITY),
        ({"finding": RULE, "benchmark": "cis-debian12"}, FindingKind.CONTROL),
        ({"finding": "5.2.1", "benchmark": "cis-debian12"}, FindingKind.CONTROL),
        ({"finding": "test_web.py::test_up"}, FindingKind.TEST),
        ({"finding": "test_up", "stage": "booted"}, FindingKind.TEST),
    ],
)
def test_kind_when_named_then_is_told(named: dict[str, str], kind: FindingKind) -> None:
    finding = named.pop("finding")

    accepted = kind_of(finding, **named)

    assert (accepted.kind, accepted.id) == (kind, finding)
    assert accepted.within == next(iter(named.values()), "")


@pytest.mark.parametrize(
    "named", [{"finding": RULE}, {"finding": "x", "benchmark": "a", "stage": "booted"}]
)
def test_kind_when_not_clear_then_is_refused(named: dict[str, str]) -> None:
    finding = named.pop("finding")

    with pytest.raises(WaiverUnclear):
        kind_of(finding, **named)


@pytest.mark.parametrize(
    ("finding", "benchmark"),
    [
        ("*", ""),
        ("", ""),
        ("CVE-2024-*", ""),
        ("CVE-2024-123?", ""),
        ("*", "cis-debian12"),
        ("cis-debian12", "cis-debian12"),
        ("CIS-Debian12", "cis-debian12"),
        (BENCHMARK, BENCHMARK),
        (BENCHMARK, "cis-debian12"),
        (BENCHMARK, ""),
        ("xccdf_org.ssgproject.content_profile_cis_level1_server", "cis-debian12"),
        ("xccdf_org.ssgproject.content_group_ssh", "cis-debian12"),
        (RULE, "*"),
    ],
)
def test_waiver_when_of_a_whole_benchmark_or_a_pattern_then_is_too_wide(
    finding: str, benchmark: str
) -> None:
    with pytest.raises(WaiverTooWide):
        kind_of(finding, benchmark=benchmark)


@pytest.mark.parametrize(
    ("waiver", "error"),
    [
        (a_control_waiver(within=""), WaiverTooWide),
        (a_control_waiver(BENCHMARK), WaiverTooWide),
        (a_waiver(image="*"), WaiverTooWide),
        (a_waiver(image="**?"), WaiverTooWide),
        (a_waiver(image=""), WaiverTooWide),
        (a_waiver(image="We b"), WaiverIncomplete),
        (a_waiver(versions="newest"), WaiverIncomplete),
        (a_waiver(reason=" "), WaiverIncomplete),
        (a_waiver(ticket=""), WaiverIncomplete),
        (a_waiver(owner=""), WaiverIncomplete),
        (a_waiver(approver=""), WaiverIncomplete),
        (a_waiver(reason="a\x1b[31mb"), WaiverIncomplete),
        (a_waiver(reason="a" * 5000), WaiverIncomplete),
        (a_waiver(approver="ann"), WaiverSelfApproved),
        (a_waiver(approver=" Ann "), WaiverSelfApproved),
        (a_waiver(days=-1), WaiverExpired),
        (a_waiver(days=0), WaiverExpired),
        (a_waiver(days=90.1), WaiverTooLong),
    ],
)
def test_waiver_when_it_must_not_be_then_is_refused(
    waiver: Any, error: type[ImageBuilderError]
) -> None:
    with pytest.raises(error):
        checked_waiver(waiver, max_days=90)


def test_waiver_when_of_one_finding_for_some_time_then_passes() -> None:
    for waiver in (a_waiver(days=90), a_control_waiver(image="web-*", versions="1.x")):
        assert checked_waiver(waiver, max_days=90) is waiver


def test_state_when_time_goes_then_it_ends_at_its_moment() -> None:
    waiver = a_waiver(days=1)
    end = waiver.expires_at

    assert waiver.is_in_force(SOME_DAY)
    assert not waiver.is_in_force(SOME_DAY - timedelta(seconds=1))
    assert waiver.is_in_force(end - timedelta(microseconds=1))
    assert not waiver.is_in_force(end)
    assert waiver.state(end) is WaiverState.EXPIRED


def test_state_when_revoked_then_counts_up_to_that_moment() -> None:
    then = SOME_DAY + timedelta(hours=1)
    waiver = replace(a_waiver(), revoked=Act(actor="eva", at=then, why="mended"))

    assert waiver.is_in_force(then - timedelta(seconds=1))
    assert waiver.state(then) is WaiverState.REVOKED


@pytest.mark.parametrize(
    ("image", "versions", "is_covered"),
    [
        ("web", "", True),
        ("w?b", "", True),
        ("web-*", "", False),
        ("Web", "", False),
        ("web", "1.x", True),
        ("web", "1.2.3", True),
        ("web", "1.2.3/4", True),
        ("web", "1.2.3/5", False),
        ("web", "2.x", False),
    ],
)
def test_scope_when_image_and_version_are_asked_then_says_so(
    image: str, versions: str, *, is_covered: bool
) -> None:
    waiver = a_waiver(image=image, versions=versions)

    assert waiver.covers(a_finding(), WEB, ONE) is is_covered


@pytest.mark.parametrize(
    ("accepted", "is_covered"),
    [
        (Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1"), True),
        (Accepted(kind=FindingKind.VULNERABILITY, id="DSA-1-1"), True),
        (Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1", within="openssl"), True),
        (Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1", within="curl"), False),
        (Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-11"), False),
        (Accepted(kind=FindingKind.CONTROL, id="CVE-2026-1", within="openssl"), False),
    ],
)
def test_vulnerability_when_asked_then_is_covered_by_any_of_its_names(
    accepted: Accepted, *, is_covered: bool
) -> None:
    assert accepted.covers(a_finding(aliases=("DSA-1-1",))) is is_covered


@pytest.mark.parametrize(
    ("id_", "within", "is_covered"),
    [
        (RULE, "cis-debian12@1.1.0", True),
        (RULE, "cis-debian12", True),
        ("sshd_set_idle_timeout", "cis-debian12", True),
        ("5.2.16", "cis-debian12", True),
        ("5.2", "cis-debian12", False),
        (RULE, "cis-debian12@1.0.0", False),
        (RULE, "anssi", False),
    ],
)
def test_control_when_asked_then_is_covered_by_rule_or_number_of_its_benchmark(
    id_: str, within: str, *, is_covered: bool
) -> None:
    finding = a_finding(
        RULE, kind=FindingKind.CONTROL, scope="cis-debian12@1.1.0", aliases=("5.2.16",)
    )

    assert Accepted(kind=FindingKind.CONTROL, id=id_, within=within).covers(finding) is is_covered
