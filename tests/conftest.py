"""What holds for all tests: databases, where examples are kept, and that CI skips nothing."""

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

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


@pytest.fixture
def fresh_location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshLocation]:
    """Give what makes databases; those of a server go with the test."""
    with ExitStack() as made:

        def fresh(kind: str) -> str | Path:
            if kind == "sqlite":
                return Path(tempfile.mkdtemp(dir=tmp_path), "fresh/catalogue.db")
            server: Server = request.getfixturevalue("postgres")
            name = server.new_database()
            made.callback(server.drop, name)
            return server.url_of(name)

        yield fresh
