"""The engine of this machine, behind a fake and for real, and images that mean no good."""

import lzma
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.openscap.scanner import OpenScapScanner
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.content import ProfileUnknown, RuleUnknown
from imagebuilder.domain.control import ControlOutcome, ScanFailed
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.process import Command, CommandResult, ProgramMissing
from imagebuilder.ports.scanning import Scanned, ScanRequest
from tests.fakes.process import FakeCommandRunner, a_result
from tests.scap import PREFIX, arf, data_stream

VERSION = a_result(stdout=b"OpenSCAP command line tool (oscap) 1.3.7\nCopyright\n")


class Bench:
    """A root, content, and a scanner of them.

    `argv` is what the engine was asked last, walls and all; `texts` what it was given to read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        (self.root / "etc").mkdir(parents=True)
        self.content = folder / "content.xml"
        self.content.write_text(data_stream(platforms=()))
        self.arf = arf({"has_word": "fail"})
        self.endings = [a_result(2)]
        self.page = a_result(0)
        self.argv: list[str] = []
        self.runner = FakeCommandRunner({"oscap": VERSION, "bwrap": self._ended})
        self.texts: dict[str, str] = {}

    @contextmanager
    def folders(self, prefix: str) -> Iterator[Path]:
        made = self.folder / f"{prefix}work"
        made.mkdir()
        yield made
        shutil.rmtree(made)

    def request(self, scanner: OpenScapScanner, **asked: Any) -> ScanRequest:
        pack = scanner.describe(self.content, Digest.of_bytes(self.content.read_bytes()))
        compliance = Compliance(**{"profile": "cis_words", **asked})
        return ScanRequest(compliance=compliance, pack=pack, file=self.content)

    def scanner(self) -> OpenScapScanner:
        return OpenScapScanner(self.runner, self.folders)

    def scan(self, **asked: Any) -> Scanned:
        scanner = self.scanner()
        return scanner.scan(self.root, self.request(scanner, **asked))

    def really_scan(self, **asked: Any) -> Scanned:
        scanner = OpenScapScanner(SystemCommandRunner(SystemClock()), self.folders)
        return scanner.scan(self.root, self.request(scanner, **asked))

    def _ended(self, command: Command) -> CommandResult:
        argv = list(command.argv)
        if "generate" in argv:
            out = Path(argv[argv.index("/out") - 1])
            (out / "report.html").write_text(f"<html>of {(out / 'arf.xml').read_text()}")
            return self.page
        self.argv = argv
        out = Path(argv[argv.index("/out") - 1])
        self.texts = {path.name: path.read_text() for path in out.iterdir()}
        (out / "arf.xml").write_text(self.arf)
        return self.endings.pop(0)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_scan_when_it_ends_then_results_and_packed_result_are_given(bench: Bench) -> None:
    scanned = bench.scan()

    assert scanned.engine == "openscap 1.3.7"
    assert [(r.rule, r.outcome) for r in scanned.results] == [("has_word", ControlOutcome.FAIL)]
    assert lzma.decompress(scanned.raw).decode() == bench.arf
    assert scanned.tailoring is None
    assert not (bench.folder / "scan-work").exists()


def test_scan_when_asked_then_the_image_cannot_be_written_and_nothing_else_is_seen(
    bench: Bench,
) -> None:
    bench.scan()

    argv = bench.argv
    root = argv.index(str(bench.root))
    assert argv[root - 1 : root + 2] == ["--ro-bind", str(bench.root), "/image"]
    assert argv.count("--bind") == 1
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent", "--clearenv"} <= set(argv)
    assert "--unshare-user" not in argv
    assert bench.runner.commands[-1].timeout_seconds == 120


def test_scan_when_asked_then_libapt_has_a_cache_of_its_own(bench: Bench) -> None:
    bench.scan()

    assert 'Dir::Cache::pkgcache "/out/pkgcache.bin";' in bench.texts["apt.conf"]
    assert bench.argv[bench.argv.index("APT_CONFIG") + 1] == "/out/apt.conf"


def test_scan_when_it_hangs_once_then_it_is_tried_again(bench: Bench) -> None:
    bench.endings = [a_result(-9, has_timed_out=True), a_result(0)]

    assert bench.scan().results


def test_scan_when_it_hangs_twice_then_nothing_is_known(bench: Bench) -> None:
    bench.endings = [a_result(-9, stdout=b"x:pass", has_timed_out=True)] * 2

    with pytest.raises(ScanFailed, match="it took more than 120 s, twice") as caught:
        bench.scan()
    assert caught.value.context == "x:pass"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (a_result(1, stderr=b"OpenSCAP Error: no such profile"), "ended with exit status 1"),
        (a_result(-11), "ended with exit status -11"),
        (a_result(2, stderr=b"W: harmless\nE: oscap:     dpkginfo_init has failed."),
         "part of it could not be looked at"),
        (a_result(0, stderr=b"E: The package cache could not be written"),
         "part of it could not be looked at"),
    ],
)  # fmt: skip
def test_scan_when_the_engine_did_not_do_all_its_work_then_nothing_is_known(
    bench: Bench, ending: CommandResult, said: str
) -> None:
    bench.endings = [ending]

    with pytest.raises(ScanFailed, match=said):
        bench.scan()


@pytest.mark.parametrize("text", ["", "<x/>", arf({"has_word": "pass"})[:-40]])
def test_scan_when_its_result_was_cut_short_then_nothing_is_known(bench: Bench, text: str) -> None:
    bench.arf = text

    with pytest.raises(ScanFailed, match="its result cannot be used"):
        bench.scan()


def test_page_then_is_made_of_the_packed_result(bench: Bench) -> None:
    raw = bench.scan().raw

    assert bench.scanner().page(raw, "cis_words") == b"<html>of " + bench.arf.encode()
    assert not (bench.folder / "page-work").exists()


def test_page_when_the_engine_makes_none_then_says_what_it_said(bench: Bench) -> None:
    raw = bench.scan().raw
    bench.page = a_result(1, stderr=b"no style sheet")

    with pytest.raises(ScanFailed, match="there is no page of its result") as caught:
        bench.scanner().page(raw, "cis_words")
    assert caught.value.context == "no style sheet"


def test_scan_when_there_is_no_engine_then_it_is_named(bench: Bench) -> None:
    del bench.runner.answers["oscap"]

    with pytest.raises(ProgramMissing) as caught:
        bench.scan()
    assert caught.value.program == "oscap"


def test_scan_when_the_profile_is_not_there_then_those_that_are_are_listed(bench: Bench) -> None:
    with pytest.raises(ProfileUnknown) as caught:
        bench.scan(profile="cis_word")
    assert caught.value.context == "It has cis_words, packages."
    assert "Did you mean cis_words?" in caught.value.hint


@pytest.mark.parametrize("name", ["cis_words", f"{PREFIX}_profile_cis_words"])
def test_scan_when_a_profile_is_named_short_or_whole_then_it_is_that(
    bench: Bench, name: str
) -> None:
    bench.scan(profile=name)

    assert bench.argv[bench.argv.index("--profile") + 1] == f"{PREFIX}_profile_cis_words"


@pytest.mark.parametrize(
    ("asked", "said", "near"),
    [
        ({"unselect": ("has_wort",)}, "has no rule has_wort", "has_word"),
        ({"variables": {"wort": "x"}}, "has no variable wort", "word"),
    ],
)
def test_tailoring_when_a_name_is_not_there_then_the_nearest_is_told(
    bench: Bench, asked: dict[str, Any], said: str, near: str
) -> None:
    with pytest.raises(RuleUnknown, match=said) as caught:
        bench.scan(**asked)
    assert caught.value.hint == f"Did you mean {near}?"
    assert not bench.runner.commands


def test_tailoring_when_asked_for_then_is_given_to_the_engine_and_its_digest_to_us(
    bench: Bench,
) -> None:
    asked = {"unselect": ("has_word", f"{PREFIX}_rule_has_other"), "variables": {"word": 'a<"&'}}

    scanned = bench.scan(**asked)
    bench.endings = [a_result(0)]
    again = bench.scan(**{**asked, "unselect": asked["unselect"][::-1]})  # type: ignore[index]  # values by name

    text = bench.texts["tailoring.xml"]
    assert scanned.tailoring == again.tailoring == Digest.of_bytes(text.encode())
    assert text.count('selected="false"') == 2
    assert f'<set-value idref="{PREFIX}_value_word">a&lt;"&amp;</set-value>' in text
    assert '<benchmark href="ssg-tests-ds.xml"/>' in text
    assert str(bench.folder) not in text
    assert "xccdf_imagebuilder_profile_cis_words" in bench.argv


needs_engine = pytest.mark.skipif(
    shutil.which("oscap") is None, reason="oscap is missing; scripts/test installs openscap-scanner"
)


@pytest.mark.root
@needs_engine
def test_engine_when_it_scans_then_rules_pass_and_fail_and_say_why(bench: Bench) -> None:
    (bench.root / "etc/word").write_text("word=open\n")
    (bench.root / "etc/other").write_text("word=shut\n")

    scanned = bench.really_scan()

    assert re.fullmatch(r"openscap [0-9.]+", scanned.engine)
    failed, passed = scanned.results
    assert (failed.rule, failed.outcome) == ("has_other", ControlOutcome.FAIL)
    assert "filepath=/etc/other text=word=shut subexpression=shut" in failed.evidence
    assert (passed.rule, passed.outcome) == ("has_word", ControlOutcome.PASS)
    scanner = OpenScapScanner(SystemCommandRunner(SystemClock()), bench.folders)
    assert b"Rule has_other" in scanner.page(scanned.raw, "cis_words")


@pytest.mark.root
@needs_engine
def test_engine_when_tailored_then_rules_are_gone_and_values_are_ours(bench: Bench) -> None:
    (bench.root / "etc/word").write_text("word=mine\n")

    scanned = bench.really_scan(unselect=("has_other",), variables={"word": "mine"})

    assert [(r.rule, r.outcome) for r in scanned.results] == [("has_word", ControlOutcome.PASS)]


@pytest.mark.root
@needs_engine
def test_engine_when_packages_cannot_be_asked_then_nothing_is_known_and_no_file_is_left(
    bench: Bench,
) -> None:
    # Packages without all that libapt wants: it says so, and yet ends as if the rule had failed.
    (bench.root / "var/lib/dpkg").mkdir(parents=True)
    (bench.root / "var/lib/dpkg/status").write_text("Package: dpkg\n")
    before = sorted(bench.root.rglob("*"))

    with pytest.raises(ScanFailed, match="part of it could not be looked at"):
        bench.really_scan(profile="packages")
    assert sorted(bench.root.rglob("*")) == before


@pytest.mark.root
@needs_engine
def test_engine_when_the_image_links_out_then_nothing_of_this_machine_is_seen(
    bench: Bench, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word=open\n")
    (bench.root / "etc/word").symlink_to(secret)
    (bench.root / "etc/other").symlink_to(f"../../../../../..{secret}")

    scanned = bench.really_scan()

    assert {result.outcome for result in scanned.results} == {ControlOutcome.FAIL}
    assert b"word=open" not in lzma.decompress(scanned.raw)


@pytest.mark.root
@needs_engine
def test_engine_when_the_image_has_a_pipe_and_a_huge_file_then_it_ends_by_itself_or_is_ended(
    bench: Bench,
) -> None:
    os.mkfifo(bench.root / "etc/word")
    with (bench.root / "etc/other").open("w") as opened:
        opened.truncate(8 * 2**30)
    scanner = OpenScapScanner(SystemCommandRunner(SystemClock()), bench.folders, timeout_seconds=5)

    try:
        scanned = scanner.scan(bench.root, bench.request(scanner))
    except ScanFailed:
        return
    assert ControlOutcome.PASS not in {result.outcome for result in scanned.results}
