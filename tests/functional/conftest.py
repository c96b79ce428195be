"""The command line over the real bootstrap, with a home of its own and recorded versions."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from imagebuilder.bootstrap import Application
from imagebuilder.cli.main import command_line
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from tests.build import (
    a_digest,
    a_document,
    a_draft,
    a_layer,
    a_package,
    a_parent,
    an_artifact,
)
from tests.databases import DATABASES, FreshLocation

DISK = b"\0" * 3_000_000 + b"the end of a disk"


@dataclass(frozen=True, slots=True)
class Cli:
    """Types commands, in a folder of documents and with a home that nobody else has."""

    home: Path
    folder: Path

    def __call__(self, *arguments: str | Path) -> Result:
        """Run a command to its end."""
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(command_line(words), words)

    def json(self, *arguments: str | Path) -> Any:
        """Give what a command that ends well prints with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def error(self, *arguments: str | Path) -> dict[str, Any]:
        """Give the error a command ends with, and its exit status."""
        result = self(*arguments, "--json")
        told = json.loads(result.stderr.splitlines()[-1])["error"]
        assert isinstance(told, dict)
        return {**told, "exit": result.exit_code}

    def application(self) -> Application:
        """Give the services behind the commands."""
        return Application()

    def write(self, name: str, text: str) -> Path:
        """Write a document."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was recorded: a base, and two versions built on it."""

    base: ImageVersion
    old: ImageVersion
    new: ImageVersion
    disk: Digest


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_file: Path) -> Cli:
    """Give the command line, on a catalogue that holds nothing."""
    for name in [name for name in os.environ if name.startswith("IMAGEBUILDER_")]:
        monkeypatch.delenv(name)
    home, folder = tmp_path / "home", tmp_path / "documents"
    monkeypatch.setenv("IMAGEBUILDER_HOME", str(home))
    folder.mkdir()
    home.mkdir()
    shutil.copyfile(empty_file, home / "catalogue.db")
    monkeypatch.chdir(folder)
    return Cli(home, folder)


@pytest.fixture(params=DATABASES)
def stored(
    request: pytest.FixtureRequest,
    cli: Cli,
    fresh_location: FreshLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """Give the command line, on a catalogue of each kind of database that holds nothing."""
    if request.param != "sqlite":
        monkeypatch.setenv("IMAGEBUILDER_CATALOGUE_URL", str(fresh_location(request.param)))
    return cli


@pytest.fixture
def catalogue(cli: Cli) -> Catalogue:
    """Give a catalogue with versions."""
    application = cli.application()
    disk = application.blobs.put(DISK)
    qcow2 = replace(an_artifact(), digest=disk, size_bytes=len(DISK))
    raw = replace(qcow2, format=ArtifactFormat.RAW)
    record = application.cataloguing.record
    base = record(a_draft("debian-base", "1.0.x", artifacts=(qcow2,)))
    parent = a_parent(base.id, asked="image:debian-base@1.x")
    old = record(a_draft("debian-web", parent=parent, artifacts=(qcow2,)))
    new = record(
        a_draft(
            "debian-web",
            parent=parent,
            artifacts=(qcow2, raw),
            definition_digest=a_digest("another definition"),
            layers=(
                a_layer("root"),
                a_layer("nginx", version="1.0.1", content="new", parameters={"port": "8080"}),
            ),
            packages=(a_package("bash", "5.2-2"), a_package("curl", "8.0")),
            documents=(a_document(text="name: x\nversion: 2"),),
        )
    )
    return Catalogue(base, old, new, disk)
