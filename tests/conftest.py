"""What holds for all tests: databases, where examples are kept, and that CI skips nothing."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from imagebuilder.adapters.sql.database import open_database
from tests.databases import FreshLocation
from tests.moto_server import running_moto
from tests.postgres import Server, ServerMissing, outside_server, running_server

_ROOT = Path(__file__).parents[1]

set_hypothesis_home_dir(_ROOT / ".cache/hypothesis")
# A slow machine is no fault of the code: tests are never timed, only limited as a whole.
settings.register_profile("imagebuilder", deadline=None, max_examples=60)
settings.load_profile("imagebuilder")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --no-skips."""
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="let a test that is skipped fail, naming what it misses (for CI)",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what may take longest come first, so that in the end no worker waits for another."""
    items.sort(key=lambda item: -_limit_seconds(item))


def _limit_seconds(item: pytest.Item) -> float:
    limit = item.get_closest_marker("timeout")
    return limit.args[0] if limit is not None else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one when asked to; expected failures stay what they are."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped file into a failed one when asked to."""
    report = yield
    _refuse_skip(report, collector.config)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    if report.skipped and config.getoption("--no-skips"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and nothing may be: {reason}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give a PostgreSQL server for the whole run: the one that is named, or one of our own."""
    named = os.environ.get("IMAGEBUILDER_TEST_POSTGRES")
    if named:
        yield outside_server(named)
        return
    try:
        with running_server() as server:
            yield server
    except ServerMissing as missing:
        pytest.skip(f"{missing}; scripts/test installs it")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Give the address of a stand-in for Amazon's services, for the tests of a file."""
    with running_moto() as address:
        yield address


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a catalogue that holds nothing, to be copied: making one takes longer."""
    file = tmp_path_factory.mktemp("empty") / "catalogue.db"
    open_database(file).close()
    return file


@pytest.fixture(scope="session")
def empty_database(postgres: Server) -> Iterator[str]:
    """Give the name of the server's database of such a catalogue, to be a template."""
    name = postgres.new_database()
    open_database(postgres.url_of(name)).close()
    yield name
    postgres.drop(name)


@pytest.fixture
def fresh_location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshLocation]:
    """Give what makes catalogues that hold nothing; those of a server go with the test."""
    with ExitStack() as made:

        def fresh(kind: str) -> str | Path:
            if kind == "sqlite":
                file = Path(tempfile.mkdtemp(dir=tmp_path), "catalogue.db")
                return shutil.copyfile(request.getfixturevalue("empty_file"), file)
            template: str = request.getfixturevalue("empty_database")
            return _database(request.getfixturevalue("postgres"), made, template)

        yield fresh


@pytest.fixture
def bare_location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshLocation]:
    """Give what tells where a catalogue can be made: not even its schema is there."""
    with ExitStack() as made:

        def bare(kind: str) -> str | Path:
            if kind == "sqlite":
                return Path(tempfile.mkdtemp(dir=tmp_path), "fresh/catalogue.db")
            return _database(request.getfixturevalue("postgres"), made)

        yield bare


def _database(server: Server, made: ExitStack, template: str = "template0") -> str:
    name = server.new_database(template)
    made.callback(server.drop, name)
    return server.url_of(name)
