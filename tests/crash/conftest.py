"""What processes that are killed work on: made once, copied for each test."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plants import Plant
from tests.postgres import Server
from tests.roots import Workbench, wait_until


@dataclass(frozen=True)
class _Template:
    """A home and a catalogue, whose schemas are there and that nobody has open."""

    home: Path
    url: str


@pytest.fixture(scope="session")
def templates() -> dict[str, _Template]:
    """Give what was made so far, by kind of database."""
    return {}


@pytest.fixture
def plant(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    templates: dict[str, _Template],
) -> Iterator[Plant]:
    """Give a plant on a file, or on a server where a test says so, whose pipeline is in force."""
    kind: str = getattr(request, "param", "sqlite")
    server: Server | None = None
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
    if kind not in templates:
        templates[kind] = _made(tmp_path_factory.mktemp("template"), server)
    template, bench = templates[kind], Workbench(tmp_path)
    shutil.copytree(template.home, bench.home)
    url = f"sqlite:///{bench.home}/catalogue.db"
    if server is not None:
        name = server.new_database(template.url.rpartition("/")[2].partition("?")[0])
        url = server.url_of(name)
    plant = Plant(bench, url)
    try:
        plant.apply()
        yield plant
    finally:
        plant.end()
        if server is not None:
            server.drop(name)


def _made(folder: Path, server: Server | None) -> _Template:
    bench = Workbench(folder)
    bench.home.mkdir()
    url = f"sqlite:///{bench.home}/catalogue.db"
    if server is not None:
        url = server.url_of(server.new_database())
    plant = Plant(bench, url)
    try:
        plant.serve()
        wait_until(plant.is_leading, "the first process")
        plant.leave()
    finally:
        plant.end()
    return _Template(bench.home, url)
