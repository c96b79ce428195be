"""What only real processes show: limits, floods, groups, namespaces, and our own death."""

import os
import pty
import resource
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.process import Command, CommandFailed, ProgramMissing, ProgramNotStarted

LIMIT_SECONDS = 20.0


@pytest.fixture
def runner() -> SystemCommandRunner:
    """Give the runner of this machine."""
    return SystemCommandRunner(SystemClock())


def shell(script: str, **fields: object) -> Command:
    return Command(argv=("sh", "-c", script), **fields)  # type: ignore[arg-type]


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def pids_in(file: Path, count: int) -> list[int]:
    """Wait until a file names so many processes."""
    assert comes_true(lambda: file.exists() and len(file.read_text().split()) == count)
    return [int(word) for word in file.read_text().split()]


def test_run_gives_bytes_to_standard_input(runner: SystemCommandRunner) -> None:
    content = bytes(range(256)) * 8192

    result = runner.run(Command(argv=("cat",), stdin=content))

    assert result.stdout == content


def test_run_when_the_program_does_not_read_its_input_then_ends_well(
    runner: SystemCommandRunner,
) -> None:
    assert runner.run(Command(argv=("true",), stdin=b"x" * 10_000_000)).exit_status == 0


def test_run_without_input_gives_none(runner: SystemCommandRunner) -> None:
    assert runner.run(Command(argv=("cat",))).stdout == b""


def test_run_with_an_environment_gives_exactly_that(runner: SystemCommandRunner) -> None:
    result = runner.run(Command(argv=("env",), environment={"PATH": "/usr/bin", "ONLY": "this"}))

    assert sorted(result.stdout.splitlines()) == [b"ONLY=this", b"PATH=/usr/bin"]


def test_run_without_an_environment_gives_a_path_and_a_locale(
    runner: SystemCommandRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "hidden")

    names = {line.split(b"=")[0] for line in runner.run(Command(argv=("env",))).stdout.splitlines()}

    assert names == {b"PATH", b"LC_ALL"}


def test_run_finds_programs_of_the_administrator(runner: SystemCommandRunner) -> None:
    result = runner.run(Command(argv=("ldconfig", "-V"), environment={"PATH": "/usr/bin"}))

    assert result.exit_status == 0


def test_run_with_a_folder_works_there(runner: SystemCommandRunner, tmp_path: Path) -> None:
    assert runner.run(Command(argv=("pwd",), folder=str(tmp_path))).stdout.strip() == bytes(
        tmp_path
    )


def test_run_when_the_folder_is_missing_then_raises_program_not_started(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    with pytest.raises(ProgramNotStarted, match="pwd could not be started"):
        runner.run(Command(argv=("pwd",), folder=str(tmp_path / "absent")))


@pytest.mark.parametrize("mode", [0o644, None], ids=["not-executable", "folder"])
def test_run_when_the_file_is_no_program_then_raises_program_missing(
    runner: SystemCommandRunner, tmp_path: Path, mode: int | None
) -> None:
    file = tmp_path / "program"
    if mode is None:
        file.mkdir()
    else:
        file.write_text("#!/bin/sh\n")
        file.chmod(mode)

    with pytest.raises(ProgramMissing, match="program is not installed"):
        runner.run(Command(argv=(str(file),)))


def test_run_when_killed_then_the_status_is_the_negative_signal(
    runner: SystemCommandRunner,
) -> None:
    assert runner.run(shell("kill -USR1 $$")).exit_status == -signal.SIGUSR1


def test_run_leaves_no_file_descriptor_open(runner: SystemCommandRunner) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        runner.run(Command(argv=("cat",), stdin=b"x"))

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_run_hands_on_only_the_descriptors_it_is_told_to(runner: SystemCommandRunner) -> None:
    reading, writing = os.pipe()
    try:
        runner.check(shell(f"echo through > /proc/self/fd/{writing}", keep_open=(writing,)))
        assert os.read(reading, 100) == b"through\n"
        assert runner.run(shell(f"echo through > /proc/self/fd/{writing}")).exit_status != 0
    finally:
        os.close(reading)
        os.close(writing)


def test_run_when_time_is_up_then_grandchildren_are_killed_too(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"

    result = runner.run(shell(f"sleep 1000 & echo $! > {pids}; sleep 1000", timeout_seconds=0.5))

    assert result.has_timed_out
    assert result.exit_status == -signal.SIGKILL
    assert result.seconds < LIMIT_SECONDS
    assert comes_true(lambda: not is_alive(pids_in(pids, 1)[0]))


def test_check_when_time_is_up_then_says_so(runner: SystemCommandRunner) -> None:
    with pytest.raises(CommandFailed, match="sleep took longer than allowed after 0"):
        runner.check(Command(argv=("sleep", "1000"), timeout_seconds=0.1))


def test_run_when_a_flood_never_ends_then_the_time_limit_still_holds(
    runner: SystemCommandRunner,
) -> None:
    result = runner.run(Command(argv=("yes",), timeout_seconds=0.5))

    assert result.has_timed_out
    assert result.dropped_bytes > 0


def test_run_when_the_program_leaves_children_behind_then_they_are_killed(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"

    result = runner.run(shell(f"sleep 1000 & echo $! > {pids}"))

    assert result.exit_status == 0
    assert comes_true(lambda: not is_alive(pids_in(pids, 1)[0]))


def test_run_when_a_daemon_keeps_the_output_open_then_returns_all_the_same(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"

    script = (
        f"setsid sh -c 'echo $$ > {pids}; exec sleep 1000' & "
        f"until [ -s {pids} ]; do :; done; echo done"
    )
    result = runner.run(shell(script, timeout_seconds=LIMIT_SECONDS))

    os.kill(pids_in(pids, 1)[0], signal.SIGKILL)
    assert (result.stdout, result.has_timed_out) == (b"done\n", False)


def test_run_when_output_is_small_then_all_of_it_is_kept_in_order(
    runner: SystemCommandRunner,
) -> None:
    result = runner.run(shell("seq 1 20000", output_limit_bytes=1_000_000))

    assert [int(line) for line in result.stdout.split()] == list(range(1, 20001))
    assert result.dropped_bytes == 0


def test_run_when_output_is_too_large_then_both_ends_are_kept_and_the_rest_counted(
    runner: SystemCommandRunner,
) -> None:
    result = runner.run(shell("seq 1 20000; echo other >&2", output_limit_bytes=1000))

    assert len(result.stdout) == 1000
    assert result.stdout.startswith(b"1\n2\n3\n")
    assert result.stdout.endswith(b"19999\n20000\n")
    assert result.dropped_bytes == len(b"".join(b"%d\n" % n for n in range(1, 20001))) - 1000
    assert result.stderr == b"other\n"


def test_run_when_200_megabytes_flood_both_outputs_then_memory_stays_small(
    runner: SystemCommandRunner,
) -> None:
    flood = "head -c 100000000 /dev/zero & head -c 100000000 /dev/zero >&2; wait"
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pieces = 0

    def count(line: str) -> None:
        nonlocal pieces
        pieces += 1

    result = runner.run(shell(flood), count)

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert len(result.stdout) + len(result.stderr) + result.dropped_bytes == 200_000_000
    assert pieces > 1000
    assert grown_kib < 40 * 1024


def test_run_tells_lines_while_the_program_works(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lines: list[str] = []

    def open_gate(line: str) -> None:
        lines.append(line)
        if line == "first":
            gate.write_text("go")

    runner.check(
        shell(f"echo first; cat {gate}; printf last", timeout_seconds=LIMIT_SECONDS), open_gate
    )

    assert lines == ["first", "golast"]


def test_run_when_a_line_is_not_utf8_then_tells_it_with_replacements(
    runner: SystemCommandRunner,
) -> None:
    lines: list[str] = []

    runner.run(shell(r"printf 'a\377b\r\n'"), lines.append)

    assert lines == ["a\ufffdb"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, RunInterrupted])
def test_run_when_the_listener_raises_then_the_program_is_killed(
    runner: SystemCommandRunner, error: type[BaseException]
) -> None:
    told: list[int] = []

    def fail(line: str) -> None:
        told.append(int(line))
        raise error

    with pytest.raises(error):
        runner.run(shell("echo $$; exec sleep 1000"), fail)

    assert comes_true(lambda: not is_alive(told[0]))


def test_run_when_called_from_several_threads_then_results_do_not_mix(
    runner: SystemCommandRunner,
) -> None:
    results: dict[int, bytes] = {}

    def work(number: int) -> None:
        results[number] = runner.run(Command(argv=("echo", str(number)))).stdout

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)

    assert results == {number: b"%d\n" % number for number in range(16)}


def test_start_gives_the_newest_output_while_it_runs(runner: SystemCommandRunner) -> None:
    with runner.start(shell("seq 1 5000; exec sleep 1000", output_limit_bytes=100)) as running:
        assert comes_true(lambda: running.output().endswith(b"\n5000\n"))
        assert len(running.output()) == 100
        assert running.poll() is None
        assert is_alive(running.pid)

    assert running.poll() == -signal.SIGTERM


def test_start_when_the_program_ends_by_itself_then_poll_tells_its_status(
    runner: SystemCommandRunner,
) -> None:
    with runner.start(shell("exit 7")) as running:
        assert comes_true(lambda: running.poll() is not None)

    assert running.poll() == 7


def test_start_when_the_program_ignores_the_request_to_end_then_it_is_killed() -> None:
    runner = SystemCommandRunner(SystemClock(), grace_seconds=0.1)

    with runner.start(shell("trap '' TERM; echo ready; sleep 1000")) as running:
        assert comes_true(lambda: b"ready" in running.output())

    assert running.poll() == -signal.SIGKILL


def test_start_when_the_body_raises_then_the_program_is_killed(
    runner: SystemCommandRunner,
) -> None:
    with pytest.raises(ValueError, match="body"), runner.start(shell("sleep 1000")) as running:
        raise ValueError("body")

    assert not is_alive(running.pid)
    assert running.poll() == -signal.SIGKILL


def test_start_when_its_time_is_up_then_the_program_is_killed(runner: SystemCommandRunner) -> None:
    with runner.start(Command(argv=("sleep", "1000"), timeout_seconds=0.1)) as running:
        assert comes_true(lambda: running.poll() is not None)

    assert running.poll() == -signal.SIGKILL


OURSELVES = """
import sys
import termios
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.process import Command
script, is_isolated = sys.argv[1], sys.argv[2] == "isolated"
SystemCommandRunner(SystemClock()).run(Command(argv=("sh", "-c", script), is_isolated=is_isolated))
"""


def killed_while_running(script: str, kind: str, pids: Path, count: int) -> list[int]:
    """Kill -9 a Python that runs a script through the runner; give the processes it named."""
    with subprocess.Popen([sys.executable, "-c", OURSELVES, script, kind]) as python:
        started = pids_in(pids, count)
        assert all(is_alive(pid) for pid in started)
        python.kill()
    return started


def test_run_when_we_are_killed_with_9_then_the_program_dies(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    started = killed_while_running(f"echo $$ > {pids}; exec sleep 1000", "plain", pids, 1)

    assert comes_true(lambda: not is_alive(started[0]))


@pytest.mark.root
def test_run_when_isolated_and_we_are_killed_with_9_then_daemons_die_too() -> None:
    needle = str(time.monotonic_ns()).encode()
    script = f"setsid sleep 98765.{needle.decode()} & wait"

    def sleepers() -> int:
        return sum(_command_line(pid).startswith(b"sleep") for pid in _pids_with(needle))

    with subprocess.Popen([sys.executable, "-c", OURSELVES, script, "isolated"]) as python:
        assert comes_true(lambda: sleepers() == 1)
        python.kill()

    assert comes_true(lambda: sleepers() == 0)


@pytest.mark.root
def test_run_when_isolated_and_time_is_up_then_daemons_are_gone_when_it_returns(
    runner: SystemCommandRunner,
) -> None:
    needle = str(time.monotonic_ns())

    result = runner.run(
        shell(f"setsid sleep 98765.{needle} & wait", is_isolated=True, timeout_seconds=0.5)
    )

    assert result.has_timed_out
    assert _pids_with(needle.encode()) == []


@pytest.mark.root
def test_run_when_isolated_then_the_program_is_the_first_process(
    runner: SystemCommandRunner,
) -> None:
    result = runner.run(shell("echo $$; exit 4", is_isolated=True))

    assert (result.stdout, result.exit_status) == (b"1\n", 4)


def _pids_with(needle: bytes) -> list[int]:
    """Give the processes that have some text in their command line."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if needle in _command_line(pid) and is_alive(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_attach_when_we_are_interrupted_then_the_program_ends_too(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"

    def interrupt(_signal: int, _frame: object) -> None:
        if pid.exists() and pid.read_text():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise RunInterrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with pytest.raises(RunInterrupted):
            runner.attach(shell(f"echo $$ > {pid}; exec sleep 100"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert not is_alive(int(pid.read_text()))


def test_attach_when_the_program_spoils_the_terminal_then_it_is_put_right() -> None:
    ours, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    script = (
        "from imagebuilder.adapters.system.clock import SystemClock\n"
        "from imagebuilder.adapters.system.process import SystemCommandRunner\n"
        "from imagebuilder.ports.process import Command\n"
        "spoil = Command(argv=('sh', '-c', 'stty raw -echo; kill -9 $$'))\n"
        "print(SystemCommandRunner(SystemClock()).attach(spoil))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], stdin=terminal, capture_output=True, check=True, timeout=30
    )

    assert done.stdout == b"-9\n"
    assert termios.tcgetattr(terminal) == before
    os.close(terminal)
    os.close(ours)
