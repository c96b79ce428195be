"""`imagebuilder image revoke` and `image restore` in text and JSON, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from tests.build import a_draft, a_parent
from tests.functional.conftest import Cli

BASE, OLD, NEW, APP = "base@1.0.0/1", "web@1.2.0/1", "web@1.2.1/1", "app@1.0.0/1"


@pytest.fixture
def family(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line over app on the newer web on base, beside an older web on nothing."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "ann")
    record = stored.application().cataloguing.record

    base = record(a_draft("base", "1.0.0"))
    record(a_draft("web", "1.2.0"))
    web = record(a_draft("web", "1.2.1", parent=a_parent(base.id, asked="image:base@1.x")))
    record(a_draft("app", "1.0.0", parent=a_parent(web.id, asked="image:web@stable")))
    for version in (OLD, NEW):
        assert stored("channel", "set", version, "stable").exit_code == 0
    return stored


def states(cli: Cli) -> dict[str, str]:
    return {name: cli.json("image", "show", name)["state"] for name in (BASE, OLD, NEW, APP)}


def test_revoke_then_reaches_descendants_and_channels_fall_back(family: Cli) -> None:
    told = family.json("image", "revoke", BASE, "--message", "bad openssl", "--yes")

    assert told["versions"] == [BASE, NEW, APP]
    assert told["channels"] == [
        {"channel": "app@latest", "from": APP, "to": None},
        {"channel": "base@latest", "from": BASE, "to": None},
        {"channel": "web@latest", "from": NEW, "to": OLD},
        {"channel": "web@stable", "from": NEW, "to": OLD},
    ]
    assert states(family) == {BASE: "revoked", OLD: "active", NEW: "revoked", APP: "revoked"}
    shown = family.json("image", "show", APP)["revocation"]
    assert (shown["reference"], shown["is_inherited"]) == (BASE, True)
    assert (shown["revoked_by"], shown["message"]) == ("ann", "bad openssl")
    (entry,) = family.application().audit.entries(AuditQuery(action=AuditAction.VERSION_REVOKED))
    assert (entry.subject, entry.act.why) == (BASE, "bad openssl")


def test_show_in_text_then_says_who_revoked_what(family: Cli) -> None:
    assert family("image", "revoke", BASE, "--message", "bad openssl", "--yes").exit_code == 0

    shown = family("image", "show", NEW).stdout

    assert "state     revoked\n" in shown
    assert f"by ann, inherited from {BASE}: bad openssl" in shown
    assert "channels  stable" in family("image", "show", OLD).stdout.replace("latest, ", "")


def test_restore_then_versions_are_usable_and_the_channel_stays(family: Cli) -> None:
    assert family("image", "revoke", BASE, "--message", "bad", "--yes").exit_code == 0

    told = family.json("image", "restore", BASE, "--message", "false alarm")

    assert told["versions"] == [BASE, NEW, APP]
    assert set(states(family).values()) == {"active"}
    assert family.json("channel", "show", "web@stable")["version"] == OLD
    assert family("channel", "rollback", "web@stable", "--to", NEW).exit_code == 0
    (entry,) = family.application().audit.entries(AuditQuery(action=AuditAction.VERSION_RESTORED))
    assert (entry.subject, entry.act.why) == (BASE, "false alarm")


def test_dry_run_then_tells_all_and_changes_nothing(family: Cli) -> None:
    assert family("placement", "add", APP, "--target", "aws:1/eu", "--id", "ami-1").exit_code == 0
    before = len(family.application().audit.entries(AuditQuery()))

    told = family.json("image", "revoke", BASE, "--message", "bad", "--dry-run")

    assert told["dry_run"] is True
    assert told["version_count"] == 3
    assert told["placements"] == [{"reference": APP, "target": "aws:1/eu", "id": "ami-1"}]
    assert set(states(family).values()) == {"active"}
    assert len(family.application().audit.entries(AuditQuery())) == before


def test_revoke_when_it_reaches_others_and_nobody_can_be_asked_then_is_refused(
    family: Cli,
) -> None:
    error = family.error("image", "revoke", BASE, "--message", "bad")

    assert (error["exit"], error["code"]) == (4, "confirmation-missing")
    assert "3 versions" in error["context"]
    assert set(states(family).values()) == {"active"}


def test_revoke_when_it_reaches_nothing_else_then_needs_no_yes(family: Cli) -> None:
    assert family("image", "revoke", APP, "--message", "bad").exit_code == 0

    assert states(family)[APP] == "revoked"


def test_revoke_when_told_to_leave_descendants_and_channels_then_does(family: Cli) -> None:
    told = family.json(
        "image", "revoke", NEW, "--message", "bad", "--no-descendants", "--no-rollback", "--yes"
    )

    assert told["versions"] == [NEW]
    assert {"channel": "web@stable", "from": NEW, "to": NEW} in told["channels"]
    assert states(family)[APP] == "active"
    assert family.json("channel", "show", "web@stable")["state"] == "revoked"


def test_revoke_when_later_then_is_scheduled_and_can_be_made_earlier(family: Cli) -> None:
    later = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    said = family("image", "revoke", BASE, "--message", "ends", "--at", later, "--yes")
    assert said.exit_code == 0, said.stderr
    assert said.stdout.startswith(f"{BASE} will be revoked as of ")
    assert set(states(family).values()) == {"active", "revocation-scheduled"}

    again = family.error("image", "revoke", BASE, "--message", "ends", "--in", "50d")
    assert (again["exit"], again["code"]) == (3, "already-revoked")
    sooner = family("image", "revoke", BASE, "--message", "ends", "--in", "30d", "--yes")
    assert sooner.exit_code == 0, sooner.stderr
    moment = family.json("image", "show", NEW)["revocation"]["in_force_at"]
    assert datetime.fromisoformat(moment) < datetime.now(UTC) + timedelta(days=31)
    assert family("image", "revoke", BASE, "--message", "now", "--yes").exit_code == 0
    assert states(family)[NEW] == "revoked"
    assert family("image", "restore", BASE, "--message", "sorry").exit_code == 0
    assert set(states(family).values()) == {"active"}


def test_restore_when_inherited_then_says_where_from(family: Cli) -> None:
    assert family("image", "revoke", BASE, "--message", "bad", "--yes").exit_code == 0

    error = family.error("image", "restore", APP, "--message", "mine is good")

    assert (error["exit"], error["code"]) == (3, "revocation-inherited")
    assert BASE in error["message"]
    assert "ann revoked" in error["context"]
    assert f"imagebuilder image restore {BASE}" in error["hint"]


@pytest.mark.parametrize("family", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["revoke", APP, "--message", " "], 2, "message-missing"),
        (["restore", APP, "--message", ""], 2, "message-missing"),
        (["revoke", APP, "--message", "x", "--at", "2020-01-01"], 2, "revocation-misdated"),
        (["revoke", APP, "--message", "x", "--at", "soon"], 2, "moment-malformed"),
        (["revoke", APP, "--message", "x", "--in", "soon"], 2, "duration-malformed"),
        (["revoke", APP, "--message", "x", "--in", "999999999999d"], 2, "duration-malformed"),
        (["revoke", APP, "--message", "x", "--in", "1d", "--at", "2030-01-01"], 2, "moment-twice"),
        (["revoke", "gone", "--message", "x"], 3, "version-not-found"),
        (["restore", APP, "--message", "x"], 3, "not-revoked"),
        (["revoke", "app", "--message", "x"], 2, "reference-open"),
        (["revoke", "web@stable", "--message", "x"], 2, "reference-open"),
        (["restore", "web@1.2.0", "--message", "x"], 2, "reference-open"),
    ],
    ids=str,
)
def test_bad_input_then_is_told_with_what_to_do(
    family: Cli, words: list[str], status: int, code: str
) -> None:
    error = family.error("image", *words)

    assert (error["exit"], error["code"]) == (status, code)
    assert error["hint"]


def test_revoke_when_revoked_already_then_says_who_did_it(family: Cli) -> None:
    assert family("image", "revoke", APP, "--message", "bad").exit_code == 0

    error = family.error("image", "revoke", APP, "--message", "worse")

    assert (error["exit"], error["code"]) == (3, "already-revoked")
    assert error["context"] == "ann said: bad"


def test_help_when_something_is_required_then_says_so_without_escapes(cli: Cli) -> None:
    told = cli("image", "revoke", "--help").stdout
    assert "Why; all who use it read this.  [required]" in told
    assert "\\[" not in told
