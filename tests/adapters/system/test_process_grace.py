"""What a program that has much to put away is given: time, and a file that is its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.process import Command

LIMIT_SECONDS = 20.0

TIDY = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def is_ready(log: Path) -> bool:
    return log.exists() and "ready" in log.read_text()


@pytest.mark.parametrize("interruption", [RunInterrupted, ValueError])
def test_start_when_an_error_ends_what_has_grace_then_it_tidies_up_first(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    log = tmp_path / "log"
    command = Command(argv=("sh", "-c", TIDY), log_file=log, grace_seconds=LIMIT_SECONDS)

    def end_it() -> None:
        assert comes_true(lambda: is_ready(log))
        raise interruption

    with pytest.raises(interruption), SystemCommandRunner(SystemClock()).start(command):
        end_it()

    # Its shell may also tell that what it was waiting for was ended with it.
    assert "tidied" in log.read_text().split()


def test_start_when_the_grace_is_over_then_the_program_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = Command(argv=("sh", "-c", STUBBORN), log_file=log, grace_seconds=0.2)

    with SystemCommandRunner(SystemClock()).start(command) as process:
        assert comes_true(lambda: is_ready(log))

    assert process.poll() == -9


def test_start_with_a_log_file_then_both_outputs_are_in_it_and_none_with_us(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = Command(argv=("sh", "-c", "echo one; echo two >&2"), log_file=log)

    with SystemCommandRunner(SystemClock()).start(command) as process:
        assert comes_true(lambda: process.poll() is not None)

    assert (log.read_text(), process.output()) == ("one\ntwo\n", b"")


def test_start_when_we_are_killed_then_what_has_grace_tidies_up_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import sys, time\n"
        "from imagebuilder.adapters.system.clock import SystemClock\n"
        "from imagebuilder.adapters.system.process import SystemCommandRunner\n"
        "from imagebuilder.ports.process import Command\n"
        "from pathlib import Path\n"
        f"command = Command(argv=('sh', '-c', {TIDY!r}), log_file=Path({str(log)!r}),"
        " grace_seconds=60)\n"
        "with SystemCommandRunner(SystemClock()).start(command):\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as ours:
        assert comes_true(lambda: is_ready(log))
        ours.kill()

    assert comes_true(lambda: "tidied" in log.read_text())
