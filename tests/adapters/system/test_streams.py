"""Files as a program's input and output: moved piece by piece, with a limit."""

import tracemalloc
from pathlib import Path

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.process import Command, OutputFile
from tests.roots import wait_until

LARGE = 24 << 20


@pytest.fixture
def runner() -> SystemCommandRunner:
    return SystemCommandRunner(SystemClock())


def test_run_when_input_is_a_file_then_it_comes_behind_the_bytes(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 100_000)
    result = runner.run(Command(argv=["cat"], stdin=b"first\n", stdin_file=tmp_path / "in"))
    assert result.stdout == b"first\n" + b"x" * 100_000


def test_run_when_the_input_file_is_empty_then_the_program_sees_its_end(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"")
    assert runner.run(Command(argv=["cat"], stdin_file=tmp_path / "in")).stdout == b""


def test_run_when_the_program_reads_only_a_part_of_the_file_then_ends_well(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1_000_000)
    result = runner.run(Command(argv=["head", "-c", "3"], stdin_file=tmp_path / "in"))
    assert (result.exit_status, result.stdout) == (0, b"xxx")


def test_run_when_files_are_large_then_are_never_in_memory(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    with (tmp_path / "in").open("wb") as opened:
        opened.truncate(LARGE)
    target = OutputFile(path=tmp_path / "out", limit_bytes=LARGE)
    tracemalloc.start()
    try:
        command = Command(argv=["cat"], stdin_file=tmp_path / "in", stdout_file=target)
        result = runner.run(command)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (result.stdout, result.dropped_bytes) == (b"", 0)
    assert (tmp_path / "out").stat().st_size == LARGE
    assert peak_bytes < LARGE / 8


def test_run_when_output_is_above_the_limit_of_its_file_then_the_rest_is_counted(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    lines: list[str] = []
    (tmp_path / "out").write_bytes(b"what was there before")
    target = OutputFile(path=tmp_path / "out", limit_bytes=4)
    command = Command(argv=["sh", "-c", "echo 123456; echo bad >&2"], stdout_file=target)
    result = runner.run(command, lines.append)
    assert (tmp_path / "out").read_bytes() == b"1234"
    assert (result.dropped_bytes, result.stderr, lines) == (3, b"bad\n", ["bad"])


def test_start_when_input_is_a_file_then_the_program_gets_it(
    runner: SystemCommandRunner, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"hello\n")
    with runner.start(Command(argv=["cat"], stdin_file=tmp_path / "in")) as running:
        wait_until(lambda: running.poll() is not None)
        assert running.output() == b"hello\n"
