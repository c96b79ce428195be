"""The pytest plugin that brings a recipe's wishes to its tests, inside their confinement.

It gives them the fixtures `recipe` and `variables`, makes a test of each value of a list, limits
the time of each try, and tries again what did not pass where that is wished. Of this package, it
may import only what is copied into the confinement with it.
"""

import contextlib
import itertools
import json
import signal
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

TESTS_FOLDER = PurePath("/tests")
_MARKERS = {
    "each(argument=variable)": "runs once for each item of a list among the recipe's variables",
    "retries(count)": "is tried so often again when it does not pass",
    "timeout(seconds)": "may take so long at each try",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a recipe asks of the tests of one file or folder."""

    variables: Mapping[str, Any]
    retries: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all tests are given. Shape: `wishes` maps a name below the tests' folder to its own."""

    recipe: Mapping[str, Any]
    wishes: Mapping[str, Wishes]
    most_retries: int
    longest_seconds: float


_SETTINGS = pytest.StashKey[Settings]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the option that names the settings."""
    parser.getgroup("recipe").addoption("--recipe-settings", required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and make the markers known."""
    read = json.loads(Path(config.getoption("--recipe-settings")).read_text())
    wishes = {name: Wishes(**entry) for name, entry in read.pop("entries").items()}
    config.stash[_SETTINGS] = Settings(wishes=wishes, **read)
    for form, meaning in _MARKERS.items():
        config.addinivalue_line("markers", f"{form}: {meaning}")


@pytest.fixture(scope="session")
def recipe(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Give what the recipe says of itself."""
    return pytestconfig.stash[_SETTINGS].recipe


@pytest.fixture(scope="module")
def variables(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Give the variables that the recipe has for these tests."""
    return _wishes(request.config, request.path).variables


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each item of the lists that `each` names."""
    known = _wishes(metafunc.config, metafunc.definition.path).variables
    for marker in metafunc.definition.iter_markers("each"):
        if marker.args or not marker.kwargs:
            pytest.fail("Write each with an argument: each(port='ports').", pytrace=False)
        for argument, name in marker.kwargs.items():
            items = known.get(name)
            if not isinstance(items, list) or not items:
                reason = f"The recipe has no list {name!r} among the variables of these tests."
                pytest.fail(reason, pytrace=False)
            metafunc.parametrize(argument, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers that ask for what is not given, before any test runs."""
    settings = config.stash[_SETTINGS]
    for item in items:
        _limit_seconds(item, settings)
        _retries(item, settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the time that fixtures take to come."""
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the time of the test itself."""
    with _limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the time that fixtures take to go."""
    with _limited(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Try a test until it passes or its tries are used up; the last one is what is reported."""
    retries = _retries(item, item.config.stash[_SETTINGS])
    if not retries:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    earlier: list[dict[str, object]] = []
    for attempt in itertools.count(1):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        bad = next((report for report in reports if report.failed), None)
        if bad is None or attempt > retries:
            break
        seconds = sum(report.duration for report in reports)
        earlier.append({"reason": _reason(bad) + _afresh(item), "seconds": seconds})
    last = reports[-1]
    # What a report is given is written into the log with the rest, though its type has no such.
    last.attempts = len(earlier) + 1  # type: ignore[attr-defined]  # pytest's report has no such name
    last.earlier = earlier  # type: ignore[attr-defined]  # pytest's report has no such name
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@contextlib.contextmanager
def time_limit(seconds: float, reason: BaseException) -> Generator[None]:
    """Raise the reason in what is done within, if it takes longer."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise reason

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _limited(item: pytest.Item) -> Generator[None]:
    seconds = _limit_seconds(item, item.config.stash[_SETTINGS])
    # No "except Exception" of a test may eat it.
    reason = pytest.fail.Exception(f"Timeout: it took longer than {seconds:g} s.")
    with time_limit(seconds, reason):
        yield


def _afresh(item: pytest.Item) -> str:
    """Let every fixture go, so that the next try has none that failed; give what went wrong."""
    try:
        item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - pytest has no other way
    except Exception as error:  # noqa: BLE001 - it is told with the try
        return f"; then {type(error).__name__}: {error}"
    return ""


def _wishes(config: pytest.Config, path: PurePath) -> Wishes:
    name = PurePath(path).relative_to(TESTS_FOLDER).parts[0]
    return config.stash[_SETTINGS].wishes[name]


def _limit_seconds(item: pytest.Item, settings: Settings) -> float:
    given = _only_number(item, "timeout")
    if given is None:
        return _wishes(item.config, item.path).timeout_seconds
    if not 0 < given <= settings.longest_seconds:
        raise pytest.UsageError(f"{item.nodeid}: at most {settings.longest_seconds:g} s are given")
    return given


def _retries(item: pytest.Item, settings: Settings) -> int:
    given = _only_number(item, "retries")
    if given is None:
        return _wishes(item.config, item.path).retries
    if given not in range(settings.most_retries + 1):
        raise pytest.UsageError(f"{item.nodeid}: at most {settings.most_retries} retries are given")
    return int(given)


def _only_number(item: pytest.Item, name: str) -> float | None:
    """Give the number that a marker holds, None when there is no such marker."""
    marker = item.get_closest_marker(name)
    if marker is None:
        return None
    given: Sequence[object] = marker.args
    number = given[0] if len(given) == 1 else None
    if marker.kwargs or isinstance(number, bool) or not isinstance(number, int | float):
        raise pytest.UsageError(f"{item.nodeid}: the marker {name} takes one number")
    return number


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return report.longreprtext if crash is None else str(crash.message)
