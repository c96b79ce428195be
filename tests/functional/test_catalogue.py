"""The catalogue as a whole: state, backup, restore, check and copy, on each kind of database."""

import gzip
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.build import a_digest, a_draft
from tests.databases import DATABASES, FreshLocation
from tests.functional.conftest import Catalogue, Cli


@pytest.fixture(params=DATABASES)
def filled(
    request: pytest.FixtureRequest,
    cli: Cli,
    fresh_location: FreshLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """Give a command line whose catalogue has a base and two versions on it."""
    monkeypatch.setenv("IMAGEBUILDER_CATALOGUE_URL", str(fresh_location(request.param)))
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "ada")
    request.getfixturevalue("catalogue")
    assert cli("image", "label", "debian-base", "team=web").exit_code == 0
    return cli


def _without_audit(state: dict[str, Any]) -> dict[str, Any]:
    return {name: count for name, count in state["rows"].items() if name != "audit"}


def test_status_when_asked_then_says_where_and_how_much(filled: Cli) -> None:
    state = filled.json("catalogue", "status")

    assert state["rows"]["versions"] == 3
    assert state["size_bytes"] > 0
    assert "versions" in filled("catalogue", "status").stdout


def test_backup_when_restored_then_everything_is_as_it_was(filled: Cli, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    before = filled.json("image", "list")
    made = filled.json("catalogue", "backup", file)
    filled("image", "label", "debian-base", "team=other")

    restored = filled.json("catalogue", "restore", file, "--force")

    assert file.stat().st_mode & 0o777 == 0o600
    assert restored["backup"]["digest"] == made["digest"]
    assert filled.json("image", "list") == before
    rows = made["rows"] | {"audit": made["rows"]["audit"] + 1}
    assert filled.json("catalogue", "status")["rows"] == rows
    assert filled.json("audit", "list")[0]["action"] == "catalogue-restored"
    aside = filled.json("catalogue", "restore", restored["kept_aside"], "--dry-run")
    assert aside["backup"]["rows"] == rows
    assert filled("image", "label", "debian-base", "team=again").exit_code == 0


def test_list_when_nothing_is_there_yet_then_home_and_catalogue_are_made(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "not/yet/there"
    monkeypatch.setenv("IMAGEBUILDER_HOME", str(home))

    assert cli.json("image", "list") == []
    assert (home / "catalogue.db").is_file()


@pytest.mark.parametrize("other", DATABASES)
def test_backup_when_restored_into_another_kind_then_is_the_same(
    filled: Cli,
    tmp_path: Path,
    bare_location: FreshLocation,
    monkeypatch: pytest.MonkeyPatch,
    other: str,
) -> None:
    file = tmp_path / "all.backup"
    filled.json("catalogue", "backup", file)
    before = [filled.json("image", "show", v["reference"]) for v in filled.json("image", "list")]

    monkeypatch.setenv("IMAGEBUILDER_CATALOGUE_URL", str(bare_location(other)))
    filled.json("catalogue", "restore", file)

    after = [filled.json("image", "show", v["reference"]) for v in filled.json("image", "list")]
    assert after == before
    assert filled.json("catalogue", "backup", tmp_path / "2.backup")["rows"]["versions"] == 3


@pytest.mark.parametrize("other", DATABASES)
def test_copy_when_the_target_is_empty_then_has_everything_and_goes_on(
    filled: Cli, bare_location: FreshLocation, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    target = str(bare_location(other))
    before = filled.json("catalogue", "status")
    shown = filled.json("image", "list")

    copied = filled.json("catalogue", "copy", "--to", target)

    assert _without_audit(copied) == _without_audit(before)
    monkeypatch.setenv("IMAGEBUILDER_CATALOGUE_URL", target)
    assert filled.json("image", "list") == shown
    assert filled.json("audit", "list")[0]["action"] == "catalogue-copied"
    assert filled("image", "label", "debian-base", "team=again").exit_code == 0


def test_copy_when_the_target_has_something_then_is_refused(
    filled: Cli, bare_location: FreshLocation
) -> None:
    target = str(bare_location("sqlite"))
    filled.json("catalogue", "copy", "--to", target)

    error = filled.error("catalogue", "copy", "--to", target)

    assert (error["code"], error["exit"]) == ("catalogue-not-empty", 4)


def test_copy_when_the_target_is_a_path_then_says_the_address_for_every_folder(
    filled: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    told = filled("catalogue", "copy", "--to", "other.db")

    assert f"IMAGEBUILDER_CATALOGUE_URL={tmp_path}/other.db," in told.stderr


def test_backup_when_others_write_meanwhile_then_is_one_state_of_all_of_it(
    filled: Cli, tmp_path: Path
) -> None:
    file, is_over = tmp_path / "busy.backup", Event()

    def record() -> int:
        application, count = filled.application(), 0
        while not is_over.is_set():
            application.cataloguing.record(a_draft("busy", definition_digest=a_digest(str(count))))
            count += 1
        return count

    with ThreadPoolExecutor(1) as threads:
        recorded = threads.submit(record)
        made = [filled.json("catalogue", "backup", file, "--force") for _ in range(5)]
        is_over.set()
        total = recorded.result(timeout=60)

    counts = [each["rows"]["versions"] for each in made]
    assert counts == sorted(counts)
    assert 3 < counts[-1] <= 3 + total
    # Each version is recorded with one entry of the audit and one test report, or not at all.
    for each in made:
        assert each["rows"]["test_reports"] - made[0]["rows"]["test_reports"] == (
            each["rows"]["versions"] - counts[0]
        )
        assert each["rows"]["audit"] - made[0]["rows"]["audit"] == (
            each["rows"]["versions"] - counts[0]
        )
    filled.json("catalogue", "restore", file, "--force")
    assert filled.json("catalogue", "status")["rows"]["versions"] == counts[-1]
    faults = json.loads(filled("catalogue", "check", "--json").stdout)["faults"]
    assert not [fault for fault in faults if "missing" not in fault["what"]]


@pytest.mark.parametrize(
    "url", ["postgresql://bob:sosecret@h/x", "postgresql:///x?user=bob&password=sosecret"]
)
def test_copy_when_the_address_has_a_password_then_says_where_it_belongs(
    filled: Cli, url: str
) -> None:
    error = filled.error("catalogue", "copy", "--to", url)

    assert (error["code"], error["exit"]) == ("password-in-arguments", 2)
    assert "~/.pgpass" in error["hint"]
    assert "sosecret" not in str(error)


def test_restore_when_the_catalogue_is_not_empty_then_is_refused(
    filled: Cli, tmp_path: Path
) -> None:
    filled.json("catalogue", "backup", tmp_path / "all.backup")

    error = filled.error("catalogue", "restore", tmp_path / "all.backup")

    assert (error["code"], error["exit"]) == ("catalogue-not-empty", 4)
    assert error["context"].startswith("Versions in it: 3; rows in all: ")


def test_backup_when_a_file_is_there_then_it_stays_unless_forced(
    filled: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "all.backup"
    file.write_text("mine")

    error = filled.error("catalogue", "backup", file)

    assert (error["code"], error["exit"]) == ("backup-there", 4)
    assert file.read_text() == "mine"
    assert filled("catalogue", "backup", file, "--force").exit_code == 0
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_backup_when_the_folder_is_missing_then_says_so(filled: Cli, tmp_path: Path) -> None:
    error = filled.error("catalogue", "backup", tmp_path / "no/all.backup")

    assert (error["code"], error["exit"]) == ("backup-unwritable", 6)


def _lines(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines(keepends=True)


@pytest.mark.parametrize("damage", ["cut", "changed", "line gone", "no backup", "new", "missing"])
def test_restore_when_the_backup_is_damaged_then_nothing_is_changed(
    filled: Cli, tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "all.backup"
    filled.json("catalogue", "backup", file)
    before = filled.json("catalogue", "status")
    lines = _lines(file)
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:-100])
        case "changed":
            file.write_bytes(gzip.compress(b"".join(lines).replace(b"debian-base", b"debian-bass")))
        case "line gone":
            file.write_bytes(gzip.compress(b"".join([*lines[:5], *lines[6:]])))
        case "no backup":
            file.write_bytes(b"something else")
        case "new":
            head = json.loads(lines[0]) | {"revision": "9999"}
            file.write_bytes(gzip.compress(json.dumps(head).encode() + b"\n" + b"".join(lines[1:])))
        case _:
            file.unlink()

    error = filled.error("catalogue", "restore", file, "--force")

    expected = ("backup-too-new", 3) if damage == "new" else ("backup-unreadable", 2)
    assert (error["code"], error["exit"]) == expected
    assert filled.json("catalogue", "status")["rows"] == before["rows"]


def test_check_when_all_is_well_then_says_so(filled: Cli) -> None:
    result = filled("catalogue", "check")

    missing_layers = [line for line in result.stdout.splitlines() if line.startswith("layer")]
    others = [line for line in result.stdout.splitlines() if not line.startswith(("layer", "  "))]
    assert missing_layers  # of versions that were recorded without a build
    assert [line for line in others if "evidence" not in line] == [others[-1]]


def _damaged(cli: Cli, *statements: str) -> dict[str, Any]:
    """Give what check finds after statements behind our back."""
    with closing(sqlite3.connect(cli.home / "catalogue.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    result = cli("catalogue", "check", "--json")
    assert result.exit_code == 70
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("statement", "where", "what"),
    [
        ("UPDATE documents SET text = 'other'", "documents", "Its text has the digest"),
        ("UPDATE versions SET disk_digest = 'x'", "versions 1", "disk_digest makes no sense"),
        ("UPDATE artifacts SET format = 'floppy'", "artifacts 1 0", "format makes no sense"),
        ("UPDATE versions SET image_id = 99 WHERE number = 2", "versions 2", "image_id 99"),
        (
            "UPDATE versions SET parent_id = id WHERE number = 1",
            "versions",
            "was recorded after it",
        ),
        ("UPDATE versions SET copied_from = id", "versions", "Its source"),
        ("UPDATE packages SET version = '0'", "package_sets", "Its packages have the digest"),
        ("UPDATE package_sets SET package_count = 9", "package_sets", "It has 2 packages, not 9"),
        ("UPDATE layer_stacks SET size_bytes = 9", "layer_stacks", "Its layer on what is below"),
        ("UPDATE plans SET text = '{}'", "plans", "Its text has the digest"),
    ],
)
def test_check_when_rows_are_changed_behind_our_back_then_says_which(
    cli: Cli, catalogue: Catalogue, statement: str, where: str, what: str
) -> None:
    found = _damaged(cli, statement)

    assert not found["is_whole"]
    assert any(f["where"].startswith(where) and what in f["what"] for f in found["faults"])
    assert all(f["hint"] for f in found["faults"])


def test_check_when_an_artifact_is_missing_or_damaged_then_names_the_version(
    cli: Cli, catalogue: Catalogue
) -> None:
    stored = Path(cli.application().blobs.path(catalogue.disk))
    stored.chmod(0o644)
    stored.write_bytes(b"x" * stored.stat().st_size)
    shallow = json.loads(cli("catalogue", "check", "--json").stdout)["faults"]
    deep = json.loads(cli("catalogue", "check", "--deep", "--json").stdout)["faults"]
    stored.unlink()
    missing = json.loads(cli("catalogue", "check", "--json").stdout)["faults"]

    assert not any("qcow2" in fault["where"] for fault in shallow)
    assert any("qcow2" in fault["where"] and "damaged" in fault["what"] for fault in deep)
    assert any("qcow2" in fault["where"] and "missing" in fault["what"] for fault in missing)


def test_audit_when_filtered_then_only_those_are_shown(filled: Cli) -> None:
    filled("image", "label", "debian-base", "team=db")

    newest, *_ = filled.json("audit", "list")
    assert (newest["actor"], newest["action"]) == ("ada", "labels-changed")
    told = filled.json("audit", "list", "--subject", newest["subject"])
    actions = ["labels-changed", "labels-changed", "version-recorded"]
    assert [entry["action"] for entry in told] == actions
    assert filled.json("audit", "list", "--by", "bob") == []
    assert len(filled.json("audit", "list", "--limit", "1", "--page", "2")) == 1
    assert filled.json("audit", "list", "--until", "2020-01-01") == []
    assert filled.json("audit", "list", "--subject", "debian") == []


def test_audit_in_text_then_tells_what_was_changed_and_that_there_is_more(filled: Cli) -> None:
    filled("image", "label", "debian-base", "team=db", "tier=1")

    told = filled("audit", "list", "--limit", "1")

    assert told.stdout.rstrip("\n").split("\t")[-1] == "team: web -> db; tier: 1"
    assert told.stderr == "there are older ones: --page 2\n"
    everything = filled("audit", "list")
    assert everything.stderr == ""
    assert "id: version-" in everything.stdout.splitlines()[-1]
