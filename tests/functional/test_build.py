"""`imagebuilder build`, as far as it goes without building anything."""

import fcntl
import json

import pytest

from tests.functional.conftest import Cli

STEP = """\
name: page
schemaVersion: 1.0
parameters:
  - text: {type: string, default: hello}
phases:
  - name: build
    steps:
      - {name: Write, action: ExecuteBash, inputs: {commands: ["echo {{ text }}"]}}
"""
RECIPE = """\
kind: Recipe
name: %s
version: 1.0.x
parent: %s
components: [page]
artifacts: [tar]
"""


@pytest.fixture
def documents(cli: Cli) -> Cli:
    """Give a recipe on a tar file, which asks no network, and its component."""
    cli.write("components/page/component.yaml", STEP)
    cli.write("root.tar", "")
    cli.write("web.yaml", RECIPE % ("web", "rootfs:root.tar"))
    return cli


def test_dry_run_then_tells_layers_and_reason_and_makes_nothing(documents: Cli) -> None:
    plan = documents.json("build", "web.yaml", "--dry-run")

    assert (plan["image"], plan["is_unchanged"]) == ("web", False)
    assert plan["reason"] == "it was never built"
    assert [layer["is_cached"] for layer in plan["layers"]] == [False] * len(plan["layers"])
    assert "page" in [layer["name"] for layer in plan["layers"]]
    assert documents.json("image", "list") == []
    assert documents.json("run", "list") == []


def test_dry_run_when_a_parameter_is_set_then_another_layer_is_planned(documents: Cli) -> None:
    keys = [
        {layer["name"]: layer["key"] for layer in documents.json(*command)["layers"]}["page"]
        for command in (
            ("build", "web.yaml", "--dry-run"),
            ("build", "web.yaml", "--dry-run", "--set", "page.text=bye"),
        )
    ]

    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--set", "page.text"), "set-malformed"),
        (("--set", "text=bye"), "set-malformed"),
        (("--set", "pgae.text=bye"), "override-unknown"),
        (("--set", "page.txet=bye"), "invalid-document"),
        (("--until", "lunch"), "until-unknown"),
    ],
)
def test_build_when_an_option_means_nothing_then_exits_with_2(
    documents: Cli, options: tuple[str, ...], code: str
) -> None:
    error = documents.error("build", "web.yaml", *options)

    assert (error["exit"], error["code"]) == (2, code)


def test_build_when_the_document_is_faulty_then_the_error_has_every_problem(
    documents: Cli,
) -> None:
    documents.write("web.yaml", "kind: Recipe\nnmae: web\n")

    error = documents.error("build", "web.yaml")

    assert (error["exit"], error["code"]) == (2, "invalid-document")
    assert "Did you mean name?" in [p["hint"] for p in error["problems"]]


def test_build_when_the_file_is_missing_then_exits_with_2(documents: Cli) -> None:
    error = documents.error("build", "absent.yaml")

    assert (error["exit"], error["code"]) == (2, "document-unreadable")


def test_build_when_parents_go_round_in_a_circle_then_shows_the_circle(documents: Cli) -> None:
    documents.write("a.yaml", RECIPE % ("a", "image:b"))
    documents.write("b.yaml", RECIPE % ("b", "image:c@1.x"))
    documents.write("c.yaml", RECIPE % ("c", "image:a"))

    error = documents.error("build", "a.yaml")

    assert (error["exit"], error["code"]) == (2, "circular-parents")
    assert error["context"] == "a is built on b is built on c is built on a"
    assert documents.json("run", "list") == []


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_build_when_the_parent_is_nowhere_then_exits_with_3(
    documents: Cli, options: tuple[str, ...]
) -> None:
    documents.write("web.yaml", RECIPE % ("web", "image:nowhere"))

    error = documents.error("build", "web.yaml", *options)

    assert (error["exit"], error["code"]) == (3, "version-not-found")


def test_build_when_another_builds_the_same_image_then_exits_with_3_and_says_who(
    documents: Cli,
) -> None:
    locks = documents.home / "locks"
    locks.mkdir(parents=True)
    with (locks / "image web").open("a+") as lock:
        lock.write("process 4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = documents.error("build", "web.yaml")

    assert (error["exit"], error["code"]) == (3, "in-progress")
    assert "process 4711" in error["context"]


def test_build_without_json_when_it_is_refused_then_nothing_is_on_stdout(documents: Cli) -> None:
    result = documents("build", "absent.yaml")

    assert result.stdout == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stderr)
