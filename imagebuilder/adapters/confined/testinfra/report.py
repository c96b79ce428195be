"""pytest's report log, line by line, into results.

Source: pytest-reportlog 1.0, "JSON lines"; pytest 8, exit codes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.domain.control import ControlMark
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.evidence import Outcome, TestResult
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.process import CommandResult, OnLine

_LONGEST_DETAIL = 2000
_GOOD_EXITS = {0, 1, 5}
"""All passed; some failed; nothing was left for this stage."""
_SIGNAL_EXIT = 128
"""Shells and bubblewrap add it to the number of the signal that killed a program."""


@dataclass(slots=True)
class _Case:
    """What was said so far about one test."""

    outcome: Outcome = Outcome.PASSED
    seconds: float = 0.0
    detail: str = ""
    attempts: int = 1
    has_ended: bool = False


@dataclass(slots=True)
class ReportLog:
    """Takes the lines as they come; tells `on_line` of each test that ended.

    `entries` are the files and folders whose tests run; what speaks of others is made up.
    Shape: `controls` maps the name of a test to the control that it is marked with.
    """

    on_line: OnLine | None = None
    entries: frozenset[str] | None = None
    import_faults: list[str] = field(default_factory=list)
    controls: dict[str, ControlMark] = field(default_factory=dict)
    _cases: dict[str, _Case] = field(default_factory=dict)
    _exit_status: int | None = None
    _is_garbled: bool = False

    def add(self, line: bytes) -> None:
        """Take one line."""
        if not line.strip():
            return
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            self._is_garbled = True
            return
        if not isinstance(entry, dict):
            self._is_garbled = True
            return
        match entry.get("$report_type"):
            case "TestReport":
                self._add_test(entry)
            case "CollectReport" if entry.get("outcome") == "failed":
                self.import_faults.append(f"{entry.get('nodeid')}: {_reason(entry)}")
            case "SessionFinish":
                status = entry.get("exitstatus")
                self._exit_status = status if isinstance(status, int) else None

    @property
    def results(self) -> tuple[TestResult, ...]:
        """The tests that got their say, in the order they began."""
        return tuple(
            TestResult(
                name=name,
                outcome=c.outcome,
                seconds=c.seconds,
                detail=c.detail,
                attempts=c.attempts,
            )
            for name, c in self._cases.items()
            if c.has_ended
        )

    def crash(self, ending: CommandResult) -> str:
        """Say what broke the run itself, given how its process ended; nothing when it was whole."""
        if ending.has_timed_out or self._exit_status is None:
            return self._cut_short(ending)
        if self.import_faults:
            return "\n".join(["Not every test file can be imported.", *self.import_faults])
        if self._exit_status not in _GOOD_EXITS:
            return f"pytest gave up with exit status {self._exit_status}.\n{ending.last_lines}"
        if ending.exit_status != self._exit_status:
            return f"The test process {_ending(ending.exit_status)} after its last test."
        if self._is_garbled:
            return "The tests wrote into their own report, which cannot be read any more."
        return ""

    def _cut_short(self, ending: CommandResult) -> str:
        if ending.has_timed_out:
            return f"The tests took longer than allowed{self._place} and were ended."
        how = _ending(ending.exit_status)
        return f"The test process {how}{self._place}.\n{ending.last_lines}".strip()

    def _add_test(self, entry: Mapping[str, Canonical]) -> None:
        name = _name(str(entry.get("nodeid", "")))
        if self.entries is not None and re.split("/|::", name)[0] not in self.entries:
            self._is_garbled = True
            return
        case = self._cases.setdefault(name, _Case())
        control = _control(entry.get("control"))
        if control is not None:
            self.controls[name] = control
        duration = entry.get("duration")
        case.seconds += duration if isinstance(duration, int | float) else 0.0
        outcome = _outcome(entry)
        if case.outcome is Outcome.PASSED and outcome is not Outcome.PASSED:
            case.outcome = outcome
            case.detail = _reason(entry)
        if entry.get("when") == "teardown":
            case.has_ended = True
            _add_earlier(case, entry)
            if self.on_line is not None:
                tried = f" on try {case.attempts}" if case.attempts > 1 else ""
                self.on_line(f"{name} {case.outcome}{tried} ({case.seconds:.2f} s)")

    @property
    def _place(self) -> str:
        """Where in the run we are, for messages."""
        running = [name for name, case in self._cases.items() if not case.has_ended]
        if running:
            return f" in {running[-1]}"
        ended = list(self._cases)
        return f" after {ended[-1]}" if ended else " before the first test"


def _add_earlier(case: _Case, entry: Mapping[str, Canonical]) -> None:
    """Tell of the tries before the one that counts."""
    earlier = entry.get("earlier")
    if not isinstance(earlier, list) or not earlier:
        return
    tries = [each for each in earlier if isinstance(each, Mapping)]
    case.attempts = 1 + len(earlier)
    for each in tries:
        seconds = each.get("seconds")
        case.seconds += seconds if isinstance(seconds, int | float) else 0.0
    if case.outcome is Outcome.PASSED:
        first = _short(str(tries[0].get("reason", "")) if tries else "")
        case.detail = f"Passed on try {case.attempts}; the first one said: {first}"
    else:
        case.detail = f"{case.detail}\nTried {case.attempts} times.".strip()


def _control(said: Canonical) -> ControlMark | None:
    """Give the control that a test looks at, as our plugin says it; None for anything else."""
    if not isinstance(said, Mapping):
        return None
    rule, severity, title = (said.get(key) for key in ("rule", "severity", "title"))
    if not isinstance(rule, str) or not isinstance(title, str):
        return None
    known = next((each for each in Severity if each == severity), Severity.UNKNOWN)
    return ControlMark(rule=rule, severity=known, title=title)


def _outcome(entry: Mapping[str, Canonical]) -> Outcome:
    match entry.get("outcome"):
        case "passed":
            return Outcome.PASSED
        case "skipped":
            return Outcome.SKIPPED
        case _:
            # What goes wrong around a test says nothing about the image.
            return Outcome.FAILED if entry.get("when") == "call" else Outcome.ERROR


def _ending(exit_status: int) -> str:
    number = exit_status - _SIGNAL_EXIT if exit_status > _SIGNAL_EXIT else -exit_status
    if number > 0:
        return f"was killed by signal {number}"
    return f"ended with exit status {exit_status}"


def _name(node_id: str) -> str:
    """Give a test's name without the host that testinfra adds to it."""
    return node_id.replace("[image]", "").replace("[image-", "[").replace("-image]", "]")


def _reason(entry: Mapping[str, Canonical]) -> str:
    """Give why a test did not pass, as short as pytest has it."""
    match entry.get("longrepr"):
        case {"reprcrash": {"path": path, "lineno": line, "message": message}}:
            text = f"{str(path).removeprefix('/tests/')}:{line}: {message}"
        case [_, _, reason]:
            text = str(reason)
        case None:
            text = ""
        case other:
            text = str(other)
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]}..."
