"""What advisories say of source packages."""

from dataclasses import replace

import pytest

from imagebuilder.domain.advisory import (
    AffectedRange,
    CveNotes,
    Feed,
    FixState,
    SourcePackage,
    change_of,
    match,
    sources_of,
)
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from tests.build import a_package, an_advisory

NGINX = SourcePackage(name="nginx", version="1.22.1-9")


@pytest.mark.parametrize(
    ("bounds", "version", "expected"),
    [
        ({}, "1.0-1", True),
        ({"fixed": "1.0-2"}, "1.0-1", True),
        ({"fixed": "1.0-2"}, "1.0-2", False),
        ({"fixed": "1.0-1~deb12u1"}, "1.0-1", False),
        ({"fixed": "1:0.1"}, "9.0-1", True),
        ({"introduced": "1.1"}, "1.0", False),
        ({"introduced": "1.1"}, "1.1", True),
        ({"introduced": "0", "fixed": "2"}, "1", True),
        ({"last_affected": "1.5"}, "1.5", True),
        ({"last_affected": "1.5"}, "1.5.1", False),
        ({"introduced": "1.1", "fixed": "2"}, "no version!", True),
    ],
)
def test_holds_then_goes_by_debian_s_order_and_what_is_no_version_is_in(
    bounds: dict[str, str],
    version: str,
    expected: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert AffectedRange(**bounds).holds(version) is expected


def test_match_then_tells_all_that_a_finding_needs() -> None:
    advisory = an_advisory(id="DSA-1-1", affected=AffectedRange(fixed="1.22.1-10"))
    notes = {"CVE-2026-1": CveNotes(severity=Severity.HIGH, exploited_on="2026-01-02", epss=0.5)}

    (found,) = match(NGINX, [advisory], notes)

    finding = found.finding
    assert (finding.kind, finding.id, finding.scope) == (
        FindingKind.VULNERABILITY,
        "CVE-2026-1",
        "nginx",
    )
    assert (finding.installed_version, finding.fixed_version) == ("1.22.1-9", "1.22.1-10")
    assert (finding.severity, finding.is_known_exploited, finding.epss) == (
        Severity.HIGH,
        True,
        0.5,
    )
    assert (finding.aliases, finding.is_fixable) == (("DSA-1-1",), True)


def test_match_when_it_is_fixed_or_never_was_then_finds_nothing() -> None:
    fixed = an_advisory(affected=AffectedRange(fixed="1.22.1-9"))
    never = an_advisory(state=FixState.NOT_AFFECTED, affected=AffectedRange())

    assert match(NGINX, [fixed], {}) == ()
    assert match(NGINX, [never], {}) == ()


@pytest.mark.parametrize("state", [FixState.OPEN, FixState.UNDETERMINED])
def test_match_when_there_is_no_fix_then_it_is_affected_with_the_reason(state: FixState) -> None:
    advisory = an_advisory(state=state, affected=AffectedRange(), reason="no DSA: Minor issue")

    (found,) = match(NGINX, [advisory], {})

    assert (found.state, found.fixed_version, found.reason) == (state, "", "no DSA: Minor issue")
    assert not found.finding.is_fixable


def test_match_when_feeds_disagree_then_the_distribution_s_own_word_counts() -> None:
    never = an_advisory(state=FixState.NOT_AFFECTED, affected=AffectedRange())
    said = an_advisory(feed=Feed.OSV_DEBIAN)

    assert match(NGINX, [said, never], {}) == ()
    assert len(match(NGINX, [said], {})) == 1


def test_match_when_notices_of_one_feed_differ_then_the_latest_fix_counts() -> None:
    first = an_advisory(feed=Feed.OSV_DEBIAN, id="DSA-1-1", affected=AffectedRange(fixed="1.23"))
    again = replace(first, id="DSA-1-2", affected=AffectedRange(fixed="1.24"))
    without = replace(first, id="", state=FixState.OPEN, affected=AffectedRange())

    for order in ([first, again], [again, first]):
        (found,) = match(NGINX, order, {})
        assert (found.fixed_version, found.advisories) == ("1.24", ("DSA-1-1", "DSA-1-2"))
    for order in ([first, without], [without, first]):
        assert match(NGINX, order, {})[0].state is FixState.OPEN


def test_match_then_takes_the_distribution_s_severity_before_that_of_a_score() -> None:
    notes = {"CVE-2026-1": CveNotes(severity=Severity.CRITICAL)}

    (own,) = match(NGINX, [an_advisory(severity=Severity.LOW)], notes)
    (scored,) = match(NGINX, [an_advisory()], notes)

    assert (own.severity, scored.severity) == (Severity.LOW, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("linux-signed-amd64", "linux"),
        ("linux-signed", "linux"),
        ("linux-signed-i386", "linux"),
        ("linux-signed-6.1-amd64", "linux-6.1"),
        ("linux-signed-6.1-arm64", "linux-6.1"),
        ("linux-signed-aws", "linux-aws"),
        ("linux-signed-aws-5.15", "linux-aws-5.15"),
        ("linux-signed-hwe-6.5", "linux-hwe-6.5"),
        ("linux-signed-lowlatency-hwe-6.5", "linux-lowlatency-hwe-6.5"),
    ],
)
def test_sources_when_a_kernel_was_only_signed_then_it_is_the_kernel(
    source: str, expected: str
) -> None:
    package = a_package(
        "linux-image-6.1.0-1-amd64", "6.1.119-1", source=source, source_version="6.1.119+1"
    )

    assert sources_of([package, package]) == (SourcePackage(name=expected, version="6.1.119-1"),)


def test_change_then_tells_what_came_and_what_went_by_package_and_version() -> None:
    one, two = (match(NGINX, [an_advisory(cve)], {})[0] for cve in ("CVE-2026-1", "CVE-2026-2"))
    fixed = replace(one, fixed_version="100", severity=Severity.HIGH)

    assert change_of([one], [fixed]).new == ()
    change = change_of([one], [two])
    assert (change.new, change.gone) == ((two,), (one,))
    assert not change_of([one], [one])
