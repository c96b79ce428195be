"""`imagebuilder component`, as far as it goes without running anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.conftest import Cli

COMPONENT = """\
name: page
description: Writes a page.
schemaVersion: 1.0
version: 1.2.0
network: none
tags: {team: web}
parameters:
  - text: {type: string, description: What it says.}
  - size: {type: integer, default: "7"}
constants:
  - place: {type: string, value: /srv}
phases:
  - name: build
    steps:
      - {name: Write, action: ExecuteBash, maxAttempts: 2, inputs: {commands: ["echo {{ text }}"]}}
  - name: verify
    steps:
      - {name: Look, action: ExecuteBash, inputs: {commands: ["ls {{ place }}"]}}
"""
RECIPE = """\
kind: Recipe
name: web
version: 1.0.x
parent: debian:bookworm
components: [{component: page, parameters: {text: hello}}]
"""


@pytest.fixture
def documents(cli: Cli) -> Cli:
    cli.write("components/page/component.yaml", COMPONENT)
    cli.write("recipes/web.yaml", RECIPE)
    return cli


def test_list_then_each_component_is_a_row(documents: Cli) -> None:
    documents.write("components/broken.yaml", "name: broken\nschemaVersion: 1.0\n")

    result = documents("component", "list")

    assert result.exit_code == 0
    broken, page = [line.split("\t") for line in result.stdout.splitlines()]
    assert page == ["page", "1.2.0", "root", "team=web", "Writes a page."]
    assert broken == ["broken", "", "", "", "faulty: components/broken.yaml"]
    assert "components/broken.yaml:1:1" in result.stderr


def test_list_when_there_are_none_then_nothing_is_printed(cli: Cli) -> None:
    result = cli("component", "list")

    assert (result.exit_code, result.stdout) == (0, "")


def test_list_as_json_then_says_what_each_needs(documents: Cli) -> None:
    (listed,) = documents.json("component", "list", "--search", "WEB")

    assert listed["needs"] == {
        "root": True,
        "network": "none",
        "secrets": False,
        "windows": False,
    }
    assert (listed["name"], listed["is_sound"]) == ("page", True)
    assert listed["file"] == str(documents.folder / "components/page/component.yaml")


def test_show_then_all_of_it_is_printed(documents: Cli) -> None:
    shown = documents("component", "show", "page").stdout.splitlines()

    assert shown[0] == "page 1.2.0"
    for line in (
        "file      components/page/component.yaml",
        "needs     root",
        "  text (string, required): What it says.",
        "  size (integer, default '7')",
        "  place = /srv",
        "  Write (ExecuteBash)  [2 attempts]",
        "verify",
        "  recipes/web.yaml",
    ):
        assert line in shown


def test_show_as_json_by_file_then_has_parameters_phases_and_recipes(documents: Cli) -> None:
    shown = documents.json("component", "show", "components/page/component.yaml")

    assert shown["parameters"][0] == {
        "name": "text",
        "type": "string",
        "is_required": True,
        "default": None,
        "description": "What it says.",
    }
    assert [phase["name"] for phase in shown["phases"]] == ["build", "verify"]
    assert shown["recipes"] == [str(documents.folder / "recipes/web.yaml")]


def test_show_when_the_name_is_unknown_then_says_what_may_be_meant(documents: Cli) -> None:
    error = documents.error("component", "show", "pgae")

    assert (error["exit"], error["code"]) == (2, "component-not-found")
    assert error["hint"] == "Did you mean page?"


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        (("--on", "debian:bookwrom", "--set", "text=x"), 2, "parent-malformed"),
        (("--on", "bookworm", "--set", "text=x"), 2, "parent-malformed"),
        (("--on", "image:nowhere", "--set", "text=x"), 3, "version-not-found"),
        (("--on", "absent.yaml", "--set", "text=x"), 2, "document-unreadable"),
        (("--on", "rootfs:absent.tar", "--set", "text=x"), 2, "document-unreadable"),
        (("--on", "debian:bookworm"), 2, "parameter-missing"),
        (("--on", "debian:bookworm", "--set", "txet=x"), 2, "parameter-unknown"),
        (("--on", "debian:bookworm", "--set", "text"), 2, "parameter-malformed"),
        (("--on", "debian:bookworm", "--phases", "built"), 2, "phase-unknown"),
        (("--on", "debian:bookworm", "--phases", "test"), 2, "phase-unknown"),
        (("--on", "debian:bookworm", "--phases", ""), 2, "phase-unknown"),
    ],
)
def test_test_when_it_cannot_begin_then_says_why_and_makes_nothing(
    documents: Cli, options: tuple[str, ...], status: int, code: str
) -> None:
    error = documents.error("component", "test", "components/page/component.yaml", *options)

    assert (error["exit"], error["code"]) == (status, code)
    assert not (documents.home / "work").exists()


@pytest.mark.parametrize("option", ["--junit", "--details"])
@pytest.mark.parametrize("file", ["absent/result", "components"])
def test_test_when_a_result_cannot_be_written_then_says_so_before_anything_runs(
    documents: Cli, option: str, file: str
) -> None:
    page = "components/page/component.yaml"
    asked = ("--on", "debian:bookworm", "--set", "text=x", option, file)

    error = documents.error("component", "test", page, *asked)

    assert (error["exit"], error["code"]) == (6, "result-unwritable")
    assert not (documents.home / "work").exists()


def test_test_when_it_cannot_begin_then_the_file_of_its_result_is_not_there(
    documents: Cli,
) -> None:
    page = "components/page/component.yaml"

    documents.error("component", "test", page, "--on", "debian:bookworm", "--junit", "new.xml")

    assert not (documents.folder / "new.xml").exists()


@pytest.mark.parametrize("command", [("test", "--on", "debian:bookworm"), ("run", "--host", "h")])
def test_a_faulty_document_then_every_problem_is_told(
    documents: Cli, command: tuple[str, ...]
) -> None:
    file = documents.write("broken.yaml", "name: broken\nschemaVersion: 1.0\nphasse: 1\n")

    error = documents.error("component", command[0], file, *command[1:])

    assert (error["exit"], error["code"]) == (2, "invalid-document")
    assert len(error["problems"]) > 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--host", "root@-oProxyCommand=x"), "host-malformed"),
        (("--host", "a b@host"), "host-malformed"),
        (("--host", "host;id"), "host-malformed"),
        (("--host", "host", "--key", "absent"), "key-missing"),
    ],
)
def test_run_when_the_login_means_nothing_then_exits_with_2(
    documents: Cli, options: tuple[str, ...], code: str
) -> None:
    error = documents.error("component", "run", "components/page/component.yaml", *options)

    assert (error["exit"], error["code"]) == (2, code)


def test_check_when_nobody_reads_what_it_says_then_ends_as_it_would(documents: Cli) -> None:
    file = documents.write("broken.yaml", "name: broken\nschemaVersion: 1.0\n")
    reader, writer = os.pipe()
    os.close(reader)

    try:
        done = subprocess.run(
            [sys.executable, "-m", "imagebuilder", "component", "check", str(file)],
            stdout=writer,
            stderr=writer,
            check=False,
        )
    finally:
        os.close(writer)

    assert done.returncode == 2


def test_component_names_are_completed(documents: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from imagebuilder.cli.options import _components  # noqa: PLC0415 - the shell's way in

    assert _components("pa") == ["page"]
    assert _components("x") == []
    monkeypatch.chdir(Path("/"))
    assert _components("pa") == []
