"""Builds by the real Packer, of builders that need no machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.packer import SourceUnknown
from imagebuilder.ports.live_builds import LiveBuildFailed, SourceRefused
from imagebuilder.ports.process import Command, RunningProcess
from tests.packers import Bench, a_file, a_source, an_order, no_work, packer_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with packer_bench() as bench:
        yield bench


def test_built_when_all_is_well_then_gives_what_was_made_and_leaves_nothing(bench: Bench) -> None:
    with bench.builder().built(an_order(), no_work, bench.said.append) as outcome:
        text = Path(outcome.products[0].files[0]).read_text()

    assert (text, outcome.failures) == ("hello", {})
    assert any("Running post-processor: manifest" in line for line in bench.said)
    assert bench.left == []


def test_built_when_a_name_is_wrong_then_nothing_is_started(bench: Bench) -> None:
    order = an_order(a_file("one"), only=["two"])

    with (
        pytest.raises(SourceUnknown, match="There is no source two"),
        bench.builder().built(order, no_work, bench.said.append),
    ):
        pass

    assert bench.said == []


def test_built_when_only_one_is_wanted_then_only_that_is_made(bench: Bench) -> None:
    order = an_order(a_file("one"), a_file("two"), only=["two"])

    with bench.builder().built(order, no_work, bench.said.append) as outcome:
        assert [product.source for product in outcome.products] == ["two"]


def test_built_when_a_setting_is_unknown_then_packers_own_words_are_told(bench: Bench) -> None:
    with (
        pytest.raises(SourceRefused) as refused,
        bench.builder().built(
            an_order(a_source("file", target="x", content="y", colour="red")),
            no_work,
            bench.said.append,
        ),
    ):
        pass

    assert "unknown configuration key" in refused.value.context
    assert bench.left == []


def test_built_when_one_half_fails_then_the_good_half_is_kept(bench: Bench) -> None:
    # A file below one that is no folder cannot be written.
    bad = a_source("file", "bad", content="x", target="/dev/null/x")

    with bench.builder().built(
        an_order(bad, a_file("good")), no_work, bench.said.append
    ) as outcome:
        assert [product.source for product in outcome.products] == ["good"]

    assert "/dev/null" in outcome.failures["bad"]


def test_built_when_all_fail_then_says_why(bench: Bench) -> None:
    bad = a_source("file", "bad", content="x", target="/dev/null/x")

    with (
        pytest.raises(LiveBuildFailed, match="/dev/null"),
        bench.builder().built(an_order(bad), no_work, bench.said.append),
    ):
        pass

    assert bench.left == []


class WatchedRunner(SystemCommandRunner):
    """Looks at what a build is started with."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.argv: list[str] = []
        self.modes: dict[str, int] = {}
        self.template = ""

    @contextmanager
    def start(self, command: Command) -> Iterator[RunningProcess]:
        folder = Path(command.folder or "")
        self.argv = list(command.argv)
        self.modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        self.modes["."] = folder.stat().st_mode & 0o777
        self.template = (folder / "template.json").read_text()
        with super().start(command) as process:
            yield process


def test_built_when_a_setting_is_secret_then_only_a_private_file_holds_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_A_TEST", "hunter-22")
    bench.runner = runner = WatchedRunner()
    source = a_source("file", content="env:OF_A_TEST", target="said.txt")

    with bench.builder().built(an_order(source), no_work, bench.said.append) as outcome:
        text = Path(outcome.products[0].files[0]).read_text()

    assert text == "hunter-22"
    assert (runner.modes["variables.json"], runner.modes["."]) == (0o600, 0o700)
    assert "hunter-22" not in " ".join([*runner.argv, runner.template, *bench.said])


def test_built_when_packer_prints_a_secret_then_it_is_told_masked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_A_TEST", "hunter-22")
    source = a_source("file", content="x", target="env:OF_A_TEST")

    with bench.builder().built(an_order(source), no_work, bench.said.append) as outcome:
        assert outcome.products[0].files[0].name == "hunter-22"

    assert any("Stored file: ****" in line for line in bench.said)
    assert "hunter-22" not in " ".join(bench.said)


def test_built_when_packer_prints_without_end_then_is_ended_and_nothing_is_left(
    bench: Bench,
) -> None:
    bench.largest_log_bytes = 40

    with (
        pytest.raises(LiveBuildFailed, match="packer printed more than 40 B"),
        bench.builder().built(an_order(), no_work, bench.said.append),
    ):
        pass

    assert bench.left == []


def test_built_when_an_error_repeats_a_secret_then_it_is_told_masked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_A_TEST", "/proc/hunter-22")
    bad = a_source("file", "bad", content="x", target="env:OF_A_TEST")

    with bench.builder().built(
        an_order(bad, a_file("good")), no_work, bench.said.append
    ) as outcome:
        assert "****" in outcome.failures["bad"]
        assert "hunter-22" not in outcome.failures["bad"]
