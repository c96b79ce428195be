"""`imagebuilder waiver` in text and JSON, on both databases."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from tests.build import a_bill, a_draft
from tests.functional.conftest import Cli

RULE = "xccdf_org.ssgproject.content_rule_sshd_set_idle_timeout"
BENCHMARK = "xccdf_org.ssgproject.content_benchmark_DEBIAN-12"


@pytest.fixture
def web(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line, as bob, over a catalogue that holds a version of web."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    stored.application().cataloguing.record(a_draft("web", "1.2.0", bill=a_bill("ubuntu:noble")))
    return stored


def words(finding: str = "CVE-2026-1", **more: str) -> list[str]:
    """Give what is typed to waive a finding."""
    options = {
        "image": "web",
        "expires": "30d",
        "reason": "not reachable",
        "ticket": "SEC-1",
        "owner": "ann",
    } | more
    return [
        "waiver", "add", finding,
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]  # fmt: skip


def added(cli: Cli, finding: str = "CVE-2026-1", **more: str) -> dict[str, Any]:
    (told,) = cli.json(*words(finding, **more))
    assert isinstance(told, dict)
    return told


def test_add_then_it_is_kept_shown_and_audited(web: Cli) -> None:
    told = added(web, versions="1.x")

    shown = web.json("waiver", "show", told["id"])
    assert {key: told[key] for key in shown} == shown
    assert (shown["state"], shown["kind"], shown["approver"]) == ("active", "vulnerability", "bob")
    assert web.json("waiver", "list") == [shown]
    (entry,) = web.application().audit.entries(AuditQuery(action=AuditAction.WAIVER_ADDED))
    assert (entry.subject, entry.act.actor, entry.act.why) == (told["id"], "bob", "not reachable")
    assert isinstance(entry.after, dict)
    assert (entry.after["owner"], entry.after["approver"]) == ("ann", "bob")


def test_add_when_no_version_has_it_then_warns_and_keeps_it(web: Cli) -> None:
    result = web(*words())

    assert result.exit_code == 0
    assert "warning: no version of web that is in use has CVE-2026-1 now" in result.stderr
    assert not web.json(*words(), "--dry-run")[0]["is_found"]


def test_add_when_rehearsed_then_nothing_is_kept(web: Cli) -> None:
    result = web(*words(), "--dry-run")

    assert "CVE-2026-1 would be accepted for web until" in result.stdout
    assert web.json("waiver", "list", "--all") == []
    assert not web.application().audit.entries(AuditQuery(action=AuditAction.WAIVER_ADDED))


@pytest.mark.parametrize(
    ("finding", "more", "code"),
    [
        (BENCHMARK, {"benchmark": BENCHMARK}, "waiver-too-wide"),
        ("cis", {"benchmark": "cis"}, "waiver-too-wide"),
        ("*", {"benchmark": "cis"}, "waiver-too-wide"),
        ("CVE-2026-*", {}, "waiver-too-wide"),
        ("CVE-2026-1", {"image": "*"}, "waiver-too-wide"),
        ("CVE-2026-1", {"owner": "bob"}, "waiver-self-approved"),
        ("CVE-2026-1", {"owner": "Bob", "approver": "bob"}, "waiver-self-approved"),
        ("CVE-2026-1", {"expires": "2020-01-01"}, "waiver-expired"),
        ("CVE-2026-1", {"expires": "91d"}, "waiver-too-long"),
        ("CVE-2026-1", {"expires": "soon"}, "moment-malformed"),
        ("CVE-2026-1", {"expires": "99999999w"}, "moment-malformed"),
        ("CVE-2026-1", {"approver": "uid 1000"}, "approver-unknown"),
        ("CVE-2026-1", {"reason": ""}, "waiver-incomplete"),
        ("CVE-2026-1", {"ticket": " "}, "waiver-incomplete"),
        ("CVE-2026-1", {"versions": "latest"}, "waiver-incomplete"),
        (RULE, {}, "waiver-unclear"),
        (RULE, {"benchmark": "cis", "stage": "booted"}, "waiver-unclear"),
    ],
)
def test_add_when_it_must_not_be_then_says_so_and_keeps_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, finding: str, more: dict[str, str], code: str
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")

    error = cli.error(*words(finding, **more))

    assert (error["exit"], error["code"]) == (2, code)
    assert error["hint"]
    assert cli.json("waiver", "list", "--all") == []


def test_add_when_the_policy_allows_more_then_lasts_longer(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    monkeypatch.setenv("IMAGEBUILDER_WAIVER_MAX_DAYS", "365")

    assert added(cli, expires="365d")["state"] == "active"


@pytest.mark.parametrize("days", ["0", "-1", "many", "1.5", "99999"])
def test_policy_when_it_makes_no_sense_then_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_WAIVER_MAX_DAYS", days)

    assert cli.error("waiver", "list")["code"] == "setting-malformed"


def test_revoke_then_counts_no_more_stays_on_record_and_is_audited(web: Cli) -> None:
    told = added(web)

    revoked = web.json("waiver", "revoke", told["id"][:12], "--why", "mended")

    assert (revoked["state"], revoked["revoked_by"]) == ("revoked", "bob")
    assert web.json("waiver", "list") == []
    assert [each["state"] for each in web.json("waiver", "list", "--all")] == ["revoked"]
    (entry,) = web.application().audit.entries(AuditQuery(action=AuditAction.WAIVER_REVOKED))
    assert (entry.subject, entry.act.why) == (told["id"], "mended")
    again = web.error("waiver", "revoke", told["id"])
    assert (again["exit"], again["code"]) == (3, "waiver-over")


def test_revoke_when_rehearsed_then_it_still_counts(web: Cli) -> None:
    told = added(web)

    assert web.json("waiver", "revoke", told["id"], "--dry-run")["state"] == "active"
    assert len(web.json("waiver", "list")) == 1


def test_list_when_asked_then_gives_those_that_end_first(web: Cli) -> None:
    for days in ("30d", "5d", "60d"):
        added(web, expires=days)
    added(web, "CVE-2026-2", image="db", expires="1d")

    assert len(web.json("waiver", "list", "--image", "web")) == 3
    assert len(web.json("waiver", "list", "--finding", "CVE-2026-2")) == 1
    soon = web.json("waiver", "list", "--expiring", "14d")
    assert [each["image"] for each in soon] == ["db", "web"]


def test_show_when_unknown_or_several_then_says_so(web: Cli) -> None:
    for _ in range(2):
        added(web)

    assert web.error("waiver", "show", "waiver-9")["code"] == "waiver-not-found"
    assert web.error("waiver", "show", "waiver-")["code"] == "waiver-ambiguous"


def a_vex(**more: object) -> str:
    statement = {
        "vulnerability": {"name": "CVE-2026-1"},
        "products": [{"@id": "pkg:deb/debian/openssl@3.0?arch=source"}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "nobody calls it",
    } | more
    other = {"vulnerability": "CVE-2026-2", "status": "affected", "action_statement": "wait"}
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "Example Ltd"}
    return json.dumps({**head, "statements": [statement, other]})


def from_file(file: Path, **more: str) -> list[str]:
    options = {"from": str(file), "image": "web", "expires": "30d", "owner": "ann"} | more
    return ["waiver", "add", *(w for n, v in options.items() for w in (f"--{n}", v))]


def test_from_a_document_then_what_does_no_harm_is_accepted_and_exported_again(web: Cli) -> None:
    file = web.write("vex.json", a_vex())

    result = web(*from_file(file, ticket="SEC-1"))

    assert result.exit_code == 0, result.stderr
    assert "left out: CVE-2026-2 is affected" in result.stderr
    (told,) = web.json("waiver", "list")
    assert (told["finding"], told["within"]) == ("CVE-2026-1", "openssl")
    assert told["reason"] == "nobody calls it (said by Example Ltd)"
    assert told["justification"] == "vulnerable_code_not_in_execute_path"
    added(web, "CVE-2026-3")
    exported = json.loads(web("waiver", "export", "--image", "web").stdout)
    assert [each["status"] for each in exported["statements"]] == ["not_affected", "affected"]
    assert exported["statements"][0]["products"] == [
        {
            "@id": "pkg:generic/web@1.2.0%2F1",
            "subcomponents": [{"@id": "pkg:deb/ubuntu/openssl?arch=source"}],
        }
    ]


@pytest.mark.parametrize(
    ("text", "more", "code"),
    [
        (a_vex(), {}, "waiver-incomplete"),
        (a_vex(), {"ticket": "S", "owner": "bob"}, "waiver-self-approved"),
        (a_vex(), {"ticket": "S", "expires": "2020-01-01"}, "waiver-expired"),
        (a_vex(), {"ticket": "S", "image": "*"}, "waiver-too-wide"),
        (
            a_vex(impact_statement="", justification=None),
            {"ticket": "S", "owner": "ann"},
            "waiver-incomplete",
        ),
        ("{}", {"ticket": "S"}, "vex-malformed"),
        ("{", {"ticket": "S"}, "vex-malformed"),
    ],
)
def test_from_a_document_when_one_may_not_be_then_none_is_kept(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, text: str, more: dict[str, str], code: str
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    file = cli.write("vex.json", text)

    error = cli.error(*from_file(file, **more))

    assert (error["exit"], error["code"]) == (2, code)
    assert cli.json("waiver", "list", "--all") == []


def test_add_when_it_is_not_said_what_then_says_so(cli: Cli) -> None:
    rest = ["--image", "web", "--expires", "1d"]

    assert cli.error("waiver", "add", *rest)["code"] == "waiver-of-what"
    assert cli.error("waiver", "add", "CVE-1-1", "--from", "x", *rest)["code"] == "waiver-of-what"
    assert cli.error("waiver", "add", "--from", "gone", *rest)["code"] == "document-unreadable"


def test_justification_when_of_no_vulnerability_then_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    why = {"justification": "component_not_present"}

    error = cli.error(*words(RULE, benchmark="cis", **why))

    assert error["code"] == "waiver-incomplete"
    assert f"{RULE} of cis" in error["message"]
    assert added(cli, **why)["justification"] == "component_not_present"
    assert "component_not_present" in cli("waiver", "show", "waiver-").stdout


def test_backup_when_put_back_then_waivers_are_there_and_sound(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    told = added(cli)
    file = cli.folder / "backup"

    assert cli("catalogue", "backup", str(file)).exit_code == 0
    cli("waiver", "revoke", told["id"])
    assert cli("catalogue", "restore", str(file), "--force").exit_code == 0

    assert cli.json("waiver", "show", told["id"])["state"] == "active"
    assert cli("catalogue", "check").exit_code == 0


def test_check_when_a_waiver_was_tampered_with_then_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "bob")
    told = added(cli)
    with closing(sqlite3.connect(cli.home / "catalogue.db")) as database, database:
        database.execute("UPDATE waivers SET approver = owner")

    result = cli("catalogue", "check")

    assert result.exit_code == 70
    assert f"waivers {told['id']}" in result.stdout
    assert "Who owns it approved it." in result.stdout
