"""The pytest plugin that runs beside a recipe's tests, inside their confinement.

It gives testinfra a backend that sends each command through an inherited socket to us, who run it
on the machine under test; so the same tests work at every stage. Of this package, it may import
only what is copied into the confinement with it.
"""

import base64
import contextlib
import itertools
import signal
import socket
from collections.abc import Generator

import pytest
import testinfra.backend
from testinfra.backend.base import BaseBackend, CommandResult

from imagebuilder.adapters.confined.frames import frame_from, framed, message_in
from imagebuilder.adapters.confined.testinfra.recipe_plugin import TESTS_FOLDER, time_limit

_OFFLINE = "offline"
_MACHINE = "machine"
_MARKERS = {
    _OFFLINE: "needs no running system: looks at files at rest, as tests without a marker do",
    "booted": "needs a running system: runs in the booted container",
    _MACHINE: "needs the real boot: runs on the virtual machine",
}
_FIRMWARE = "firmware"
_LONGEST_TEXT = 64 * 1024
_NOTHING_RUNS = (b"Running in chroot, ignoring", b"has not been booted with systemd")
"""What systemctl says where no service manager runs; its exit status may be good all the same."""


class RelayFailed(Exception):
    """A command could not be run on the machine under test."""


class RelayBackend(BaseBackend):
    """Runs commands on the far side of a socket; its host name is the socket's number."""

    NAME = "relay"

    def __init__(self, hostname: str, *_args: object, **_options: object) -> None:
        """Take the socket over."""
        super().__init__(hostname)
        self._channel = socket.socket(fileno=int(hostname))
        self._numbers = itertools.count(1)

    def get_pytest_id(self) -> str:
        """Give what stands for the host in test names."""
        return "image"

    def get_encoding(self) -> str:
        """Decode as UTF-8 without asking the image, which may have no Python to answer."""
        return "UTF-8"

    def run(self, command: str, *args: str, **_options: object) -> CommandResult:
        """Run a command on the machine under test and give how it ended."""
        text = self.get_command(command, *args)
        number = next(self._numbers)
        # A command has as long as its test still has.
        left_seconds, _ = signal.getitimer(signal.ITIMER_REAL)
        asked = {"seconds": left_seconds} if left_seconds else {}
        send(self._channel, {"run": text, "number": number, **asked})
        answer = self._receive()
        # A test that ran out of time left its answer behind.
        while answer.get("number") != number:
            answer = self._receive()
        if "error" in answer:
            raise RelayFailed(str(answer["error"]))
        stderr = base64.b64decode(str(answer["stderr"]))
        if any(words in stderr for words in _NOTHING_RUNS):
            pytest.fail(f"Nothing runs at rest: mark it booted or machine ({text[:200]}).")
        return self.result(
            int(str(answer["exit_status"])),
            self.encode(text),
            base64.b64decode(str(answer["stdout"])),
            stderr,
        )

    def _receive(self) -> dict[str, object]:
        with uninterrupted():
            try:
                return message_in(frame_from(self._channel))
            except EOFError as ended:
                raise RelayFailed("The machine under test is no longer there.") from ended


@contextlib.contextmanager
def uninterrupted() -> Generator[None]:
    """Hold back a test's time limit while a message is half read; the far side has its own."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def send(channel: socket.socket, message: dict[str, object]) -> None:
    """Send one message, whole."""
    with uninterrupted():
        channel.sendall(framed(message))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the options that the suite passes."""
    group = parser.getgroup("relay")
    group.addoption("--relay-socket", type=int, required=True)
    group.addoption("--relay-stage", choices=list(_MARKERS))
    group.addoption("--relay-firmware", default="")
    group.addoption("--relay-import-seconds", type=float, default=60.0)


def pytest_configure(config: pytest.Config) -> None:
    """Make the backend and the markers known."""
    testinfra.backend.BACKENDS[RelayBackend.NAME] = f"{__name__}.{RelayBackend.__name__}"
    for name, meaning in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    meaning = "is for machines that were started with it: runs on the virtual machine"
    config.addinivalue_line("markers", f"{_FIRMWARE}(name, ...): {meaning}")


@pytest.fixture(scope="session")
def firmware(pytestconfig: pytest.Config) -> str:
    """Give what the machine was started with: bios or uefi."""
    name: str = pytestconfig.getoption("--relay-firmware")
    return name or pytest.fail("Only a machine has firmware: mark it machine.", pytrace=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what is for another firmware."""
    booted = item.config.getoption("--relay-firmware")
    marker = item.get_closest_marker(_FIRMWARE)
    if marker is not None and booted not in marker.args:
        wanted = " or ".join(map(str, marker.args))
        pytest.skip(f"It is for {wanted}; the machine was started with {booted}.")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, object, object]:
    """Give each file a limited time to be imported."""
    seconds = float(collector.config.getoption("--relay-import-seconds"))
    with time_limit(seconds, TimeoutError(f"importing it took longer than {seconds:g} s")):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say what was collected, and leave only the tests of the asked stage."""
    found: dict[str, dict[str, int]] = {}
    for item in items:
        entry = found.setdefault(item.path.relative_to(TESTS_FOLDER).parts[0], {})
        for stage in stages_of(item):
            entry[stage] = entry.get(stage, 0) + 1
    channel = socket.socket(fileno=int(config.getoption("--relay-socket")))
    try:
        send(channel, {"collected": found})
    finally:
        channel.detach()
    asked = config.getoption("--relay-stage")
    if asked is not None:
        others = [item for item in items if asked not in stages_of(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if asked in stages_of(item)]


def stages_of(item: pytest.Item) -> list[str]:
    """Give the stages a test is for."""
    stages = [name for name in _MARKERS if item.get_closest_marker(name)]
    if item.get_closest_marker(_FIRMWARE) and _MACHINE not in stages:
        stages.append(_MACHINE)
    return stages or [_OFFLINE]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Shorten what a flooding test said before it is written into the reports."""
    report.sections = [(title, shortened(text)) for title, text in report.sections]
    if report.longrepr is not None and len(report.longreprtext) > _LONGEST_TEXT:
        report.longrepr = shortened(report.longreprtext)


def shortened(text: str) -> str:
    """Give a long text's beginning and end."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
