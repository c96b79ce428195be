"""What is wrong around the command line: catalogue, home, settings, terminal, reader."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import a_draft, a_package
from tests.functional.conftest import Cli

_COMMAND = [sys.executable, "-m", "imagebuilder"]


def test_commands_when_the_catalogue_is_of_a_newer_schema_then_exit_with_3(cli: Cli) -> None:
    assert cli("image", "list").exit_code == 0
    with sqlite3.connect(cli.home / "catalogue.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()

    error = cli.error("image", "list")

    assert (error["exit"], error["code"]) == (3, "catalogue-too-new")
    assert "from-the-future" in error["message"]


@pytest.mark.parametrize("command", [("image", "list"), ("run", "list")])
def test_commands_when_the_catalogue_is_no_database_then_exit_with_70(
    cli: Cli, command: tuple[str, ...]
) -> None:
    (cli.home / "catalogue.db").write_bytes(b"this was a catalogue once" * 100)

    error = cli.error(*command)

    assert (error["exit"], error["code"]) == (70, "catalogue-damaged")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("image", "list"), "store-unavailable"),
        (("run", "list"), "store-unavailable"),
        (("build", "web.yaml"), "layers-unusable"),
    ],
)
def test_commands_when_home_cannot_be_made_then_exit_with_6(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], code: str
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_HOME", "/proc/imagebuilder")  # where root may not write either
    cli.write("web.yaml", "kind: Recipe\nname: web\nversion: 1.0.x\nparent: debian:bookworm\n")

    error = cli.error(*command)

    assert (error["exit"], error["code"]) == (6, code)


def test_commands_when_a_setting_is_misspelt_then_exit_with_2_and_say_what_was_meant(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEBUILDER_MIROR", "http://mirror.example.org")

    error = cli.error("image", "list")

    assert (error["exit"], error["code"]) == (2, "setting-unknown")
    assert error["hint"] == "Did you mean IMAGEBUILDER_MIRROR?"


def test_doctor_then_its_exit_status_says_whether_something_required_is_missing(cli: Cli) -> None:
    result = cli("doctor", "--json")

    found = json.loads(result.stdout)
    is_lacking = any(d["is_required"] and not d["is_present"] for d in found)
    assert result.exit_code == (6 if is_lacking else 0)
    assert {"name", "is_present", "is_required", "needed_for", "package", "detail"} == set(found[0])


def test_doctor_when_programs_are_missing_then_names_their_packages(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagebuilder.adapters.system.host.SystemHost.has_program", _has_none)

    result = cli("doctor")

    row = next(line for line in result.stdout.splitlines() if "mmdebstrap" in line)
    assert result.exit_code == 6
    assert row.split("\t")[:4] == [
        "missing",
        "mmdebstrap",
        "making the root of a Debian suite",
        "mmdebstrap",
    ]
    assert "imagebuilder doctor --fix" in result.stderr


def _has_none(_host: object, _name: str) -> bool:
    return False


def test_output_when_its_reader_leaves_then_the_command_ends_quietly(cli: Cli) -> None:
    packages = tuple(a_package(f"package-{number:05}") for number in range(5000))
    cli.application().cataloguing.record(a_draft("large", packages=packages))
    with subprocess.Popen(
        [*_COMMAND, "image", "packages", "large"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"package-00000\t")
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("image show debian-", ["debian-base", "debian-web"]),
        ("image show debian-web@1.2.0", ["debian-web@1.2.0/1"]),
        ("image list debian-b", ["debian-base"]),
    ],
)
@pytest.mark.usefixtures("catalogue")
def test_completion_then_proposes_images_and_references(
    cli: Cli, words: str, expected: list[str]
) -> None:
    assert _completed(words) == expected


def test_completion_when_the_catalogue_is_damaged_then_proposes_nothing(cli: Cli) -> None:
    (cli.home / "catalogue.db").write_bytes(b"this was a catalogue once" * 100)

    assert _completed("image show d") == []


def _completed(words: str) -> list[str]:
    environment = {
        **os.environ,
        "_IMAGEBUILDER_COMPLETE": "complete_bash",
        "COMP_WORDS": f"imagebuilder {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    script = str(Path(sys.executable).with_name("imagebuilder"))
    done = subprocess.run(
        [script], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("command", [("image", "list"), ("schema", "recipe"), ("doctor",)])
@pytest.mark.usefixtures("catalogue")
def test_output_when_it_cannot_be_written_then_exits_with_6(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*_COMMAND, *command], stdout=full, stderr=subprocess.PIPE, check=False, timeout=30
        )

    assert done.returncode == 6
    assert done.stderr.startswith(b"error (output-refused): ")
    assert b"Traceback" not in done.stderr
