"""`imagebuilder placement` in text and JSON."""

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from tests.functional.conftest import Catalogue, Cli

PLACE = ("aws:1/eu-central-1", "ami-0abc")


def add(cli: Cli, reference: str = "debian-web@1.2.0/1", *more: str) -> None:
    target, external_id = PLACE
    result = cli("placement", "add", reference, "--target", target, "--id", external_id, *more)
    assert result.exit_code == 0, result.stderr


def test_add_then_is_listed_and_audited(cli: Cli, catalogue: Catalogue) -> None:
    add(cli, "debian-web@1.2.0/1", "--why", "released", "--launched-at", "2026-01-02")

    (listed,) = cli.json("placement", "list")

    assert (listed["reference"], listed["target"], listed["id"]) == ("debian-web@1.2.0/1", *PLACE)
    assert listed["launched_at"] == "2026-01-02T00:00:00+00:00"
    assert listed["why"] == "released"
    (entry,) = cli.application().audit.entries(AuditQuery(action=AuditAction.PLACEMENT_ADDED))
    assert entry.subject == " ".join(PLACE)
    assert entry.act.why == "released"


def test_list_of_a_version_then_gives_its_own_only(cli: Cli, catalogue: Catalogue) -> None:
    add(cli)

    assert cli.json("placement", "list", "debian-base") == []
    assert cli("placement", "list", "debian-web@1.2.0").stdout.startswith(
        "debian-web@1.2.0/1\taws:1/eu-central-1\tami-0abc\t"
    )


def test_add_when_it_is_there_already_then_says_what_it_is(cli: Cli, catalogue: Catalogue) -> None:
    add(cli)

    error = cli.error("placement", "add", "debian-base", "--target", PLACE[0], "--id", PLACE[1])

    assert (error["exit"], error["code"]) == (3, "placement-exists")
    assert "debian-web@1.2.0/1" in error["context"]
    assert len(cli.json("placement", "list")) == 1
    asked = AuditQuery(action=AuditAction.PLACEMENT_ADDED)
    assert len(cli.application().audit.entries(asked)) == 1


def test_launched_then_keeps_the_latest_moment(cli: Cli, catalogue: Catalogue) -> None:
    add(cli, "debian-web", "--launched-at", "2026-01-02")

    cli.json("placement", "launched", *PLACE, "--at", "2025-01-01")

    assert cli.json("placement", "list")[0]["launched_at"] == "2026-01-02T00:00:00+00:00"
    now = cli.json("placement", "launched", *PLACE)
    assert now["launched_at"] > "2026-01-02"


def test_withdraw_then_stays_on_record_and_is_never_launched_again(
    cli: Cli, catalogue: Catalogue
) -> None:
    add(cli)

    assert "is withdrawn from aws:1/eu" in cli("placement", "withdraw", *PLACE).stdout

    assert cli.json("placement", "list")[0]["withdrawn_at"] is not None
    for verb in ("launched", "withdraw"):
        error = cli.error("placement", verb, *PLACE)
        assert (error["exit"], error["code"]) == (3, "placement-withdrawn")


@pytest.mark.parametrize("verb", ["launched", "withdraw"])
def test_verbs_when_nothing_is_there_then_say_where_the_id_is(
    cli: Cli, catalogue: Catalogue, verb: str
) -> None:
    add(cli)

    error = cli.error("placement", verb, "aws:1/us-east-1", PLACE[1])

    assert (error["exit"], error["code"]) == (3, "placement-not-found")
    assert PLACE[0] in error["context"]


@pytest.mark.parametrize(
    ("place", "launched", "code"),
    [
        (("", "ami-1"), "2026-01-01", "place-malformed"),
        (("aws:1", "a b"), "2026-01-01", "place-malformed"),
        (("aws:1", "a\x1b[2J"), "2026-01-01", "place-malformed"),
        (("aws:1", "a" * 513), "2026-01-01", "place-malformed"),
        (("aws:1", "ami-1"), "yesterday", "moment-malformed"),
        (("aws:1", "ami-1"), "9999-01-01", "launch-misdated"),
    ],
)
def test_add_when_input_is_bad_then_says_so_and_keeps_nothing(
    cli: Cli, catalogue: Catalogue, place: tuple[str, str], launched: str, code: str
) -> None:
    given = ("--target", place[0], "--id", place[1], "--launched-at", launched)

    error = cli.error("placement", "add", "debian-web", *given)

    assert (error["exit"], error["code"]) == (2, code)
    assert cli.json("placement", "list") == []
