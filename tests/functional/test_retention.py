"""Retention through the command line: plans, applying, freeing, and what is never deleted."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.built import Needs
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.run import RunState
from imagebuilder.ports.locks import STORE_LOCK
from tests.build import a_digest, a_draft, a_layer, a_parent, a_run, an_artifact
from tests.examples import ROOT
from tests.functional.conftest import Cli

RULE = """kind: Retention
name: web
select: {images: ["web*"]}
keep: {last: 1}
then: {deprecate_after: 0d, disable_after: 0d, delete_after: 0d}
"""


@pytest.fixture
def rule(cli: Cli) -> Path:
    return cli.write("web.yaml", RULE)


def recorded(cli: Cli, content: bytes, image: str = "web", **more: Any) -> ImageVersion:
    application = cli.application()
    disk = replace(an_artifact(), digest=application.blobs.put(content), size_bytes=len(content))
    definition = a_digest(content.decode())
    draft = a_draft(image, artifacts=(disk,), definition_digest=definition, **more)
    return application.cataloguing.record(draft)


def steps(cli: Cli, rule: Path) -> list[str]:
    """Plan and apply once, and give what was done."""
    plan = cli.json("retention", "plan", rule)
    applied = cli.json("retention", "apply", plan["id"], "--yes")
    return [f"{each['decision']} {each['version']}" for each in applied["done"]]


def test_versions_when_not_kept_go_step_by_step_and_their_bytes_at_last(
    cli: Cli, rule: Path
) -> None:
    old, new = recorded(cli, b"old"), recorded(cli, b"new")

    done = [steps(cli, rule) for _ in range(4)]

    name = old.reference
    assert done == [[f"deprecate {name}"], [f"disable {name}"], [f"delete {name}"], []]
    blobs = cli.application().blobs
    assert not blobs.has(old.artifacts[0].digest)
    assert blobs.has(new.artifacts[0].digest)
    assert cli.json("image", "show", name)["reference"] == name


def test_blob_when_a_version_that_stays_has_the_same_then_stays(cli: Cli, rule: Path) -> None:
    old = recorded(cli, b"same")
    recorded(cli, b"same", "webshop")
    recorded(cli, b"new")

    for _ in range(3):
        steps(cli, rule)

    assert cli.application().blobs.has(old.artifacts[0].digest)


def test_parent_when_its_child_lives_is_kept_and_goes_after_it(cli: Cli) -> None:
    rule = cli.write("all.yaml", RULE.replace("last: 1", "last: 0"))
    base = recorded(cli, b"base", "web-base")
    recorded(cli, b"later base", "web-base")
    child = recorded(cli, b"child", "web", parent=a_parent(base.id))
    recorded(cli, b"later child", "web")

    done = [done for _ in range(7) for done in steps(cli, rule)]

    assert done == [
        *(f"{step} {child.reference}" for step in ("deprecate", "disable", "delete")),
        *(f"{step} {base.reference}" for step in ("deprecate", "disable", "delete")),
    ]


def test_plan_when_a_version_came_into_use_since_leaves_it_and_says_by_what(
    cli: Cli, rule: Path
) -> None:
    old, _ = recorded(cli, b"old"), recorded(cli, b"new")
    steps(cli, rule)
    plan = cli.json("retention", "plan", rule)
    recorded(cli, b"child", "other", parent=a_parent(old.id))

    applied = cli.json("retention", "apply", plan["id"], "--yes")

    assert applied["done"] == []
    assert applied["skipped"][0]["because"] == ["other@1.2.0/1 came from it"]


def test_plan_when_applied_already_is_refused(cli: Cli, rule: Path) -> None:
    recorded(cli, b"old")
    plan = cli.json("retention", "plan", rule)
    cli.json("retention", "apply", plan["id"], "--yes")

    error = cli.error("retention", "apply", plan["id"], "--yes")

    assert (error["code"], error["exit"]) == ("retention-plan-applied", 3)


def test_apply_when_nobody_says_yes_does_nothing(cli: Cli, rule: Path) -> None:
    recorded(cli, b"old"), recorded(cli, b"new")
    plan = cli.json("retention", "plan", rule)

    error = cli.error("retention", "apply", plan["id"])

    assert (error["code"], error["exit"]) == ("not-confirmed", 4)
    assert cli.json("retention", "plan", rule)["decisions"][1]["state"] == "active"


def test_delete_when_a_build_works_with_the_store_is_refused_and_names_it(
    cli: Cli, rule: Path
) -> None:
    recorded(cli, b"old"), recorded(cli, b"new")
    steps(cli, rule), steps(cli, rule)
    plan = cli.json("retention", "plan", rule)

    with cli.application().locks.share(STORE_LOCK, "build of web"):
        error = cli.error("retention", "apply", plan["id"], "--yes")

    assert (error["code"], error["context"]) == ("store-in-use", "By build of web.")
    assert len(cli.json("retention", "apply", plan["id"], "--yes")["done"]) == 1


def test_plan_for_later_is_not_kept(cli: Cli, rule: Path) -> None:
    recorded(cli, b"old"), recorded(cli, b"new")

    plan = cli.json("retention", "plan", rule, "--at", "2099-01-01")

    assert (plan["id"], plan["counts"]["deprecate"]) == (None, 1)
    assert cli.json("retention", "list") == []


def test_plan_with_out_writes_what_it_prints(cli: Cli, rule: Path) -> None:
    recorded(cli, b"old")

    plan = cli.json("retention", "plan", rule, "--out", "plan.json")

    assert json.loads((cli.folder / "plan.json").read_text()) == plan
    assert cli.json("retention", "show", plan["id"][:20]) == plan


def test_version_when_disabled_can_be_reactivated_but_not_when_deleted(
    cli: Cli, rule: Path
) -> None:
    old, _ = recorded(cli, b"old"), recorded(cli, b"new")
    steps(cli, rule), steps(cli, rule)

    cli.json("image", "reactivate", old.reference, "--why", "needed again")
    states = [d["state"] for d in cli.json("retention", "plan", rule)["decisions"]]
    for _ in range(3):
        steps(cli, rule)
    error = cli.error("image", "reactivate", old.reference, "--why", "needed again")

    assert states == ["active", "active"]
    assert (error["code"], error["exit"]) == ("not-reactivated", 3)


def test_export_when_version_is_deleted_says_when_and_by_which_plan(cli: Cli, rule: Path) -> None:
    old, _ = recorded(cli, b"old"), recorded(cli, b"new")
    for _ in range(3):
        steps(cli, rule)

    error = cli.error("image", "export", old.reference, "-o", "disk")

    assert (error["code"], error["exit"]) == ("version-deleted", 3)
    assert "retention plan retention-" in error["context"]


def test_gc_when_nothing_needs_it_frees_what_is_old_enough(cli: Cli) -> None:
    kept = recorded(cli, b"kept")
    blobs = cli.application().blobs
    stray = blobs.put(b"stray")

    young = cli.json("gc")
    looked = cli.json("gc", "--unused", "0d", "--dry-run")
    there = blobs.has(stray)
    freed = cli.json("gc", "--unused", "0d")

    assert young["files"]["count"] == 0
    assert looked["files"] == freed["files"]
    assert (there, blobs.has(stray), blobs.has(kept.artifacts[0].digest)) == (True, False, True)


@pytest.mark.parametrize("is_common", [False, True], ids=["own", "common"])
def test_gc_when_machines_share_a_store_frees_there_if_the_catalogue_is_that_of_all(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_common: bool
) -> None:
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("IMAGEBUILDER_SHARED_STORE", (tmp_path / "shared").as_uri())
    if is_common:
        monkeypatch.setenv("IMAGEBUILDER_CATALOGUE_URL", f"sqlite:///{tmp_path}/common.db")
    stray = tmp_path / "shared/files/00" / ("0" * 64)
    stray.parent.mkdir(parents=True)
    stray.touch()
    os.utime(stray, (1_000_000_000, 1_000_000_000))

    done = cli("gc")

    assert done.exit_code == 0, done.stderr
    assert stray.exists() is not is_common
    assert ("1 shared objects" in done.stdout) is is_common
    assert ("left as it is" in done.stderr) is not is_common


def test_gc_when_a_run_has_yet_to_record_what_it_built_keeps_that_until_it_has_ended(
    cli: Cli,
) -> None:
    application = cli.application()
    run, lost = a_run("run-1"), RunId("run-lost")
    built, other, unknown = (application.blobs.put(text) for text in (b"built", b"other", b"lost"))
    application.runs.save(run)
    application.claims.claim(run.id, Needs(blobs=frozenset({built})))
    application.claims.claim(lost, Needs(blobs=frozenset({unknown})))

    first = cli.json("gc", "--unused", "0d")
    under_way = [application.blobs.has(blob) for blob in (built, other, unknown)]
    ended = replace(run, state=RunState.FAILED, ended_at=run.started_at, error_code="x")
    application.runs.save(ended)
    looked = cli.json("gc", "--unused", "0d", "--dry-run")
    claims = list(application.claims.claims())
    second = cli.json("gc", "--unused", "0d")

    assert (first["files"]["count"], under_way) == (2, [True, False, False])
    assert (looked["files"]["count"], claims) == (1, [run.id])
    assert (second["files"]["count"], application.blobs.has(built)) == (1, False)
    assert application.claims.claims() == {}


def test_blob_when_a_run_under_way_built_the_same_then_stays_when_its_version_is_deleted(
    cli: Cli, rule: Path
) -> None:
    application, run = cli.application(), a_run("run-1")
    old = recorded(cli, b"old")
    recorded(cli, b"new")
    application.runs.save(run)
    application.claims.claim(run.id, Needs(blobs=frozenset({old.artifacts[0].digest})))

    for _ in range(4):
        steps(cli, rule)

    assert application.blobs.has(old.artifacts[0].digest)


def test_check_when_document_is_faulty_shows_the_line(cli: Cli) -> None:
    file = cli.write("bad.yaml", RULE.replace("delete_after: 0d", "delete_after: soon"))

    result = cli("retention", "check", file)

    assert result.exit_code == 2
    assert "bad.yaml:5:" in result.stderr


def test_layers_when_only_a_deleted_version_had_them_are_counted_as_freed_by_it(
    cli: Cli, rule: Path
) -> None:
    old = recorded(cli, b"old", layers=(a_layer("root"), a_layer("old")))
    recorded(cli, b"new", layers=(a_layer("root"), a_layer("new")))
    steps(cli, rule), steps(cli, rule)

    plan = cli.json("retention", "plan", rule)

    only_its_own = a_layer("old").size_bytes + len(b"old")
    frees = {each["version"]: each["frees_bytes"] for each in plan["decisions"]}
    assert frees[old.reference] == only_its_own == plan["freed_bytes"]


def test_version_when_a_copy_of_it_lives_is_kept(cli: Cli, rule: Path) -> None:
    old, _ = recorded(cli, b"old"), recorded(cli, b"new")
    recorded(cli, b"old", "copy", copied_from=old.id)

    decisions = cli.json("retention", "plan", rule)["decisions"]

    assert [d["reasons"] for d in decisions if d["version"] == old.reference] == [
        ["copy@1.2.0/1 came from it"]
    ]


def test_example_of_the_repository_is_sound(cli: Cli) -> None:
    examples = sorted((ROOT / "recipes/retention").glob("*.yaml"))

    checked = cli.json("retention", "check", *examples)

    assert [file["is_sound"] for file in checked["files"]] == [True]
