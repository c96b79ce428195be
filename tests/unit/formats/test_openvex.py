"""OpenVEX: what is read of others' documents, and what ours say."""

import json
from dataclasses import replace
from typing import Any

import pytest

from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.finding_search import FoundIn
from imagebuilder.domain.image import VersionSummary
from imagebuilder.domain.verdict import FindingState, Judged
from imagebuilder.domain.waiver import Accepted, Justification
from imagebuilder.formats.openvex import (
    VexMalformed,
    VexStatement,
    VexStatus,
    package_of,
    read_openvex,
    statement_of_finding,
    statements_of_waiver,
    write_openvex,
)
from tests.build import SOME_DAY, a_finding, a_version, a_waiver

OURS = VexStatement(
    vulnerability="CVE-2026-1",
    status=VexStatus.NOT_AFFECTED,
    products=("pkg:generic/web@1.0.0%2F1",),
    subcomponents=("pkg:deb/debian/openssl@3.0?arch=source",),
    justification=Justification.CODE_NOT_REACHED,
    impact="nobody calls it",
)


def a_text(*statements: object, **more: object) -> str:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": list(statements)}
    return json.dumps(head | more)


def found(waiver: Any = None, release: str = "debian:bookworm", **more: Any) -> FoundIn:
    judged = Judged(
        finding=a_finding(installed_version="3.0", **more), state=FindingState.OPEN, waiver=waiver
    )
    return FoundIn(reference="web@1.0.0/1", release=release, judged=judged)


def summary(reference: str, release: str) -> VersionSummary:
    version = a_version(reference)
    return VersionSummary(
        id=version.id,
        image=version.image,
        version=version.version,
        created_at=SOME_DAY,
        parent_asked="",
        package_count=0,
        size_bytes=0,
        release=release,
    )


def test_written_when_read_again_then_says_the_same() -> None:
    document = write_openvex([OURS], author="ann", written_at=SOME_DAY)

    assert read_openvex(json.dumps(document)) == (replace(OURS, author="ann"),)
    assert OURS.packages == ("openssl",)


def test_written_when_the_statements_are_the_same_then_so_is_the_id() -> None:
    ids = []
    for author in ("ann", "bob"):
        document = write_openvex([OURS], author=author, written_at=SOME_DAY)
        assert isinstance(document, dict)
        ids.append(document["@id"])

    assert ids[0] == ids[1]


def test_read_when_of_an_older_form_then_plain_names_are_taken() -> None:
    text = a_text(
        {
            "vulnerability": "CVE-2026-1",
            "products": ["pkg:deb/debian/openssl@3.0"],
            "status": "not_affected",
            "justification": "component_not_present",
        },
        {"vulnerability": {"@id": "https://nvd/CVE-2026-2"}, "status": "fixed"},
    )

    first, second = read_openvex(text)

    assert (first.vulnerability, first.packages) == ("CVE-2026-1", ("openssl",))
    assert (second.vulnerability, second.status) == ("https://nvd/CVE-2026-2", VexStatus.FIXED)


@pytest.mark.parametrize(
    ("purl", "name"),
    [
        ("pkg:deb/debian/openssl@3.0?arch=source", "openssl"),
        ("pkg:deb/debian/libstdc%2B%2B6", "libstdc++6"),
        ("pkg:rpm/fedora/openssl@3.0", ""),
        ("openssl", ""),
    ],
)
def test_package_when_of_debian_then_is_named(purl: str, name: str) -> None:
    assert package_of(purl) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "It is no JSON"),
        ("[" * 100_000, "It is no JSON"),
        ("[]", "@context"),
        ('{"@context": "https://cyclonedx.org"}', "@context"),
        (a_text(statements={}), "no list of statements"),
        (a_text("x"), "Statement 1 is no object."),
        (a_text({"status": "fixed"}), "Statement 1 names no vulnerability."),
        (a_text({"vulnerability": "CVE-1", "status": "fine"}), "'fine' is not a valid VexStatus"),
        (
            a_text({"vulnerability": "C", "status": "fixed", "justification": "x"}),
            "not a valid Justification",
        ),
        (a_text(*[1] * 10_001), "10001 statements"),
    ],
)
def test_read_when_it_is_no_such_document_then_says_why(text: str, reason: str) -> None:
    with pytest.raises(VexMalformed) as refused:
        read_openvex(text)

    assert reason in refused.value.context


def test_finding_when_waived_then_only_a_justification_says_it_does_no_harm() -> None:
    harmless = statement_of_finding(found(a_waiver(justification=Justification.MITIGATED)))
    accepted = statement_of_finding(found(a_waiver()))

    assert (harmless.status, harmless.impact) == (VexStatus.NOT_AFFECTED, "not reachable")
    assert harmless.justification is Justification.MITIGATED
    assert accepted.status is VexStatus.AFFECTED
    assert accepted.action == "Accepted until 2026-03-31 12:30:15Z: not reachable"
    assert accepted.products == OURS.products
    assert accepted.subcomponents == OURS.subcomponents


def test_finding_when_not_waived_then_says_what_to_do() -> None:
    assert statement_of_finding(found(fixed_version="3.1")).action == "Update openssl to 3.1."
    assert statement_of_finding(found()).action == "No fix is published."
    undecided = statement_of_finding(found(is_undecided=True))
    assert (undecided.status, undecided.action) == (VexStatus.UNDER_INVESTIGATION, "")


def test_waiver_when_told_then_names_the_versions_it_is_for() -> None:
    accepted = Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1", within="openssl")

    versions = [summary(f"web@1.0.0/{n}", "debian:bookworm") for n in (1, 2)]
    (statement,) = statements_of_waiver(a_waiver(accepted), versions)

    assert statement.products == ("pkg:generic/web@1.0.0%2F1", "pkg:generic/web@1.0.0%2F2")
    assert statement.subcomponents == ("pkg:deb/debian/openssl?arch=source",)
    assert statement.status is VexStatus.AFFECTED


@pytest.mark.parametrize(
    ("release", "purl"),
    [
        ("ubuntu:noble", "pkg:deb/ubuntu/openssl@3.0?arch=source"),
        ("unknown", "pkg:deb/openssl@3.0?arch=source"),
    ],
)
def test_finding_when_of_another_distribution_then_the_package_is_named_as_its(
    release: str, purl: str
) -> None:
    statement = statement_of_finding(found(release=release))

    assert statement.subcomponents == (purl,)
    assert statement.packages == ("openssl",)


def test_waiver_when_versions_are_of_two_distributions_then_each_has_a_statement() -> None:
    accepted = Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1", within="openssl")
    versions = [
        summary("web@1.0.0/1", "debian:bookworm"),
        summary("edge@1.0.0/1", "ubuntu:noble"),
        summary("web@1.0.0/2", "debian:trixie"),
    ]

    told = statements_of_waiver(a_waiver(accepted), versions)
    (anywhere,) = statements_of_waiver(
        a_waiver(Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1")), versions
    )

    assert [(each.subcomponents, len(each.products)) for each in told] == [
        (("pkg:deb/debian/openssl?arch=source",), 2),
        (("pkg:deb/ubuntu/openssl?arch=source",), 1),
    ]
    assert (anywhere.subcomponents, len(anywhere.products)) == ((), 3)


def test_waiver_when_there_is_no_version_yet_then_its_package_is_of_no_distribution() -> None:
    accepted = Accepted(kind=FindingKind.VULNERABILITY, id="CVE-2026-1", within="openssl")

    (statement,) = statements_of_waiver(a_waiver(accepted), [])

    assert statement.products == ()
    assert statement.subcomponents == ("pkg:deb/openssl?arch=source",)
