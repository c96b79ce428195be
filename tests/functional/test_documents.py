"""`recipe check`, `component check` and `schema`: all faults of all files, with their places."""

import json

import pytest

from tests.functional.conftest import Cli

NGINX = """\
name: nginx
version: 1.4.2
schemaVersion: 1.0
parameters:
  - port: {type: string, default: "80"}
  - site: {type: string}
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBash
        inputs: {commands: ["echo {{ port }} {{ site }}"]}
"""
WEB = """\
kind: Recipe
name: web
version: 1.0.x
parent: debian:bookworm
components:
  - component: %s
    parameters: {%s}
"""


@pytest.fixture
def documents(cli: Cli) -> Cli:
    """Give a folder with one component."""
    cli.write("components/nginx/component.yaml", NGINX)
    return cli


def test_recipe_check_when_all_is_well_then_prints_a_line_for_each_file(documents: Cli) -> None:
    one = documents.write("one.yaml", WEB % ("nginx@1.x", "site: a"))
    two = documents.write("two.yaml", WEB % ("nginx", "site: b, port: '8080'"))

    result = documents("recipe", "check", one, two)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "".join(
        f"{path}: recipe web 1.0.x is sound: 1 component on debian:bookworm\n"
        for path in (one, two)
    )


def test_recipe_check_when_a_key_is_misspelt_then_shows_line_caret_and_what_was_meant(
    documents: Cli,
) -> None:
    path = documents.write("web.yaml", (WEB % ("nginx", "site: a")).replace("parent", "parnet"))

    result = documents("recipe", "check", path)

    assert result.exit_code == 2
    assert f"{path}:4:1: The key 'parnet' is not known here." in result.stderr
    assert "  4 | parnet: debian:bookworm\n    | ^\n" in result.stderr
    assert "Did you mean parent?" in result.stderr


@pytest.mark.parametrize(
    ("component", "parameters", "message", "hint"),
    [
        ("ngnix", "", "There is no component ngnix.", "Did you mean nginx?"),
        ("nginx@2.0.0", "", "There is no component nginx@2.0.0.", "Ask for a version"),
        ("nginx@1.5.x", "", "There is no component nginx@1.5.x.", "Ask for a version"),
        ("nginx", "", "needs the parameter 'site'", "Give it under parameters"),
        ("nginx", "site: a, prot: '1'", "has no parameter 'prot'", "Did you mean port?"),
        ("./no.yaml", "", "./no.yaml cannot be read.", "Check the path"),
    ],
)
def test_recipe_check_when_a_component_does_not_fit_then_says_where_and_what_to_do(
    documents: Cli, component: str, parameters: str, message: str, hint: str
) -> None:
    path = documents.write("web.yaml", WEB % (component, parameters))

    result = documents("recipe", "check", path, "--json")

    (problem,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == 2
    assert problem["severity"] == "error"
    assert (problem["file"], problem["line"]) in {(str(path), 6), (str(path), 7)}
    assert message in problem["message"]
    assert hint in problem["hint"]


def test_recipe_check_when_several_files_are_faulty_then_tells_all_faults_of_all(
    documents: Cli,
) -> None:
    bad = documents.write("bad.yaml", "kind: Recipe\nname: A B\nversion: one\n")
    worse = documents.write("worse.yaml", WEB % ("ngnix", "") + "  - nothing\n")
    good = documents.write("good.yaml", WEB % ("nginx", "site: a"))

    result = documents("recipe", "check", bad, worse, good, "absent.yaml", "--json")

    told = json.loads(result.stdout)
    counts = [p["file"] for p in told["problems"]]
    assert result.exit_code == 2
    assert [(f["file"], f["is_sound"]) for f in told["files"]] == [
        (str(bad), False),
        (str(worse), False),
        (str(good), True),
        ("absent.yaml", False),
    ]
    assert (counts.count(str(bad)), counts.count(str(worse)), counts.count("absent.yaml")) == (
        3,
        2,
        1,
    )


def test_component_check_when_it_is_large_then_warns_and_passes(cli: Cli) -> None:
    path = cli.write("large.yaml", NGINX + f"description: {'long ' * 14_000}\n")

    result = cli("component", "check", path)

    assert result.exit_code == 0
    assert "component nginx 1.4.2 is sound: steps build 1" in result.stdout
    assert "warning: " in result.stderr
    assert "65,536" in result.stderr


def test_component_check_as_json_when_it_is_faulty_then_has_every_place(cli: Cli) -> None:
    path = cli.write("bad.yaml", NGINX.replace("ExecuteBash", "ExecuteBsh").replace("1.0", "2.0"))

    result = cli("component", "check", path, "--json")

    problems = json.loads(result.stdout)["problems"]
    assert result.exit_code == 2
    assert [(p["line"], p["column"]) for p in problems] == [(3, 16), (11, 17)]
    assert "Did you mean ExecuteBash?" in problems[1]["hint"]


def test_component_check_when_given_a_recipe_then_says_which_command_checks_it(cli: Cli) -> None:
    path = cli.write("web.yaml", WEB % ("nginx", ""))

    result = cli("component", "check", path)

    assert result.exit_code == 2
    assert "imagebuilder recipe check" in result.stderr


@pytest.mark.parametrize("kind", ["recipe", "component", "retention", "pipeline", "distribution"])
def test_schema_then_prints_a_json_schema(cli: Cli, kind: str) -> None:
    schema = json.loads(cli("schema", kind).stdout)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:imagebuilder:schema:{kind}:v1"
    assert "name" in schema["properties"]


def test_schema_when_there_is_no_such_kind_then_exits_with_2(cli: Cli) -> None:
    assert cli("schema", "image").exit_code == 2


def test_recipe_check_when_a_marker_of_its_tests_is_unknown_then_shows_its_file_and_line(
    documents: Cli,
) -> None:
    documents.write("tests/test_a.py", "import pytest\n@pytest.mark.bootd\ndef test_a(): ...\n")
    text = f"{WEB % ('nginx@1.x', 'site: a')}tests: [tests, 'pack:ssh']\n"

    result = documents("recipe", "check", documents.write("one.yaml", text))

    assert result.exit_code == 2
    assert "tests/test_a.py:2:2: There is no marker 'bootd'." in result.stderr
    assert "Did you mean booted?" in result.stderr


def test_pack_list_and_show_then_say_what_recipes_may_name_and_what_it_tests(cli: Cli) -> None:
    listed = json.loads(cli("pack", "list", "--json").stdout)
    assert [pack["entry"] for pack in listed["packs"]][:2] == [
        "pack:ssh",
        "pack:no-default-passwords",
    ]
    shown = json.loads(cli("pack", "show", "pack:ssh", "--json").stdout)
    assert shown in listed["packs"]
    assert {"name": "test_root_needs_a_key", "stages": ["offline"]}.items() <= next(
        test for test in shown["tests"] if "root_needs" in test["name"]
    ).items()


def test_pack_show_when_it_is_unknown_then_says_which_was_meant(cli: Cli) -> None:
    result = cli("pack", "show", "no-secret")
    assert result.exit_code == 2
    assert "Did you mean no-secrets?" in result.stderr
