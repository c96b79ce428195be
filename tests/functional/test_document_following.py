"""`component check` follows ExecuteDocument: what cannot be had is shown at the step."""

import json

import pytest

from tests.functional.conftest import Cli

HEAD = "name: %s\nversion: 1.0.0\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n"
STEP = "      - {name: Step%d, action: ExecuteDocument, inputs: {document: %s}}\n"
PLAIN = "      - {name: Say, action: ExecuteBash, inputs: {commands: [echo]}}\n"


def running(name: str, *documents: str) -> str:
    steps = [STEP % (number, json.dumps(named)) for number, named in enumerate(documents)]
    return HEAD % name + "".join(steps or [PLAIN])


def told(cli: Cli, name: str) -> tuple[int, list[tuple[str, int, int, str]]]:
    """Give the exit status, and of each problem its file's name, line, column and words."""
    result = cli("component", "check", cli.folder / "components" / name, "--json")
    problems = json.loads(result.stdout)["problems"]
    places = [
        (p["file"].rpartition("/")[2], p["line"], p["column"], f"{p['message']} {p['hint']}")
        for p in problems
    ]
    return result.exit_code, places


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("./absent.yaml", "./absent.yaml cannot be read. No such file"),
        ("./absent.yaml", "taken relative to the document that names it"),
        ("../outside.yaml", "leads out of the component's folder"),
        ("./folder", "It is not a file."),
        ("nobody", "There is no component nobody."),
        ("part@2.x", "There is no component part@2.x."),
        ("a@1.x.2", "neither a path nor a name"),
        ("https://example.org/a.yaml", "Documents at https:// are not read."),
        ("./top.yaml", "runs itself again"),
    ],
)
def test_component_check_when_a_document_cannot_be_had_then_shows_the_step(
    cli: Cli, document: str, said: str
) -> None:
    cli.write("outside.yaml", running("outside"))
    cli.write("components/folder/some.txt", "text")
    cli.write("components/part.yaml", running("part"))
    cli.write("components/top.yaml", running("top", "./part.yaml", document))

    status, [(file, line, column, words)] = told(cli, "top.yaml")

    assert (status, file, line, column) == (2, "top.yaml", 8, 9)
    assert said in words


def test_component_check_when_several_documents_cannot_be_had_then_shows_all(cli: Cli) -> None:
    cli.write("components/part.yaml", running("part", "./gone.yaml"))
    cli.write("components/top.yaml", running("top", "./absent.yaml", "part", "nobody"))

    status, places = told(cli, "top.yaml")

    assert status == 2
    assert [place[:3] for place in places] == [
        ("part.yaml", 7, 9),
        ("top.yaml", 7, 9),
        ("top.yaml", 9, 9),
    ]


def test_component_check_when_documents_lie_too_deep_then_shows_the_last_step(cli: Cli) -> None:
    for number in range(4):
        cli.write(f"components/d{number}.yaml", running(f"d{number}", f"./d{number + 1}.yaml"))
    cli.write("components/d4.yaml", running("d4"))

    status, [(file, line, column, words)] = told(cli, "d0.yaml")

    assert (status, file, line, column) == (2, "d3.yaml", 7, 9)
    assert "lies too deep" in words


def test_component_check_when_only_a_run_can_tell_then_does_not_follow(cli: Cli) -> None:
    cli.write(
        "components/top.yaml",
        running(
            "top",
            "/opt/in/image.yaml",
            "s3://bucket/a.yaml",
            "arn:aws:imagebuilder:eu-west-1:123456789012:component/a/1.0.0",
            "{{ build.Step0.outputs.status }}",
        ),
    )

    assert told(cli, "top.yaml") == (0, [])


def test_component_check_when_the_typed_file_is_absent_then_the_hint_names_no_document(
    cli: Cli,
) -> None:
    result = cli("component", "check", "absent.yaml", "--json")

    (problem,) = json.loads(result.stdout)["problems"]
    assert (result.exit_code, problem["hint"]) == (2, "Check the path.")
