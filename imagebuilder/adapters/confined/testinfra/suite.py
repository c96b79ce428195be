"""A recipe's testinfra files, run by pytest in a process that sees only the image."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, TypeAlias

from imagebuilder.adapters.confined.confinement import (
    NOBODY,
    ConfinementLimits,
    Interpreter,
    Walls,
    confined,
    is_root,
)
from imagebuilder.adapters.confined.relay import FarEnds, Relay, RelayLimits
from imagebuilder.adapters.confined.staging import copy_foreign, make_readable, stage_ourselves
from imagebuilder.adapters.confined.testinfra.report import ReportLog
from imagebuilder.domain.digest import Canonical, Digest, digest_of
from imagebuilder.domain.evidence import Stage, TestReport
from imagebuilder.domain.packs import PACK_PREFIX
from imagebuilder.domain.recipe import LONGEST_TEST_SECONDS, MOST_RETRIES
from imagebuilder.ports.inspection import SuiteEntry, SuiteResult, TestSuite, TestsUnusable
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import Command, CommandResult, CommandRunner, OnLine

_OURS_INSIDE = "/relay"
_TESTS_INSIDE = "/tests"
_SETTINGS = "settings.json"
_REMEMBERED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteLimits:
    """How long tests may take, how much they may be and use."""

    suite_seconds: float = 900.0
    test_seconds: float = 60.0
    tests_bytes: int = 64 * 1024 * 1024
    confinement: ConfinementLimits = field(default_factory=ConfinementLimits)
    relay: RelayLimits = field(default_factory=RelayLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What one run of pytest left behind."""

    log: ReportLog
    relay: Relay
    ending: CommandResult

    @property
    def output(self) -> str:
        return (self.ending.stdout + self.ending.stderr).decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """A readable copy of the tests, and what is in it."""

    folder: Path
    entries: tuple[str, ...]
    digest: Digest


Folders: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Gives a new folder, named with a prefix, that is gone when the context ends."""


class ConfinedSuite:
    """Runs tests in bubblewrap as nobody; their commands reach the machine under test by relay."""

    __test__: ClassVar[bool] = False

    def __init__(
        self, runner: CommandRunner, folders: Folders, *, limits: SuiteLimits | None = None
    ) -> None:
        """Keep short-lived copies of tests in what folders gives."""
        self._runner = runner
        self._folders = folders
        self._limits = limits or SuiteLimits()
        self._known_stages: dict[Digest, frozenset[Stage]] = {}

    def run(
        self, suite: TestSuite, stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        """Run the tests marked for a stage (unmarked ones are offline) and give what they said.

        A killed interpreter, a time limit or a missing end of the report is a crash, never a pass.
        A test that passed on a retry says so.
        Raises: TestsUnusable: there is no test in a given file or folder, of whatever stage.
        """
        results = [self._run(group, stage, machine, on_line) for group in _groups(suite)]
        return SuiteResult(
            report=TestReport(
                stage=stage,
                results=tuple(found for each in results for found in each.report.results),
                seconds=sum(each.report.seconds for each in results),
                crash="\n".join(each.report.crash for each in results if each.report.crash),
            ),
            output="\n".join(each.output for each in results),
            controls={k: v for each in results for k, v in each.controls.items()},
        )

    def stages(self, suite: TestSuite) -> frozenset[Stage]:
        """Give the stages that have tests; pytest is not started again for tests that just ran.

        Raises: TestsUnusable: nothing was collected, or a file cannot be imported.
        """
        return frozenset().union(*(self._stages(group) for group in _groups(suite)))

    def _run(
        self, group: TestSuite, stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        options = [f"--relay-stage={stage.value}"]
        options += [f"--relay-firmware={group.firmware.value}"] if group.firmware else []
        with self._staged(group) as staged:
            session = self._session(staged, options, machine, on_line)
            crash = self._crash(session)
            if not crash:
                self._remember_stages(staged, session)
        report = TestReport(
            stage=stage, results=session.log.results, seconds=session.ending.seconds, crash=crash
        )
        return SuiteResult(report=report, output=session.output, controls=session.log.controls)

    def _stages(self, group: TestSuite) -> frozenset[Stage]:
        with self._staged(group) as staged:
            known = self._known_stages.get(staged.digest)
            if known is not None:
                return known
            session = self._session(staged, ["--collect-only"], None, None)
            if crash := self._crash(session):
                raise TestsUnusable(crash.splitlines()[0].rstrip("."), crash)
            return self._remember_stages(staged, session)

    def _session(
        self,
        staged: "_Staged",
        options: Sequence[str],
        machine: Machine | None,
        on_line: OnLine | None,
    ) -> _Session:
        log = ReportLog(on_line, entries=frozenset(staged.entries))
        owner = NOBODY if is_root() else None
        with Relay(machine, log.add, self._limits.relay, owner) as relay:
            ends = relay.far_ends
            python = Interpreter.ours()
            argv = confined(
                [str(python.program), *self._pytest(ends), *options, _TESTS_INSIDE],
                Walls(
                    folders={
                        _OURS_INSIDE: staged.folder / "ours",
                        _TESTS_INSIDE: staged.folder / "tests",
                    },
                    workplace=_TESTS_INSIDE,
                    environment={
                        "PYTHONPATH": _OURS_INSIDE,
                        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    },
                    interpreter=python,
                    limits=self._limits.confinement,
                ),
                is_root=is_root(),
            )
            ending = self._runner.run(
                Command(
                    argv=argv,
                    timeout_seconds=self._limits.suite_seconds,
                    keep_open=(ends.channel, ends.reports),
                )
            )
        return _Session(log=log, relay=relay, ending=ending)

    def _pytest(self, ends: FarEnds) -> list[str]:
        """The interpreter's arguments; a recipe's own pytest settings and plugins do not count."""
        return [
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "testinfra.plugin",
            "-p",
            "pytest_reportlog.plugin",
            "-p",
            "imagebuilder.adapters.confined.testinfra.recipe_plugin",
            "-p",
            "imagebuilder.adapters.confined.testinfra.relay_plugin",
            "-p",
            "imagebuilder.adapters.confined.testinfra.rest_plugin",
            "--strict-markers",
            "-p",
            "imagebuilder.adapters.confined.testinfra.control_plugin",
            "-c",
            "/dev/null",
            "--color=no",
            f"--rootdir={_TESTS_INSIDE}",
            f"--recipe-settings={_OURS_INSIDE}/{_SETTINGS}",
            f"--hosts=relay://{ends.channel}",
            f"--relay-socket={ends.channel}",
            f"--relay-import-seconds={self._limits.test_seconds:g}",
            f"--report-log=/dev/fd/{ends.reports}",
        ]

    def _crash(self, session: _Session) -> str:
        """Say what broke the run: the image's machine, the conversation, or the process itself."""
        if session.relay.lost is not None:
            return f"{session.relay.lost.message}\n{session.relay.lost.context}".strip()
        if session.relay.complaint:
            return f"The test process was cut off: {session.relay.complaint}."
        return session.log.crash(session.ending)

    def _remember_stages(self, staged: _Staged, session: _Session) -> frozenset[Stage]:
        collected = session.relay.collected or {}
        empty = [name for name in staged.entries if not collected.get(name)]
        if empty:
            raise TestsUnusable(f"there is no test in {', '.join(empty)}", session.output)
        stages = frozenset(Stage(name) for found in collected.values() for name in found)
        if len(self._known_stages) >= _REMEMBERED:
            self._known_stages.clear()
        self._known_stages[staged.digest] = stages
        return stages

    @contextmanager
    def _staged(self, suite: TestSuite) -> Iterator[_Staged]:
        """Copy the tests to where the user nobody can read them, whoever may read the originals."""
        with self._folders("tests-") as folder:
            stage_ourselves(folder / "ours")
            entries = _copied(suite.entries, folder / "tests")
            settings = self._settings(suite, entries)
            (folder / "ours" / _SETTINGS).write_text(json.dumps(settings))
            make_readable(folder)
            contents = dict(_contents(folder / "tests", self._limits.tests_bytes))
            digest = digest_of([contents, settings])
            yield _Staged(folder=folder, entries=entries, digest=digest)

    def _settings(self, suite: TestSuite, names: Sequence[str]) -> dict[str, Canonical]:
        """Give what the plugin is told, each entry by the name of its copy."""
        entries: dict[str, Canonical] = {
            name: {
                "variables": dict(entry.variables),
                "retries": entry.retries,
                "timeout_seconds": entry.timeout_seconds or self._limits.test_seconds,
            }
            for name, entry in zip(names, suite.entries, strict=True)
        }
        return {
            "entries": entries,
            "recipe": dict(suite.recipe),
            "most_retries": MOST_RETRIES,
            "longest_seconds": LONGEST_TEST_SECONDS,
        }


def _groups(suite: TestSuite) -> list[TestSuite]:
    """Give what may share an interpreter: packs, which are ours, never do with foreign tests."""
    packs = tuple(entry for entry in suite.entries if entry.pack)
    foreign = tuple(entry for entry in suite.entries if not entry.pack)
    return [replace(suite, entries=entries) for entries in (packs, foreign) if entries]


def _copied(entries: Sequence[SuiteEntry], folder: Path) -> tuple[str, ...]:
    """Copy each file or folder under a name of its own and give the names."""
    folder.mkdir()
    names: list[str] = []
    for entry in entries:
        source = Path(entry.path)
        # Only a pack is called like one.
        name = first = f"{PACK_PREFIX}{entry.pack}" if entry.pack else source.name.replace(":", "_")
        count = 1
        while name in names:
            count += 1
            name = f"{Path(first).stem}_{count}{Path(first).suffix}"
        try:
            copy_foreign(source, folder / name)
        except (OSError, shutil.Error) as error:
            raise TestsUnusable(f"{source} cannot be read", str(error)) from error
        names.append(name)
    return tuple(names)


def _contents(folder: Path, limit_bytes: int) -> Mapping[str, str]:
    """Give what the staged tests are. Shape: path -> digest of its bytes, or where it links to."""
    contents: dict[str, str] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            contents[name] = str(path.readlink())
        elif path.is_file():
            total += path.stat().st_size
            if total > limit_bytes:
                reason = f"they are larger than {limit_bytes // 2**20} MiB in all"
                raise TestsUnusable(reason, str(path))
            contents[name] = Digest.of_bytes(path.read_bytes()).hex
    return contents
