"""Versions distributed to folders, looked after and withdrawn, through the real bootstrap."""

from pathlib import Path

import pytest

from tests.fakes.engine import FakeRunEngine
from tests.functional.conftest import Catalogue, Cli

DOCUMENT = """kind: Distribution
name: mirrors
targets:
  - name: near
    folder: {{path: {near}}}
  - name: far
    folder: {{path: {far}}}
"""


@pytest.fixture
def near(tmp_path: Path) -> Path:
    folder = tmp_path / "near"
    folder.mkdir()
    return folder


@pytest.fixture
def far(tmp_path: Path) -> Path:
    folder = tmp_path / "far"
    folder.mkdir()
    return folder


@pytest.fixture
def mirrors(cli: Cli, near: Path, far: Path) -> Path:
    """Give a document of two folders."""
    return cli.write("mirrors.yaml", DOCUMENT.format(near=near, far=far))


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*/*.qcow2"))


def test_distribute_then_the_version_lies_in_both_folders_and_that_is_shown(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    result = cli("distribute", "debian-web", "--to", mirrors)

    assert result.exit_code == 0, result.stderr
    assert f"{catalogue.new.reference} is at 2 of 2 targets of mirrors, 2 of them now" in (
        result.stdout
    )
    assert len(files(near)) == len(files(far)) == 1
    listed = cli.json("target", "list", "debian-web")
    assert [(each["target"], each["state"]) for each in listed] == [
        (f"folder:{near}", "done"),
        (f"folder:{far}", "done"),
    ]
    shown = cli.json("image", "show", "debian-web")["placements"]
    assert sorted(each["target"] for each in shown) == [f"folder:{far}", f"folder:{near}"]
    assert {each["state"] for each in shown} == {"placed"}


def test_distribute_when_done_again_then_there_is_nothing_to_do(
    cli: Cli, catalogue: Catalogue, mirrors: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)

    (again,) = cli.json("distribute", "debian-web", "--to", mirrors)

    assert (again["is_whole"], again["placed"]) == (True, [])


def test_distribute_when_a_folder_is_missing_then_nothing_is_begun(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    far.rmdir()

    error = cli.error("distribute", "debian-web", "--to", mirrors)

    assert (error["code"], error["exit"]) == ("delivery-hindered", 4)
    assert str(far) in error["context"]
    assert f"--without folder:{far}" in error["hint"]
    assert list(near.iterdir()) == []


def test_distribute_when_the_artifact_is_damaged_then_it_comes_nowhere_and_that_is_why(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    stored = Path(str(cli.application().blobs.path(catalogue.disk)))
    stored.chmod(0o644)
    with stored.open("r+b") as file:
        file.write(b"damaged")

    error = cli.error("distribute", "debian-web", "--to", mirrors)

    assert (error["code"], error["exit"]) == ("distribution-incomplete", 5)
    assert f"folder:{near}" in error["context"]
    assert files(near) == files(far) == []
    listed = cli.json("target", "list", "debian-web")
    assert {each["failure"]["code"] for each in listed} == {"digest-mismatch"}


def test_retry_when_a_target_was_left_out_then_it_is_done_by_what_was_recorded(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors, "--without", "far")
    assert files(far) == []
    mirrors.unlink()

    (done,) = cli.json("distribute", "debian-web", "--retry")

    assert done["placed"] == [f"folder:{far}"]
    assert files(far) == files(near)


def test_distribute_with_dry_run_then_shows_the_targets_and_changes_nothing(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path
) -> None:
    result = cli("distribute", "debian-web", "--to", mirrors, "--only", "near", "--dry-run")

    assert result.exit_code == 0, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(row[1], row[3]) for row in rows] == [("near", "place"), ("far", "left out")]
    assert list(near.iterdir()) == []
    assert cli.json("target", "list") == []


@pytest.mark.parametrize("options", [[], ["--to", "x.yaml", "--retry"], ["--retry", "--dry-run"]])
def test_distribute_when_it_is_not_clear_where_to_then_shows_both_ways(
    cli: Cli, catalogue: Catalogue, options: list[str]
) -> None:
    error = cli.error("distribute", "debian-web", *options)

    assert (error["code"], error["exit"]) == ("destination-unclear", 2)
    assert "--to FILE" in error["hint"]


def test_withdraw_when_confirmed_then_the_files_are_gone(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    refused = cli.error("distribute", "withdraw", "debian-web", "--from", "near")
    assert refused["code"] == "withdrawal-unconfirmed"

    (gone,) = cli.json("distribute", "withdraw", "debian-web", "--from", "near", "--yes")

    assert gone["target"] == f"folder:{near}"
    assert (files(near), len(files(far))) == ([], 1)
    listed = {each["target"]: each["state"] for each in cli.json("target", "list", "debian-web")}
    assert listed == {f"folder:{near}": "withdrawn", f"folder:{far}": "done"}


def test_revoke_then_what_a_distribution_brought_is_gone_and_what_was_told_stays(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    cli("placement", "add", "debian-web", "--target", "elsewhere", "--id", "told")

    result = cli("image", "revoke", catalogue.new.reference, "--message", "it is bad", "--yes")

    assert result.exit_code == 0, result.stderr
    assert files(near) == files(far) == []
    assert f"withdrawn: folder:{near}" in result.stdout
    assert "stays at elsewhere told: no distribution put it there." in result.stderr


def test_revoke_when_it_is_for_later_then_it_stays_and_what_is_to_be_done_then_is_told(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)

    result = cli(
        *("image", "revoke", catalogue.new.reference, "--message", "old", "--in", "30d", "--yes")
    )

    assert "distribute withdraw --retry" in result.stderr
    assert len(files(near)) == 1
    assert cli.json("distribute", "withdraw", "--retry") == []


def test_revoke_when_a_target_does_not_answer_then_is_in_force_and_withdrawn_later(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    away = far.rename(far.with_name("away"))

    result = cli("image", "revoke", catalogue.new.reference, "--message", "it is bad", "--yes")

    assert result.exit_code == 0, result.stderr
    assert "distribute withdraw --retry" in result.stderr
    assert cli.json("image", "show", catalogue.new.reference)["state"] == "revoked"
    away.rename(far)
    (gone,) = cli.json("distribute", "withdraw", "--retry")
    assert gone["target"] == f"folder:{far}"
    assert files(far) == []


def test_leader_when_a_revoked_version_stands_somewhere_then_withdraws_it(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    away = far.rename(far.with_name("away"))
    cli("image", "revoke", catalogue.new.reference, "--message", "it is bad", "--yes")
    application = cli.application()
    chores = {chore.name: chore.do for chore in application._chores(FakeRunEngine())}

    chores["withdrawals"]()
    away.rename(far)
    chores["withdrawals"]()

    assert files(far) == []


def test_target_check_when_somebody_changed_a_file_then_says_what_and_exits_with_5(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    assert cli("target", "check", "debian-web").exit_code == 0
    (file,) = near.glob("*/*.qcow2")
    file.write_bytes(b"another disk")

    result = cli("target", "check", "--target", "near")

    assert result.exit_code == 5
    assert "changed" in result.stdout
    assert file.name in result.stdout
    assert "1 looked at, 1 changed" in result.stderr


def test_distribute_help_then_tells_of_withdraw(cli: Cli) -> None:
    result = cli("distribute", "--help")

    assert result.exit_code == 0
    assert "withdraw" in result.stdout


def test_retention_when_it_disables_a_version_then_it_is_withdrawn_and_told(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path, far: Path
) -> None:
    cli("distribute", catalogue.old.reference, "--to", mirrors)
    rule = cli.write("rule.yaml", RULE)

    for _ in range(2):
        assert len(files(near)) == 1
        plan = cli.json("retention", "plan", rule)
        result = cli("retention", "apply", plan["id"], "--yes")

    assert result.exit_code == 0, result.stderr
    assert f"withdrawn: folder:{near}" in result.stdout
    assert files(near) == files(far) == []
    states = {each["state"] for each in cli.json("target", "list", catalogue.old.reference)}
    assert states == {"withdrawn"}


def test_lineage_then_shows_where_versions_are(
    cli: Cli, catalogue: Catalogue, mirrors: Path, near: Path
) -> None:
    cli("distribute", "debian-web", "--to", mirrors)
    cli("distribute", "withdraw", "debian-web", "--from", "far", "--yes")

    assert "at 1 target" in cli("image", "lineage", "debian-web").stdout
    nodes = cli.json("image", "lineage", "debian-web")["nodes"]
    (node,) = [each for each in nodes if each["id"] == catalogue.new.id]
    assert {each["state"] for each in node["placements"]} == {"placed", "withdrawn"}


RULE = """kind: Retention
name: web
select: {images: ["debian-web"]}
keep: {last: 1, placed: false}
then: {deprecate_after: 0d, disable_after: 0d}
"""
