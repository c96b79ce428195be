"""A recipe's tests as they really run: confined, judged, and with no way out."""

import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.confined.confinement import ConfinementLimits
from imagebuilder.adapters.confined.relay import RelayLimits
from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite, SuiteLimits
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.evidence import Outcome, Stage, TestResult
from imagebuilder.ports.inspection import SuiteEntry, SuiteResult, TestSuite, TestsUnusable
from imagebuilder.ports.machine import Machine, Script
from tests.fakes.machine import Answer, FakeMachine

pytestmark = pytest.mark.root

LIMITS = SuiteLimits(suite_seconds=20.0, test_seconds=5.0)


def a_suite(work: Path, limits: SuiteLimits = LIMITS) -> ConfinedSuite:
    return ConfinedSuite(
        SystemCommandRunner(SystemClock()), partial(working_folder, work), limits=limits
    )


def of(*paths: Path, **more: Any) -> TestSuite:
    """Give a suite of files and folders, each run alike."""
    return TestSuite(entries=tuple(SuiteEntry(path=path, **more) for path in paths))


def a_folder(tmp_path: Path, text: str, name: str = "test_it.py") -> Path:
    folder = tmp_path / "web"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def run(
    tmp_path: Path,
    text: str,
    *,
    machine: Machine | None = None,
    stage: Stage = Stage.OFFLINE,
    limits: SuiteLimits = LIMITS,
) -> SuiteResult:
    folder = a_folder(tmp_path, text)
    target = machine or FakeMachine()
    return a_suite(tmp_path / "work", limits).run(of(folder), stage, target, None)


def only(result: SuiteResult) -> TestResult:
    assert result.report.crash == ""
    (test,) = result.report.results
    return test


STAGES = """
import pytest
def test_plain(host): pass
@pytest.mark.booted
def test_booted(host): pass
@pytest.mark.machine
def test_machine(host): pass
@pytest.mark.booted
@pytest.mark.machine
def test_both(host): pass
"""


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        (Stage.OFFLINE, ["test_plain"]),
        (Stage.BOOTED, ["test_booted", "test_both"]),
        (Stage.MACHINE, ["test_machine", "test_both"]),
    ],
)
def test_run_of_a_stage_then_only_its_tests_run(
    tmp_path: Path, stage: Stage, names: list[str]
) -> None:
    result = run(tmp_path, STAGES, stage=stage)
    assert [r.name.split("::")[1] for r in result.report.results] == names
    assert result.report.has_passed


def test_stages_when_tests_are_marked_then_they_are_found_by_collecting(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, STAGES)
    assert a_suite(tmp_path / "work").stages(of(folder)) == frozenset(Stage)


def test_run_when_no_test_is_for_the_stage_then_nothing_ran_and_nothing_is_wrong(
    tmp_path: Path,
) -> None:
    result = run(tmp_path, "def test_plain(): pass", stage=Stage.MACHINE)
    assert result.report.results == ()
    assert result.report.has_passed


def test_run_of_commands_then_the_machine_gets_them_and_the_test_its_answers(
    tmp_path: Path,
) -> None:
    machine = FakeMachine(lambda _s: Answer(exit_status=3, stdout=b"h\xc3\xa4h\n", stderr=b"\xff"))
    result = run(
        tmp_path,
        "def test_it(host):\n"
        "    said = host.run('echo %s', \"a'b\")\n"
        "    assert (said.rc, said.stdout, said.stderr_bytes) == (3, 'h\\xe4h\\n', b'\\xff')\n",
        machine=machine,
    )
    assert only(result).outcome is Outcome.PASSED
    assert [s.text for s in machine.scripts] == ["""echo 'a'"'"'b'"""]


def test_run_with_a_conftest_then_its_fixtures_work(tmp_path: Path) -> None:
    a_folder(tmp_path, "import pytest\n@pytest.fixture\ndef n(): return 7\n", "conftest.py")
    assert only(run(tmp_path, "def test_n(n): assert n == 7")).outcome is Outcome.PASSED


def test_run_with_settings_of_its_own_then_they_do_not_count(tmp_path: Path) -> None:
    a_folder(tmp_path, "[pytest]\naddopts = --collect-only\n", "pytest.ini")
    assert only(run(tmp_path, "def test_it(): assert 0")).outcome is Outcome.FAILED


def test_run_of_two_folders_of_one_name_then_both_run(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "tests", tmp_path / "b" / "tests"]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / f"test_{number}.py").write_text("def test_it(): pass")
    result = a_suite(tmp_path / "work").run(of(*folders), Stage.OFFLINE, FakeMachine(), None)
    assert len(result.report.results) == 2
    assert result.report.has_passed


def test_run_when_only_root_may_read_the_tests_then_they_run_all_the_same(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, "def test_it(): pass")
    folder.chmod(0o700)
    (folder / "test_it.py").chmod(0o600)
    result = a_suite(tmp_path / "work").run(of(folder), Stage.OFFLINE, FakeMachine(), None)
    assert only(result).outcome is Outcome.PASSED


def test_run_then_the_work_folder_is_left_empty(tmp_path: Path) -> None:
    run(tmp_path, "def test_it(): pass")
    assert list((tmp_path / "work").iterdir()) == []


def test_run_when_a_folder_has_no_test_then_it_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(TestsUnusable, match="there is no test in web"):
        run(tmp_path, "x = 1")


def test_stages_when_a_folder_has_no_test_then_it_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(TestsUnusable, match="there is no test in web"):
        a_suite(tmp_path / "work").stages(of(a_folder(tmp_path, "x = 1")))


def test_stages_when_a_file_cannot_be_imported_then_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(TestsUnusable) as refusal:
        a_suite(tmp_path / "work").stages(of(a_folder(tmp_path, "import nosuchthing")))
    assert "No module named 'nosuchthing'" in refusal.value.context


def test_run_when_the_path_does_not_exist_then_it_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(TestsUnusable, match="cannot be read"):
        a_suite(tmp_path / "work").run(of(tmp_path / "nowhere"), Stage.OFFLINE, FakeMachine(), None)


WISHES = """
import pytest
def test_recipe(recipe): assert recipe["image"] == "debian-web"
def test_variables(variables): assert variables["greeting"] == "hello"
@pytest.mark.each(port="ports")
@pytest.mark.each(word="words")
def test_each(port, word, host): assert isinstance(port, int) and word in "ab"
"""


def test_run_with_variables_then_tests_get_them_and_run_for_each_item(tmp_path: Path) -> None:
    entry = SuiteEntry(
        path=a_folder(tmp_path, WISHES),
        variables={"greeting": "hello", "ports": [80, 443], "words": ["a", "b"]},
    )
    asked = TestSuite(entries=(entry,), recipe={"image": "debian-web"})
    report = a_suite(tmp_path / "work").run(asked, Stage.OFFLINE, FakeMachine(), None).report
    assert report.has_passed, report
    assert len(report.results) == 6
    assert "web/test_it.py::test_each[a-443]" in {r.name for r in report.results}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("each(port='doors')", "has no list 'doors'"),
        ("each(port='word')", "has no list 'word'"),
        ("each('ports')", "Write each with an argument"),
        ("retries(6)", "at most 5 retries"),
        ("retries(True)", "takes one number"),
        ("timeout(601)", "at most 600 s"),
        ("timeout(0)", "at most 600 s"),
        ("boooted", "'boooted' not found in `markers`"),
    ],
)
def test_run_when_a_marker_asks_for_what_is_not_there_then_no_test_runs(
    tmp_path: Path, given: str, words: str
) -> None:
    folder = a_folder(tmp_path, f"import pytest\n@pytest.mark.{given}\ndef test_it(port=1): pass\n")
    asked = of(folder, variables={"ports": [1], "word": "x"})
    report = a_suite(tmp_path / "work").run(asked, Stage.OFFLINE, FakeMachine(), None).report
    assert words in report.crash
    assert report.results == ()


SHAKY = """
import itertools, pytest
tries = itertools.count(1)
@pytest.fixture(scope="module")
def started(): return next(tries)
def test_third(started): assert started == 3, f"try {started}"
def test_never(): assert 0
@pytest.mark.retries(0)
def test_once(): assert 0
def test_good(): pass
"""


def test_run_with_retries_then_what_passed_later_says_how_often_it_was_tried(
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    asked = of(a_folder(tmp_path, SHAKY), retries=2)
    report = (
        a_suite(tmp_path / "work").run(asked, Stage.OFFLINE, FakeMachine(), lines.append).report
    )
    third, never, once, good = report.results
    assert (third.outcome, third.attempts, third.is_shaky) == (Outcome.PASSED, 3, True)
    assert third.detail.startswith("Passed on try 3; the first one said: AssertionError: try 1")
    assert (never.outcome, never.attempts) == (Outcome.FAILED, 3)
    assert never.detail.endswith("Tried 3 times.")
    assert (once.outcome, once.attempts) == (Outcome.FAILED, 1)
    assert (good.attempts, good.is_shaky, good.detail) == (1, False, "")
    assert "test_third passed on try 3" in lines[0]


def test_run_with_a_time_limit_then_each_try_has_it(tmp_path: Path) -> None:
    text = (
        "import pytest\n@pytest.mark.timeout(0.2)\ndef test_loop():\n    while True: pass\n"
        "def test_other():\n    while True: pass\n"
    )
    limits = SuiteLimits(suite_seconds=20.0, test_seconds=30.0)
    asked = of(a_folder(tmp_path, text), retries=1, timeout_seconds=1)
    report = a_suite(tmp_path / "work", limits).run(asked, Stage.OFFLINE, FakeMachine(), None)
    loop, other = report.report.results
    assert (loop.attempts, other.attempts) == (2, 2)
    assert "longer than 0.2 s" in loop.detail
    assert "longer than 1 s" in other.detail
    assert 0.4 <= loop.seconds < 1.0


def test_run_of_a_command_then_it_has_as_long_as_its_test(tmp_path: Path) -> None:
    machine = FakeMachine()
    asked = of(a_folder(tmp_path, "def test_it(host): host.run('true')"), timeout_seconds=300)
    a_suite(tmp_path / "work").run(asked, Stage.OFFLINE, machine, None)
    (script,) = machine.scripts
    assert script.timeout_seconds is not None
    assert 200 < script.timeout_seconds <= 300


FORGERY = """
import os
def test_it():
    for fd in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                os.write(fd, b"x\\n")
        except OSError:
            pass
"""
CRASHES = {
    "exit": ("def test_it(): import os; os._exit(0)", "exit status 0 in web/test_it.py::test_it"),
    "segfault": ("def test_it(): import ctypes; ctypes.string_at(1)", "was killed by signal 11"),
    "kill": ("def test_it(): import os; os.kill(os.getpid(), 9)", "was killed by signal 9"),
    "import-exit": ("import sys; sys.exit(0)", "exit status 3"),
    "import-error": ("1/0", "ZeroDivisionError"),
    "import-loop": ("while True: pass", "took longer than 5 s"),
    "forged-report": (FORGERY, "wrote into their own report"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_run_when_the_test_process_breaks_then_it_is_a_crash_and_no_pass(
    tmp_path: Path, name: str
) -> None:
    text, words = CRASHES[name]
    report = run(tmp_path, text).report
    assert not report.has_passed
    assert report.crash
    assert words in report.crash


def test_run_when_a_test_loops_for_ever_then_it_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    limits = SuiteLimits(suite_seconds=20.0, test_seconds=0.5)
    text = "def test_loop():\n    while True: pass\ndef test_next(): pass\n"
    loop, following = run(tmp_path, text, limits=limits).report.results
    assert loop.outcome is Outcome.FAILED
    assert "Timeout" in loop.detail
    assert following.outcome is Outcome.PASSED


def test_run_when_a_test_cannot_be_interrupted_then_the_time_for_all_ends_it(
    tmp_path: Path,
) -> None:
    limits = SuiteLimits(suite_seconds=8.0, test_seconds=1.0)
    text = (
        "import signal, time\ndef test_it():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n"
        "    while True: time.sleep(9)\n"
    )
    crash = run(tmp_path, text, limits=limits).report.crash
    assert crash == (
        "The tests took longer than allowed in web/test_it.py::test_it and were ended."
    )


def test_run_when_a_test_prints_gigabytes_then_it_fails_and_the_report_stays_small(
    tmp_path: Path,
) -> None:
    text = "def test_it():\n    while True: print('x' * 100_000)\n"
    result = run(tmp_path, text)
    assert not result.report.has_passed
    assert len(result.report.failures[0].detail) < 10_000
    assert len(result.output) < 5_000_000


def test_run_when_a_test_eats_memory_then_it_fails(tmp_path: Path) -> None:
    assert only(run(tmp_path, "def test_it(): bytearray(8 << 30)")).detail.endswith("MemoryError")


def test_run_when_a_test_forks_without_end_then_it_fails(tmp_path: Path) -> None:
    limits = SuiteLimits(
        suite_seconds=10.0, test_seconds=5.0, confinement=ConfinementLimits(processes=16)
    )
    text = "import os, time\ndef test_it():\n    while True:\n        os.fork() or time.sleep(99)\n"
    assert not run(tmp_path, text, limits=limits).report.has_passed


def test_run_when_the_machine_goes_away_then_it_is_a_crash(tmp_path: Path) -> None:
    machine = FakeMachine(is_lost=True)
    report = run(tmp_path, "def test_it(host): host.run('true')", machine=machine).report
    assert report.crash.startswith("The fake machine went away")


def test_run_when_a_command_takes_too_long_then_the_test_fails_and_says_so(tmp_path: Path) -> None:
    machine = FakeMachine(lambda _s: Answer(exit_status=-9, has_timed_out=True))
    result = run(tmp_path, "def test_it(host): host.run('sleep 99')", machine=machine)
    assert only(result).outcome is Outcome.FAILED
    assert "took longer than 5 s: sleep 99" in only(result).detail


def test_run_when_a_test_times_out_in_a_command_then_the_next_gets_its_own_answer(
    tmp_path: Path,
) -> None:
    released = threading.Event()

    def answer(script: Script) -> Answer:
        if script.text == "slow":
            released.wait(2)
        return Answer(stdout=script.text.encode())

    limits = SuiteLimits(suite_seconds=20.0, test_seconds=1.0)
    text = (
        "def test_slow(host): host.run('slow')\n"
        "def test_next(host): assert host.run('quick').stdout == 'quick'\n"
    )
    slow, following = run(tmp_path, text, machine=FakeMachine(answer), limits=limits).report.results
    assert slow.outcome is Outcome.FAILED
    assert following.outcome is Outcome.PASSED


HOSTILE_MESSAGES = {
    "no-json": "b'\\0\\0\\0\\4nope'",
    "no-mapping": "b'\\0\\0\\0\\2[]'",
    "unknown": "b'\\0\\0\\0\\2{}'",
    "too-long": "b'\\xff\\xff\\xff\\xff'",
    "bad-counts": "b'\\0\\0\\0\\x0f{\"collected\":1}'",
    "bad-time": 'b\'\\0\\0\\0\\x24{"run":"x","number":1,"seconds":"9"}\'',
    "deep": "b'\\0\\1\\0\\0' + b'[' * 65536",
}


@pytest.mark.parametrize("name", HOSTILE_MESSAGES)
def test_run_when_a_test_speaks_to_the_relay_itself_then_it_is_cut_off(
    tmp_path: Path, name: str
) -> None:
    text = (
        "import socket\ndef test_it(host):\n"
        f"    host.backend._channel.sendall({HOSTILE_MESSAGES[name]})\n"
        "    host.backend._channel.recv(1)\n"
    )
    crash = run(tmp_path, text).report.crash
    assert crash.startswith("The test process was cut off: it sent")


def test_run_when_a_test_runs_too_many_commands_then_it_is_cut_off(tmp_path: Path) -> None:
    limits = SuiteLimits(suite_seconds=20.0, relay=RelayLimits(commands=5))
    text = "def test_it(host):\n    while True: host.run('true')\n"
    assert "more than 5 commands" in run(tmp_path, text, limits=limits).report.crash


class TestEscapes:
    """What a hostile test tries, and may not."""

    def escape(self, tmp_path: Path, body: str) -> TestResult:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        result = run(tmp_path, f"import os, pathlib, socket\ndef test_it():\n{lines}")
        test = only(result)
        assert test.outcome is Outcome.PASSED, test.detail
        return test

    def test_escape_when_reading_a_host_file_then_it_is_not_there(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        self.escape(
            tmp_path,
            f"for path in ({str(secret)!r}, '/etc/shadow', '/etc/passwd', '/root/.ssh', '/var'):\n"
            "    assert not os.path.exists(path), path",
        )

    def test_escape_by_a_link_in_the_tests_folder_then_it_leads_nowhere(
        self, tmp_path: Path
    ) -> None:
        a_folder(tmp_path, "")
        (tmp_path / "web" / "shadow").symlink_to("/etc/shadow")
        self.escape(tmp_path, "assert not os.path.exists('/tests/web/shadow')")

    def test_escape_by_the_network_then_there_is_none(self, tmp_path: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            self.escape(
                tmp_path,
                "s = socket.socket()\ns.settimeout(2)\n"
                f"assert s.connect_ex(('127.0.0.1', {port}))\n"
                "assert [n for _, n in socket.if_nameindex()] == ['lo']",
            )

    def test_escape_by_an_abstract_socket_then_it_is_not_seen(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            name = f"\0imagebuilder-test-{os.getpid()}"
            listener.bind(name)
            listener.listen()
            self.escape(tmp_path, f"assert socket.socket(socket.AF_UNIX).connect_ex({name!r})")

    def test_escape_by_processes_then_only_its_own_are_seen(self, tmp_path: Path) -> None:
        self.escape(tmp_path, "assert len([n for n in os.listdir('/proc') if n.isdigit()]) <= 3")

    def test_escape_by_a_signal_to_the_builder_then_there_is_no_such_process(
        self, tmp_path: Path
    ) -> None:
        self.escape(
            tmp_path,
            f"try: os.kill({os.getpid()}, 9)\n"
            "except (ProcessLookupError, PermissionError): pass\nelse: assert False\n"
            "try: os.kill(1, 9)\nexcept PermissionError: pass\nelse: assert False",
        )

    def test_escape_by_writing_then_only_a_small_tmp_takes_it(self, tmp_path: Path) -> None:
        self.escape(
            tmp_path,
            "writable = []\n"
            "for folder, below, _ in os.walk('/'):\n"
            "  if folder == '/': below[:] = set(below) - {'proc', 'dev', 'tmp'}\n"
            "  if os.statvfs(folder).f_flag & os.ST_RDONLY: below.clear()\n"
            "  if os.access(folder, os.W_OK): writable.append(folder)\n"
            "assert writable == []\n"
            "assert os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize <= 1 << 28",
        )

    def test_escape_by_rights_then_it_has_none(self, tmp_path: Path) -> None:
        self.escape(
            tmp_path,
            "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
            "assert status['Uid'].split() == ['65534'] * 4\n"
            "assert os.getgroups() == []\n"
            "for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):\n"
            "    assert int(status[name], 16) == 0, name\n"
            "assert status['NoNewPrivs'].strip() == '1'",
        )

    def test_escape_by_the_environment_then_it_holds_nothing_of_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("IMAGEBUILDER_SECRET", "secret")
        self.escape(tmp_path, "assert 'IMAGEBUILDER_SECRET' not in os.environ")

    def test_escape_by_descriptors_then_only_pipes_and_a_socket_are_open(
        self, tmp_path: Path
    ) -> None:
        self.escape(
            tmp_path,
            "links = []\n"
            "for fd in os.listdir('/proc/self/fd'):\n"
            "    try: links.append(os.readlink(f'/proc/self/fd/{fd}'))\n"
            "    except OSError: pass\n"
            "allowed = ('pipe:', 'socket:', '/dev/null', '/tmp/', '/proc/', 'anon_inode')\n"
            "assert [l for l in links if not l.startswith(allowed)] == []",
        )

    def test_escape_by_leaving_a_process_behind_then_it_ends_with_the_run(
        self, tmp_path: Path
    ) -> None:
        mark = f"imagebuilder-stray-{os.getpid()}"
        text = (
            "import os, subprocess\ndef test_it():\n"
            f"    subprocess.Popen(['/bin/sh', '-c', 'sleep 99; exit', '{mark}'],"
            " start_new_session=True)\n"
        )
        run(tmp_path, text)
        # Its namespace is taken down while we already have the result.
        assert _ends(mark)


def _showing(mark: str) -> list[Path]:
    return [p for p in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(p)]


def _ends(mark: str) -> bool:
    """Whether all processes with mark in their command are gone within ten seconds."""
    pause = threading.Event()
    for _ in range(200):
        if not _showing(mark):
            return True
        pause.wait(0.05)
    return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_run_when_we_are_killed_then_no_test_process_stays(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}"
    folder = a_folder(tmp_path, f"import time\ndef test_it(): time.sleep(99)  # {mark}\n")
    child = os.fork()
    if child == 0:
        try:
            a_suite(tmp_path / mark).run(of(folder), Stage.OFFLINE, FakeMachine(), None)
        finally:
            os._exit(1)
    pause = threading.Event()
    for _ in range(200):
        if _showing(mark):
            break
        pause.wait(0.05)
    assert _showing(mark)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert _ends(mark)
