"""The catalogue's whole story, told through the command line, with the same end on every database.

Six rounds of builds: a base, two children on it, a grandchild on each. The newest base turns out to
be bad, is revoked, and is restored; then old versions are planned away.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.build import a_digest, a_draft, a_package, a_parent
from tests.functional.conftest import Cli

ROUNDS = 6
FAMILY = {"base": None, "web": "base", "db": "base", "shop": "web", "till": "db"}
"""Shape: image -> what it is built on."""
NEWEST = ["base@1.0.5/1", "db@1.0.5/1", "shop@1.0.5/1", "till@1.0.5/1", "web@1.0.5/1"]

RULE = """kind: Retention
name: old
select: {images: ["*"]}
keep: {last: 2}
then: {deprecate_after: 0d}
"""


@pytest.fixture
def story(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line over thirty versions, the newest but one and then the newest stable."""
    monkeypatch.setenv("IMAGEBUILDER_ACTOR", "ann")
    record = stored.application().cataloguing.record
    for number in range(ROUNDS):
        ids: dict[str, str] = {}
        openssl = a_package("openssl", "3.0.9-1" if number < 3 else "3.0.15-1")
        for image, on in FAMILY.items():
            parent = a_parent(ids[on], asked=f"image:{on}@1.x") if on else a_parent()
            definition = a_digest(f"{image} {number}")
            draft = a_draft(
                image,
                "1.0.x",
                parent=parent,
                packages=(a_package(image), openssl),
                definition_digest=definition,
            )
            ids[image] = record(draft).id
    for number in (4, 5):
        for image in FAMILY:
            told(stored, "channel", "set", f"{image}@1.0.{number}/1", "stable", "--why", "release")
    return stored


def told(cli: Cli, *arguments: str | Path) -> Any:
    return cli.json(*arguments)


def references(cli: Cli, *arguments: str) -> list[str]:
    return [found["reference"] for found in told(cli, "image", "find", *arguments)]


def stable(cli: Cli) -> list[str]:
    return references(cli, "--channel", "stable")


def descendants(cli: Cli, reference: str, *more: str) -> list[str]:
    nodes = told(cli, "image", "lineage", reference, "--down", *more)["nodes"]
    return sorted(node["label"] for node in nodes if node["kind"] == "version")


def test_story_when_a_base_is_revoked_and_restored_then_all_that_hangs_on_it_follows(
    story: Cli,
) -> None:
    assert len(told(story, "image", "list")) == 30
    assert stable(story) == NEWEST
    assert descendants(story, "base@1.0.5/1") == NEWEST

    revoked = told(story, "image", "revoke", "base@1.0.5/1", "--message", "a key leaked", "--yes")

    assert sorted(revoked["versions"]) == NEWEST
    assert references(story, "--state", "revoked") == NEWEST
    before = [name.replace("1.0.5", "1.0.4") for name in NEWEST]
    assert stable(story) == before
    assert references(story, "--channel", "latest") == before
    last = told(story, "channel", "history", "shop@stable")[0]
    assert (last["how"], last["from"], last["to"]) == ("fell-back", "shop@1.0.5/1", "shop@1.0.4/1")
    shown = told(story, "image", "show", "shop@1.0.5/1")
    assert (shown["state"], shown["revocation"]["reference"]) == ("revoked", "base@1.0.5/1")
    for inherited in ("web@1.0.5/1", "shop@1.0.5/1"):
        error = story.error("image", "restore", inherited, "--message", "it is fine")
        assert "base@1.0.5/1" in str(error)

    told(story, "image", "restore", "base@1.0.5/1", "--message", "it was another key")

    assert references(story, "--state", "revoked") == []
    assert references(story, "--channel", "latest") == NEWEST


def test_story_when_the_base_moved_on_then_what_is_in_use_and_stale_is_told(story: Cli) -> None:
    for image in FAMILY:
        told(story, "channel", "rollback", f"{image}@stable", "--why", "trouble")

    stale = descendants(story, "base@1.0.4/1", "--stale")

    assert stale == ["base@1.0.4/1", "db@1.0.4/1", "shop@1.0.4/1", "till@1.0.4/1", "web@1.0.4/1"]
    edges = told(story, "image", "lineage", "web@1.0.4/1", "--up")["edges"]
    (parent,) = (edge for edge in edges if edge["kind"] == "parent")
    assert (parent["ancestry"], parent["now"]["reference"]) == ("out-of-date", "base@1.0.5/1")
    assert descendants(story, "base@1.0.5/1", "--stale") == ["base@1.0.5/1"]


def test_story_when_a_package_is_bad_then_who_holds_it_is_found_and_diffed(story: Cli) -> None:
    found = references(story, "--package", "openssl<3.0.15")

    assert len(found) == 15
    assert {name.partition("@")[2] for name in found} == {"1.0.0/1", "1.0.1/1", "1.0.2/1"}
    assert references(story, "--package", "openssl<3.0.15", "--channel", "stable") == []
    (change,) = told(story, "image", "diff", "web@1.0.2/1", "web@1.0.3/1")["packages"]
    assert (change["name"], change["old_version"], change["new_version"]) == (
        "openssl",
        "3.0.9-1",
        "3.0.15-1",
    )


def test_story_when_retention_is_planned_then_what_is_in_use_stays(story: Cli) -> None:
    told(story, "placement", "add", "web@1.0.0/1", "--target", "aws:1/eu", "--id", "ami-1")
    told(story, "image", "copy", "web@1.0.1/1", "--as", "acme-web")
    rule = story.write("old.yaml", RULE)

    plan = told(story, "retention", "plan", rule)

    decided = {each["version"]: each["decision"] for each in plan["decisions"]}
    assert len(decided) == 31
    kept = {name for name, decision in decided.items() if decision == "keep"}
    on_channels = {f"{image}@1.0.{number}/1" for image in FAMILY for number in (4, 5)}
    with_children = {f"{i}@1.0.{n}/1" for i in ("base", "web", "db") for n in range(4)}
    assert kept == on_channels | with_children | {"web@1.0.0/1", "acme-web@1.0.1/1"}
    assert {d for name, d in decided.items() if name not in kept} == {"deprecate"}

    told(story, "retention", "apply", plan["id"], "--yes")

    assert references(story, "--state", "deprecated") == [
        f"{image}@1.0.{number}/1" for image in ("shop", "till") for number in (3, 2, 1, 0)
    ]
    assert story.json("image", "whatis", "ami-1")[0]["versions"][0]["reference"] == "web@1.0.0/1"
