"""`imagebuilder advisory`, and what becomes known of versions by it."""

from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.image import ImageVersion
from tests.advisory_files import kev, resolved, tracker, unfixed, write_json
from tests.build import a_bill, a_draft, a_package, a_parent
from tests.functional.conftest import Cli

OPENSSL = a_package("libssl3", "3.0.15-1~deb12u1", source="openssl")
FIXED = "3.0.16-1~deb12u1"
CLEAN = tracker(bash={"CVE_2026_1000": {"bookworm": resolved("5.1-1")}})
VULNERABLE = tracker(
    openssl={"CVE_2026_1001": {"bookworm": resolved(FIXED, "high"), "trixie": resolved("0")}},
    zlib={"CVE_2026_1002": {"bookworm": unfixed(nodsa="Minor issue")}},
)


@pytest.fixture
def fleet(stored: Cli) -> Cli:
    """Give the command line over a base, a version built on it, and ones nobody can judge."""
    record(stored, "base", packages=(OPENSSL,))
    base = stored.application().versions.newest("base")  # type: ignore[arg-type]  # a plain name
    assert base is not None
    child = (OPENSSL, a_package("curl", "8.1"))
    record(stored, "web", packages=child, parent=a_parent(base.id, asked="image:base"))
    record(stored, "fedora", bill=a_bill("fedora:43"))
    record(stored, "old", bill=None)
    return stored


def record(cli: Cli, image: str, **more: Any) -> ImageVersion:
    return cli.application().cataloguing.record(a_draft(image, **{"bill": a_bill(), **more}))


def imported(cli: Cli, document: Any, name: str = "debian.json", *more: str) -> Any:
    path = write_json(cli.folder / "mirror" / name, document)
    return cli.json("advisory", "update", "--from", path, *more)


def test_story_when_a_version_was_clean_and_an_advisory_comes(fleet: Cli) -> None:
    imported(fleet, CLEAN)
    assert fleet.json("advisory", "rescan")["changes"] == []
    fleet("channel", "gate", "web@stable", "--fail-on", "high", "--only-fixable")
    assert fleet("gate", "check", "web", "--channel", "stable").exit_code == 0

    imported(fleet, VULNERABLE)
    outmoded = fleet("gate", "check", "web", "--channel", "stable")
    assert outmoded.exit_code == 4
    assert "imagebuilder advisory rescan" in outmoded.stdout
    changes = fleet.json("advisory", "rescan")["changes"]

    told = [(change["versions"], [v["cve"] for v in change["new"]]) for change in changes]
    assert told == [(["base@1.2.0/1"], ["CVE-2026-1001"]), (["web@1.2.0/1"], ["CVE-2026-1001"])]
    assert changes[0]["new"][0]["fixed_version"] == FIXED
    found = fleet.json("image", "find", "--cve", "cve-2026-1001")
    assert [each["reference"] for each in found] == ["base@1.2.0/1", "web@1.2.0/1"]
    assert found[0]["matched"] == [
        {"name": "openssl", "version": "3.0.15-1~deb12u1", "architecture": "source"}
    ]
    refused = fleet.error("channel", "set", "web@1.2.0/1", "stable")
    assert (refused["exit"], refused["code"]) == (4, "gate-refused")
    assert (
        f"CVE-2026-1001 in openssl 3.0.15-1~deb12u1: high, fixed in {FIXED}." in refused["context"]
    )
    (listed,) = fleet.json("finding", "list", "web", "--severity", "high")
    assert listed["id"] == "CVE-2026-1001"


def test_gate_of_what_is_exploited_when_that_is_missing_or_old_then_refuses(fleet: Cli) -> None:
    fleet("channel", "gate", "web@stable", "--known-exploited")
    fleet("channel", "gate", "web@beta", "--fail-on", "critical")
    imported(fleet, VULNERABLE, "debian.json", "--rescan")
    released = fleet.application().clock.now().isoformat()

    missing = fleet.error("channel", "set", "web@1.2.0/1", "stable")["context"]
    imported(fleet, kev("CVE-2026-1009"), "kev.json", "--rescan")
    old = fleet.error("channel", "set", "web@1.2.0/1", "stable")["context"]
    imported(fleet, kev("CVE-2026-1009", released=released), "kev.json", "--rescan")

    assert "no list of what is exploited (KEV) was imported." in missing
    assert "the list of what is exploited (KEV) is " in old
    assert fleet("channel", "set", "web@1.2.0/1", "stable").exit_code == 0
    imported(fleet, VULNERABLE, "debian.json", "--rescan", "--fresh")
    assert fleet("channel", "set", "web@1.2.0/1", "beta").exit_code == 0


def test_versions_that_nobody_can_judge_then_are_unknown_and_never_pass(fleet: Cli) -> None:
    imported(fleet, CLEAN)
    unknown = fleet.json("advisory", "rescan")["unknown"]

    assert unknown == {"releases": {"fedora:43": 1}, "without_bill": ["old@1.2.0/1"]}
    for image, reason in (("fedora", "say nothing of fedora:43"), ("old", "it has no bill")):
        fleet("channel", "gate", f"{image}@stable", "--fail-on", "critical")
        refused = fleet.error("channel", "set", f"{image}@1.2.0/1", "stable")
        assert refused["exit"] == 4
        assert reason in refused["context"]
    status = fleet("advisory", "status")
    assert "nothing is known of 2 versions" in status.stderr


def test_find_by_cve_when_advisories_know_it_and_no_version_has_it_then_finds_none(
    fleet: Cli,
) -> None:
    imported(fleet, VULNERABLE)
    fleet("advisory", "rescan")

    found = fleet("image", "find", "--cve", "CVE-2026-1002")

    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr.startswith("2 versions could not be checked by advisories: ")


def test_rescan_when_only_to_look_then_says_what_it_would_find(fleet: Cli) -> None:
    imported(fleet, VULNERABLE)

    told = fleet("advisory", "rescan", "--dry-run")

    assert told.exit_code == 0
    assert told.stdout == (
        "base@1.2.0/1 (first look)\n"
        f"  + CVE-2026-1001 in openssl (high, fixed in {FIXED})\n"
        "web@1.2.0/1 (first look)\n"
        f"  + CVE-2026-1001 in openssl (high, fixed in {FIXED})\n"
        "looked at 3 sets of packages, 0 were looked at with these advisories before\n"
        "unknown: 1 version of fedora:43, of which these advisories say nothing\n"
        "unknown: 1 version without a bill: old@1.2.0/1\n"
    )
    assert fleet.json("finding", "list", "web") == []


def test_update_with_rescan_then_does_both_and_kev_is_told(fleet: Cli) -> None:
    imported(fleet, VULNERABLE)
    told = imported(fleet, kev("CVE-2026-1001"), "kev.json", "--rescan")

    assert [source["feed"] for source in told["sources"]] == ["debian-tracker", "kev"]
    new = [v for change in told["rescan"]["changes"] for v in change["new"]]
    assert {v["is_known_exploited"] for v in new} == {True}
    shown = fleet("advisory", "show", "cve-2026-1001")
    assert shown.stdout.splitlines()[1] == "exploited  known since 2026-02-24, by ransomware too"
    assert "debian:trixie\topenssl\tnot-affected\tunknown\tdebian-tracker" in shown.stdout
    assert fleet.json("advisory", "show", "CVE-2026-1001")["is_known_exploited"]


@pytest.mark.parametrize(
    ("arguments", "exit_status", "code"),
    [
        (("advisory", "status"), 3, "advisories-missing"),
        (("advisory", "rescan"), 3, "advisories-missing"),
        (("advisory", "show", "CVE-2026-1"), 3, "advisories-missing"),
        (("advisory", "update", "--from", "gone.json"), 2, "advisory-file-unreadable"),
        (("advisory", "update", "--from", "https://x.org/json"), 2, "advisory-file-unreadable"),
        (("advisory", "update", "--from", "broken.json"), 2, "advisory-file-malformed"),
        (("advisory", "update", "--from", "empty.json"), 2, "advisories-empty"),
        (("image", "find", "--cve", "CVE-2026-1"), 3, "cve-unknown"),
    ],
)
def test_bad_input_then_says_what_to_do(
    cli: Cli, arguments: tuple[str, ...], exit_status: int, code: str
) -> None:
    cli.write("broken.json", '{"openssl": ')
    cli.write("empty.json", "{}")

    error = cli.error(*arguments)

    assert (error["exit"], error["code"]) == (exit_status, code)
    assert error["hint"]


def test_show_when_nobody_speaks_of_it_then_says_that_nothing_is_known(cli: Cli) -> None:
    imported(cli, CLEAN)

    assert cli.error("advisory", "show", "CVE-2026-9")["code"] == "cve-unknown"


def test_advisories_when_damaged_then_says_how_to_mend_it_and_nothing_is_known(cli: Cli) -> None:
    record(cli, "web")
    imported(cli, CLEAN)
    cli("advisory", "rescan")
    cli("channel", "gate", "web@stable", "--fail-on", "high")
    Path(cli.home, "advisories/advisories.db").write_bytes(b"x" * 5000)

    for words in (("advisory", "status"), ("advisory", "rescan"), ("advisory", "show", "CVE-1")):
        error = cli.error(*words)
        assert (error["exit"], error["code"]) == (3, "advisories-damaged")
    refused = cli.error("channel", "set", "web@1.2.0/1", "stable")
    assert "cannot be read" in refused["context"]
    assert cli("image", "show", "web").exit_code == 0
