"""`imagebuilder channel` in text and JSON, on both databases."""

from typing import Any

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from imagebuilder.domain.evidence import Stage
from tests.build import a_draft, a_report
from tests.functional.conftest import Cli

ONE, TWO, THREE = (f"web@1.2.{number}/1" for number in range(3))


@pytest.fixture
def web(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line over a catalogue that holds three versions of web."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "ann")
    for patch in range(3):
        stored.application().cataloguing.record(a_draft("web", f"1.2.{patch}"))
    return stored


def done(cli: Cli, *words: str) -> str:
    result = cli(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def listed(cli: Cli) -> dict[str, str | None]:
    return {each["name"]: each["version"] for each in cli.json("channel", "list", "web")}


def test_set_then_channel_means_the_version_and_it_is_audited(web: Cli) -> None:
    said = done(web, "channel", "set", ONE, "stable", "--why", "released")

    assert said == f"web@stable: none -> {ONE} (set)"
    assert listed(web) == {"latest": THREE, "stable": ONE}
    (entry,) = web.application().audit.entries(AuditQuery(action=AuditAction.CHANNEL_MOVED))
    assert (entry.subject, entry.act.actor, entry.act.why) == ("web@stable", "ann", "released")
    assert (entry.before, entry.after) == ({"version": None}, {"version": ONE, "how": "set"})


def test_set_when_it_means_that_already_then_nothing_is_kept(web: Cli) -> None:
    done(web, "channel", "set", ONE, "stable")

    said = done(web, "channel", "set", ONE, "stable")

    assert said == f"web@stable already means {ONE}"
    assert len(web.json("channel", "history", "web@stable")) == 1


def test_dry_run_then_nothing_is_kept(web: Cli) -> None:
    done(web, "channel", "set", ONE, "candidate")

    done(web, "channel", "promote", "web", "--from", "candidate", "--to", "stable", "--dry-run")
    done(web, "channel", "set", TWO, "candidate", "--dry-run")

    assert listed(web) == {"latest": THREE, "candidate": ONE}


def test_promote_and_rollback_then_history_tells_each_move(web: Cli) -> None:
    for version in (ONE, TWO):
        done(web, "channel", "set", version, "candidate")
        done(web, "channel", "promote", "web", "--from", "candidate", "--to", "stable")
    done(web, "channel", "rollback", "web@stable", "--why", "it is slow")

    history = web.json("channel", "history", "web@stable")

    assert [(each["how"], each["from"], each["to"]) for each in history] == [
        ("rolled-back", TWO, ONE),
        ("promoted", ONE, TWO),
        ("promoted", None, ONE),
    ]
    assert [(each["source"], each["why"]) for each in history[:2]] == [
        (None, "it is slow"),
        ("candidate", ""),
    ]
    assert "promoted from candidate" in done(web, "channel", "history", "web@stable")


def test_rollback_when_named_then_goes_there_and_twice_goes_further(web: Cli) -> None:
    for version in (ONE, TWO, THREE):
        done(web, "channel", "set", version, "stable")

    done(web, "channel", "rollback", "web@stable")
    done(web, "channel", "rollback", "web@stable")
    assert listed(web)["stable"] == ONE
    done(web, "channel", "rollback", "web@stable", "--to", THREE)
    assert listed(web)["stable"] == THREE


def test_unset_then_is_left_out_and_can_be_rolled_back(web: Cli) -> None:
    done(web, "channel", "set", ONE, "stable")

    done(web, "channel", "unset", "web@stable")
    assert listed(web) == {"latest": THREE}
    assert web.json("channel", "show", "web@stable")["version"] is None
    done(web, "channel", "rollback", "web@stable")
    assert listed(web)["stable"] == ONE


def test_gate_then_lets_in_only_what_brings_all_it_asks_for(web: Cli) -> None:
    done(
        web, "channel", "gate", "web@stable", "--after", "candidate", "--soak", "24h",
        "--tests", "machine",
    )  # fmt: skip
    done(web, "channel", "set", ONE, "candidate")

    error = web.error("channel", "promote", "web", "--from", "candidate", "--to", "stable")

    assert (error["exit"], error["code"]) == (4, "gate-refused")
    assert "web@candidate" in error["context"]
    assert "It passed no machine tests." in error["context"]
    assert web.json("channel", "gate", "web@stable")["gate"] == {
        "after": "candidate",
        "soak_seconds": 86400,
        "tests": ["machine"],
        "assurance": None,
    }
    done(web, "channel", "gate", "web@stable", "--clear")
    done(web, "channel", "promote", "web", "--from", "candidate", "--to", "stable")


def test_set_when_never_tested_and_revoked_then_gives_all_reasons(web: Cli) -> None:
    version = web.application().cataloguing.record(a_draft("web", "2.0.0", reports=()))
    done(web, "image", "revoke", version.reference, "--message", "it leaks")

    error = web.error("channel", "set", version.reference, "stable")

    assert (error["exit"], error["code"]) == (4, "promotion-refused")
    assert "It is revoked by ann since" in error["context"]
    assert "It was never tested." in error["context"]
    assert f"imagebuilder image restore {version.reference}" in error["hint"]


def test_expect_when_it_means_another_then_is_a_conflict(web: Cli) -> None:
    done(web, "channel", "set", ONE, "stable", "--expect", "none")

    error = web.error("channel", "set", THREE, "stable", "--expect", TWO)

    assert (error["exit"], error["code"]) == (3, "channel-moved")
    assert error["context"] == f"It was at {TWO} and is at {ONE} now."
    done(web, "channel", "set", THREE, "stable", "--expect", ONE)


BAD: list[tuple[list[str], int, str]] = [
    (["set", ONE, "latest"], 4, "channel-managed"),
    (["unset", "web@latest"], 4, "channel-managed"),
    (["rollback", "web@latest"], 4, "channel-managed"),
    (["gate", "web@latest", "--tests", "booted"], 4, "channel-managed"),
    (["set", ONE, "1.x"], 2, "channel-malformed"),
    (["set", ONE, "Stable"], 2, "channel-malformed"),
    (["show", "web"], 2, "channel-malformed"),
    (["show", "Web@stable"], 2, "channel-malformed"),
    (["set", "web@7.x", "stable"], 3, "version-not-found"),
    (["list", "gone"], 3, "version-not-found"),
    (["show", "web@stable"], 3, "channel-not-found"),
    (["unset", "web@stable"], 3, "channel-not-found"),
    (["history", "web@stable"], 3, "channel-not-found"),
    (["promote", "web", "--from", "gone", "--to", "stable"], 3, "channel-not-found"),
    (["promote", "web", "--from", "stable", "--to", "stable"], 2, "channels-same"),
    (["gate", "web@stable", "--after", "stable"], 2, "channels-same"),
    (["gate", "web@stable", "--soak", "24h"], 2, "gate-malformed"),
    (["gate", "web@stable", "--after", "candidate", "--soak", "day"], 2, "gate-malformed"),
    (["gate", "web@stable", "--tests", "unit"], 2, "gate-malformed"),
    (["gate", "web@stable", "--tests", "booted", "--clear"], 2, "gate-malformed"),
]


def test_set_when_a_run_is_named_then_says_where_to_see_what_it_recorded(web: Cli) -> None:
    error = web.error("channel", "set", "run-20260301", "stable")

    assert (error["exit"], error["code"]) == (3, "version-not-found")
    assert "imagebuilder run show run-20260301" in error["hint"]


@pytest.mark.parametrize("web", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("words", "status", "code"), BAD, ids=str)
def test_bad_input_then_is_told_with_what_to_do(
    web: Cli, words: list[str], status: int, code: str
) -> None:
    error: dict[str, Any] = web.error("channel", *words)

    assert (error["exit"], error["code"]) == (status, code)
    assert error["hint"]


def test_promote_when_source_was_unset_then_says_so(web: Cli) -> None:
    done(web, "channel", "set", ONE, "candidate")
    done(web, "channel", "unset", "web@candidate")

    error = web.error("channel", "promote", "web", "--from", "candidate", "--to", "stable")

    assert (error["exit"], error["code"]) == (3, "channel-empty")


def test_rollback_when_nothing_was_before_or_never_held_then_says_so(web: Cli) -> None:
    done(web, "channel", "set", ONE, "stable")

    assert web.error("channel", "rollback", "web@stable")["code"] == "rollback-impossible"
    error = web.error("channel", "rollback", "web@stable", "--to", TWO)
    assert error["context"] == f"It never held {TWO}."


def test_history_when_version_is_revoked_then_shows_the_fall(web: Cli) -> None:
    done(web, "channel", "set", ONE, "stable")
    done(web, "channel", "set", TWO, "stable")
    done(web, "image", "revoke", TWO, "--message", "it leaks", "--yes")

    newest = web.json("channel", "history", "web@stable")[0]

    assert (newest["how"], newest["from"], newest["to"]) == ("fell-back", TWO, ONE)
    assert (newest["by"], newest["why"]) == ("ann", "it leaks")
    assert web.error("channel", "rollback", "web@stable", "--to", TWO)["code"] == (
        "promotion-refused"
    )


def test_set_when_tests_of_all_stages_passed_then_gate_for_them_opens(web: Cli) -> None:
    reports = tuple(a_report(stage) for stage in (Stage.OFFLINE, Stage.MACHINE))
    version = web.application().cataloguing.record(a_draft("web", "3.0.0", reports=reports))
    done(web, "channel", "gate", "web@stable", "--tests", "machine,offline")

    done(web, "channel", "set", version.reference, "stable")

    assert listed(web)["stable"] == version.reference
