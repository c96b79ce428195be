"""`imagebuilder compliance show|report|trend`, and where else scans are seen."""

import json
from base64 import b64decode
from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.control import Assessment, ControlOutcome
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.waiver import Accepted
from tests.build import a_control, a_draft, a_waiver, an_assessment
from tests.functional.conftest import Cli

CIS = "cis_level1_server"
RESULTS = (
    a_control("a_passes"),
    a_control("b_fails", ControlOutcome.FAIL, Severity.MEDIUM, controls=("5.1.20",)),
    a_control("c_fails", ControlOutcome.FAIL, Severity.HIGH, title="<b>C</b>", evidence="0777"),
    a_control("d_errs", ControlOutcome.ERROR, Severity.LOW),
    a_control("e_is_absent", ControlOutcome.NOT_APPLICABLE),
)


def record(cli: Cli, *assessments: Assessment, version: str = "1.2.0") -> None:
    cli.application().cataloguing.record(a_draft("web", version, assessments=assessments))


@pytest.fixture
def scanned(cli: Cli) -> Cli:
    """Give the command line over a version that was scanned twice, one rule of which is waived."""
    application = cli.application()
    page = application.blobs.put(b"<html>the engine's page</html>")
    own = an_assessment(
        a_control("ACME-1", ControlOutcome.FAIL, Severity.LOW, title="<i>One</i>"),
        profile="acme",
        benchmark="acme@1",
        report=None,
        raw=None,
    )
    record(cli, an_assessment(*RESULTS, report=page, raw=None), own)
    accepted = Accepted(kind=FindingKind.CONTROL, id="b_fails", within="DEBIAN-12")
    at = application.clock.now() - timedelta(days=1)
    application.waivers.add(a_waiver(accepted, at=at))
    return cli


def test_show_then_tells_each_rule_what_is_against_it_first(scanned: Cli) -> None:
    told = scanned("compliance", "show", "web", "--profile", CIS).stdout.splitlines()

    assert told[0] == f"web@1.2.0/1, scanned for {CIS}"
    assert told[3] == (
        "rules      1 passed, 2 failed, 1 could not be judged, 1 not applicable; "
        "60% of 5 judged (1 of them waived)"
    )
    rows = [line.split("\t") for line in told[5:]]
    assert [row[:3] for row in rows] == [
        ["fail", "high", "c_fails"],
        ["fail", "medium", "b_fails"],
        ["error", "low", "d_errs"],
        ["pass", "high", "a_passes"],
        ["notapplicable", "high", "e_is_absent"],
    ]
    assert [bool(row[4]) for row in rows] == [False, True, False, False, False]
    assert rows[1][3] == "5.1.20"


def test_show_when_only_what_failed_is_asked_for_then_leaves_out_the_rest(scanned: Cli) -> None:
    cis, own = scanned.json("compliance", "show", "web", "--failed")["scans"]

    assert [rule["rule"] for rule in cis["rules"]] == ["c_fails", "b_fails", "d_errs"]
    assert [rule["waiver"] for rule in cis["rules"]] == [None, "waiver-1", None]
    assert cis["counts"]["notapplicable"] == 1
    assert (cis["coverage"], own["profile"]) == (0.6, "acme")
    assert cis["rules"][0]["evidence"] == "0777"


@pytest.mark.parametrize("verb", ["show", "trend"])
def test_scans_when_there_are_none_then_says_how_to_get_some(cli: Cli, verb: str) -> None:
    record(cli)

    error = cli.error("compliance", verb, "web")

    assert (error["exit"], error["code"]) == (3, "not-scanned")
    assert "compliance: {profile: NAME}" in error["hint"]


def test_scans_when_there_is_no_such_profile_then_names_those_there_are(scanned: Cli) -> None:
    for verb in ("show", "trend"):
        error = scanned.error("compliance", verb, "web", "--profile", "other")
        assert error["context"] == f"It was scanned for {CIS}, acme."


def test_report_then_is_the_page_that_was_kept(scanned: Cli, tmp_path: Path) -> None:
    file = tmp_path / "page.html"

    told = scanned.json("compliance", "report", "web", "--profile", CIS, "--html", file)

    assert (told["path"], told["profile"]) == (str(file), CIS)
    assert file.read_bytes() == b"<html>the engine's page</html>"
    again = scanned.error("compliance", "report", "web", "--profile", CIS, "--html", file)
    assert again["code"] == "file-there"
    unclear = scanned.error("compliance", "report", "web", "--html", file)
    assert (unclear["exit"], unclear["code"]) == (2, "profile-unclear")


def test_report_when_of_own_controls_then_is_a_page_of_ours(scanned: Cli, tmp_path: Path) -> None:
    file = tmp_path / "page.html"

    scanned("compliance", "report", "web", "--profile", "acme", "--html", file)

    page = file.read_text()
    assert "ACME-1" in page
    assert "&lt;i&gt;One&lt;/i&gt;" in page


def test_trend_then_tells_the_newest_first_and_what_changed(scanned: Cli) -> None:
    mended = a_control("c_fails"), a_control("a_passes", ControlOutcome.FAIL)
    record(scanned, an_assessment(*mended))

    newer, older = scanned.json("compliance", "trend", "web", "--profile", CIS)
    rows = scanned("compliance", "trend", "web", "--profile", CIS).stdout.splitlines()

    assert (newer["reference"], older["reference"]) == ("web@1.2.0/2", "web@1.2.0/1")
    assert (newer["newly_failing"], newer["mended"]) == (["a_passes"], ["c_fails"])
    assert newer["lost"] == ["b_fails"]
    assert rows[0].split("\t") == [
        *("web@1.2.0/2", CIS, "1", "1", "0", "100%"),
        "fails a_passes mended c_fails lost b_fails",
    ]
    assert len(scanned.json("compliance", "trend", "web", "--limit", "1")) == 1


def test_version_when_shown_then_tells_its_scans(scanned: Cli) -> None:
    told = scanned("image", "show", "web").stdout
    page = scanned("image", "report", "web").stdout

    assert f"{CIS}: 1 passed, 2 failed, 1 could not be judged" in told
    assert [each["profile"] for each in scanned.json("image", "show", "web")["assurance"]["scans"]]
    for said in ("ssg-debian12 0.1.82", "c_fails", "60% of 5 judged", "&lt;b&gt;C&lt;/b&gt;"):
        assert said in page


def test_compliance_when_a_version_is_signed_then_is_stated_rule_by_rule(
    scanned: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "images.key"
    scanned("key", "generate", key, "--no-passphrase")
    monkeypatch.setenv("IMAGEBUILDER_SIGNING_KEY", f"file:{key}")

    scanned.json("image", "attest", "web")
    scanned("image", "attestations", "web", "--output", tmp_path)

    (bundle,) = (json.loads(f.read_text()) for f in tmp_path.glob("*compliance*"))
    statement = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicateType"] == "urn:imagebuilder:predicate:compliance:v1"
    cis, own = statement["predicate"]["scans"]
    assert statement["predicate"]["result"] == "FAILED"
    assert cis["rules"]["fail"] == ["b_fails", "c_fails"]
    assert cis["content"]["digest"]["sha256"] == an_assessment().content_digest.hex
    assert ("report" in cis, "report" in own) == (True, False)


def test_catalogue_when_versions_were_scanned_then_is_sound_and_comes_back_from_a_backup(
    scanned: Cli, tmp_path: Path
) -> None:
    before = scanned.json("compliance", "show", "web")
    told = scanned("catalogue", "check").stdout
    scanned("catalogue", "backup", tmp_path / "backup")

    scanned("catalogue", "restore", tmp_path / "backup", "--force")

    assert "assess" not in told
    assert "result of a scan" not in told
    assert scanned.json("compliance", "show", "web") == before
