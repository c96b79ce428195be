"""Reading what others publish of vulnerabilities."""

from typing import Any

import pytest

from imagebuilder.domain.advisory import Advisory, AffectedRange, Feed, FixState
from imagebuilder.domain.severity import Severity
from imagebuilder.formats.advisory_fields import MalformedEntry
from imagebuilder.formats.debian_tracker import tracked
from imagebuilder.formats.exploitation import is_epss, read_epss, read_kev, scored_on
from imagebuilder.formats.osv import read_osv, severity_of_vector
from tests.advisory_files import epss, kev, osv, resolved, unfixed, within

START = {"introduced": "0"}


def said(release: Any, cve: str = "CVE-2026-1") -> Advisory:
    (found,) = tracked("openssl", {cve: {"releases": {"bookworm": release}}})
    (advisory,) = found.advisories
    return advisory


@pytest.mark.parametrize(
    ("release", "state", "fixed", "reason"),
    [
        (resolved("3.0.16-1~deb12u1"), FixState.FIXED, "3.0.16-1~deb12u1", ""),
        (resolved("0"), FixState.NOT_AFFECTED, "", ""),
        (unfixed(), FixState.OPEN, "", ""),
        (unfixed("undetermined"), FixState.UNDETERMINED, "", ""),
        (
            unfixed(nodsa="Minor  issue", nodsa_reason="postponed"),
            FixState.OPEN,
            "",
            "no DSA: Minor issue (postponed)",
        ),
        (unfixed(urgency="end-of-life"), FixState.OPEN, "", "end-of-life"),
        (
            resolved("never"),
            FixState.UNDETERMINED,
            "",
            "its fix is said to be in 'never', which is no version",
        ),
    ],
)
def test_tracker_then_tells_what_debian_says(
    release: Any, state: FixState, fixed: str, reason: str
) -> None:
    advisory = said(release)

    assert (advisory.release, advisory.feed) == ("debian:bookworm", Feed.DEBIAN_TRACKER)
    assert (advisory.state, advisory.affected.fixed, advisory.reason) == (state, fixed, reason)


@pytest.mark.parametrize(
    ("urgency", "severity"),
    [
        ("high**", Severity.HIGH),
        ("medium", Severity.MEDIUM),
        ("low", Severity.LOW),
        ("unimportant", Severity.INFO),
        ("not yet assigned", Severity.UNKNOWN),
    ],
)
def test_tracker_then_urgency_is_the_severity(urgency: str, severity: Severity) -> None:
    assert said(resolved("1", urgency)).severity is severity


def test_tracker_when_no_release_has_it_or_it_has_no_cve_yet_then_reads_on() -> None:
    entry: Any = {"TEMP-0841856-B18BAF": {"releases": []}, "CVE-2022-0358": {"releases": []}}

    assert [each.cve for each in tracked("bash", entry)] == list(entry)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ([], "openssl"),
        ({"CVE-2026-1": 7}, "openssl, 'CVE-2026-1'"),
        ({"../x": {"releases": {}}}, "openssl, '../x'"),
        ({"CVE-2026-1": {"releases": "all"}}, "openssl, 'CVE-2026-1', releases"),
        (
            {"CVE-2026-1": {"releases": {"bookworm": {"status": "resolved"}}}},
            "openssl, 'CVE-2026-1', 'bookworm'",
        ),
        (
            {"CVE-2026-1": {"releases": {"bookworm": {"status": "fine"}}}},
            "openssl, 'CVE-2026-1', 'bookworm', status",
        ),
        (
            {"CVE-2026-1": {"releases": {"bookworm": resolved("1", "dire")}}},
            "openssl, 'CVE-2026-1', 'bookworm', urgency",
        ),
        (
            {"CVE-2026-1": {"releases": {"bookworm": {"status": "resolved", "fixed_version": 7}}}},
            "openssl, 'CVE-2026-1', 'bookworm', fixed_version",
        ),
    ],
)
def test_tracker_when_an_entry_is_something_else_then_names_the_place(
    entry: Any, where: str
) -> None:
    with pytest.raises(MalformedEntry) as caught:
        list(tracked("openssl", entry))

    assert caught.value.where == where


def test_osv_of_ubuntu_then_tells_release_source_and_priority() -> None:
    record = read_osv(
        osv(
            "UBUNTU-CVE-2021-3782",
            within("Ubuntu:Pro:16.04:LTS", "wayland", START, {"fixed": "1.12.0-1+esm1"}),
            within("Ubuntu:22.04:LTS", "wayland", START, {"fixed": "1.20.0-1ubuntu0.1"}),
            upstream=["CVE-2021-3782"],
            severity=[
                {"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:H"},
                {"type": "Ubuntu", "score": "negligible"},
            ],
        )
    )

    (advisory,) = record.advisories
    assert (advisory.cve, advisory.release) == ("CVE-2021-3782", "ubuntu:jammy")
    assert (advisory.package, advisory.affected.fixed) == ("wayland", "1.20.0-1ubuntu0.1")
    assert (advisory.severity, record.severity) == (Severity.INFO, Severity.MEDIUM)
    assert dict(record.left_out) == {"packages of Ubuntu Pro, which needs a subscription": 1}


def test_osv_of_a_notice_then_speaks_of_each_of_its_cves() -> None:
    record = read_osv(
        osv(
            "DSA-3029-1",
            within("Debian:7", "nginx", START, {"fixed": "1.2.1-2.2+wheezy3"}),
            aliases=["CVE-2014-3616", "CVE-2014-3617"],
        )
    )

    assert [(a.cve, a.id, a.release) for a in record.advisories] == [
        ("CVE-2014-3616", "DSA-3029-1", "debian:wheezy"),
        ("CVE-2014-3617", "DSA-3029-1", "debian:wheezy"),
    ]
    related = read_osv(osv("USN-1-1", related=["CVE-2014-1", "USN-2-1", "CVE-2014-3616"]))
    assert related.cves == ("CVE-2014-3616",)


@pytest.mark.parametrize(
    ("events", "ranges"),
    [
        ([START], [AffectedRange()]),
        ([START, {"last_affected": "3"}], [AffectedRange(last_affected="3")]),
        (
            [START, {"fixed": "1"}, {"introduced": "2"}, {"fixed": "3"}],
            [AffectedRange(fixed="1"), AffectedRange(introduced="2", fixed="3")],
        ),
    ],
)
def test_osv_then_each_range_of_the_distribution_counts(
    events: list[dict[str, str]], ranges: list[AffectedRange]
) -> None:
    record = read_osv(osv("DEBIAN-CVE-2026-1", within("Debian:12", "x", *events)))

    assert [advisory.affected for advisory in record.advisories] == ranges


def test_osv_when_a_bound_is_no_version_then_nobody_knows_and_all_are_affected() -> None:
    part = within("Debian:12", "x", START, {"fixed": "soon"})
    (advisory,) = read_osv(osv("DEBIAN-CVE-2026-1", part)).advisories

    assert (advisory.state, advisory.affected) == (FixState.UNDETERMINED, AffectedRange())


@pytest.mark.parametrize(
    "part",
    [
        within("PyPI", "django", START),
        within("Debian", "x", START),
        within("Debian:99", "x", START),
        within("Debian:12", "x", versions=["1", "2"]),
        {
            "package": {"ecosystem": "Debian:12", "name": "x"},
            "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
        },
    ],
)
def test_osv_when_a_part_is_of_no_use_then_it_is_left_out_and_counted(part: Any) -> None:
    record = read_osv(osv("CVE-2026-12345", part))

    assert (record.advisories, sum(record.left_out.values())) == ((), 1)


def test_osv_when_it_was_withdrawn_then_it_says_nothing() -> None:
    part = within("Debian:12", "x", START)
    record = read_osv(osv("CVE-2026-12345", part, withdrawn="2026-01-01T00:00:00Z"))

    assert (record.advisories, dict(record.left_out)) == ((), {"records that were withdrawn": 1})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"id": 7},
        {"id": "x y"},
        osv("CVE-2026-12345", modified="yesterday"),
        osv("CVE-2026-12345", 7),  # type: ignore[arg-type]  # wrong on purpose
        osv("CVE-2026-12345", {"package": "x"}),
        osv("CVE-2026-12345", within("Debian:12", "../x", START)),
        osv("CVE-2026-12345", within("Debian:12", "x", START, START)),
        osv("CVE-2026-12345", severity="high"),
    ],
)
def test_osv_when_it_is_no_record_then_is_refused(document: Any) -> None:
    with pytest.raises(MalformedEntry):
        read_osv(document)


@pytest.mark.parametrize(
    ("kind", "vector", "severity"),
    [
        ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity.CRITICAL),
        ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Severity.INFO),
        ("CVSS_V2", "AV:N/AC:L/Au:N/C:N/I:N/A:P", Severity.MEDIUM),
        (
            "CVSS_V4",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            Severity.CRITICAL,
        ),
        ("CVSS_V3", "CVSS:3.1/nonsense", Severity.UNKNOWN),
    ],
)
def test_vector_then_is_a_severity(kind: str, vector: str, severity: Severity) -> None:
    assert severity_of_vector(kind, vector) is severity


def test_kev_then_tells_since_when_and_of_when_it_is() -> None:
    released, (exploited,) = read_kev(kev("CVE-2026-1001"))

    assert str(released) == "2026-02-25 15:00:00+00:00"
    assert (exploited.cve, exploited.added_on, exploited.is_ransomware) == (
        "CVE-2026-1001",
        "2026-02-24",
        True,
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"cveID": "x"}, "vulnerability 0"),
        ({"cveID": None}, "vulnerability 0"),
        ({"dateAdded": "soon"}, "vulnerability 0, dateAdded"),
    ],
)
def test_kev_when_an_entry_is_malformed_then_names_it(change: Any, where: str) -> None:
    document = kev("CVE-2026-1001")
    document["vulnerabilities"][0].update(change)

    with pytest.raises(MalformedEntry) as caught:
        read_kev(document)

    assert caught.value.where == where


def test_epss_then_tells_scores_and_their_day() -> None:
    lines = epss(CVE_2026_1001=0.25).splitlines(keepends=True)

    assert is_epss(lines[0])
    assert str(scored_on(lines[0])) == "2026-02-27 00:00:00+00:00"
    (scored,) = read_epss(lines)
    assert (scored.cve, scored.epss, scored.percentile) == ("CVE-2026-1001", 0.25, 0.9)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("CVE-2026-1001,nan,0.5", "line 3"),
        ("CVE-2026-1001,1.5,0.5", "line 3"),
        ("CVE-2026-1001,0.5", "line 3"),
        ("x,0.5,0.5", "line 3"),
        ('"CVE', "line 3"),
    ],
)
def test_epss_when_a_line_is_malformed_then_names_it(line: str, where: str) -> None:
    with pytest.raises(MalformedEntry) as caught:
        list(read_epss([*epss().splitlines(), line]))

    assert caught.value.where == where
