"""What every CommandRunner keeps: the one of the machine and its fake."""

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.process import Command, CommandFailed, CommandRunner, ProgramMissing
from tests.fakes.process import FakeCommandRunner, a_result

SPEAKER = Command(argv=("sh", "-c", "echo one; echo two; echo bad >&2; exit 3"))
GOOD = Command(argv=("true",))
ABSENT = Command(argv=("no-such-program-here", "--all"))


@pytest.fixture(params=["system", "fake"])
def runner(request: pytest.FixtureRequest) -> CommandRunner:
    """Give each runner in turn."""
    if request.param == "system":
        return SystemCommandRunner(SystemClock())
    return FakeCommandRunner(
        {"sh": a_result(3, stdout=b"one\ntwo\n", stderr=b"bad\n"), "true": a_result()}
    )


def test_run_when_the_program_ends_badly_then_gives_its_status_and_both_outputs(
    runner: CommandRunner,
) -> None:
    result = runner.run(SPEAKER)

    assert (result.exit_status, result.stdout, result.stderr) == (3, b"one\ntwo\n", b"bad\n")
    assert not result.has_timed_out


def test_run_when_it_ends_then_the_result_names_the_argv_that_was_asked_for(
    runner: CommandRunner,
) -> None:
    assert runner.run(SPEAKER).argv == SPEAKER.argv


def test_run_with_a_listener_tells_each_line_without_its_end(runner: CommandRunner) -> None:
    lines: list[str] = []

    runner.run(SPEAKER, lines.append)

    assert sorted(lines) == ["bad", "one", "two"]
    assert lines.index("one") < lines.index("two")


def test_check_when_the_program_ends_well_then_gives_the_result(runner: CommandRunner) -> None:
    assert runner.check(GOOD).exit_status == 0


def test_check_when_the_program_ends_badly_then_raises_with_its_last_words(
    runner: CommandRunner,
) -> None:
    with pytest.raises(CommandFailed, match=r"^sh ended with exit status 3 after") as caught:
        runner.check(SPEAKER)

    assert "bad" in caught.value.context


@pytest.mark.parametrize("method", ["run", "check"])
def test_run_and_check_when_the_program_is_not_installed_then_raise_program_missing(
    runner: CommandRunner, method: str
) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program-here"):
        getattr(runner, method)(ABSENT)


def test_start_when_the_program_is_not_installed_then_raises_program_missing(
    runner: CommandRunner,
) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program-here"), runner.start(ABSENT):
        pytest.fail("it started")


def test_start_when_the_context_ends_then_the_program_has_ended(runner: CommandRunner) -> None:
    with runner.start(GOOD) as running:
        assert running.pid > 0

    assert running.poll() is not None


def test_attach_when_the_program_ends_then_gives_its_status(runner: CommandRunner) -> None:
    assert runner.attach(Command(argv=("sh", "-c", "exit 3"))) == 3


def test_attach_when_the_program_is_not_installed_then_raises_program_missing(
    runner: CommandRunner,
) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program-here"):
        runner.attach(ABSENT)
