"""Evidence: what tests saw of an image before it was recorded."""

from dataclasses import dataclass
from enum import StrEnum

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import StepFailed


class Stage(StrEnum):
    """Where tests look: at files at rest, at services in a container, at the whole machine."""

    OFFLINE = "offline"
    BOOTED = "booted"
    MACHINE = "machine"


class Outcome(StrEnum):
    """How one test ended; an error is a test that could not be judged."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test's outcome, with the reason when it did not pass.

    `attempts` is how often it was tried; the last one counts, and `detail` tells of the others.
    """

    __test__ = False

    name: str
    outcome: Outcome
    seconds: float
    detail: str = ""
    attempts: int = 1

    @property
    def is_shaky(self) -> bool:
        """Whether it passed, but not the first time."""
        return self.outcome is Outcome.PASSED and self.attempts > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """All that one stage's tests said.

    Invariant: `crash` says what broke the run itself (a killed interpreter, nothing collected) and
    is empty when every test got its say.
    """

    __test__ = False

    stage: Stage
    results: tuple[TestResult, ...]
    seconds: float
    crash: str = ""
    evidence: Digest | None = None

    @property
    def has_passed(self) -> bool:
        """Whether nothing failed and the run itself was whole."""
        return not self.crash and not self.failures

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The tests that speak against the image."""
        return tuple(r for r in self.results if r.outcome in (Outcome.FAILED, Outcome.ERROR))


class ValidationFailed(StepFailed):
    """Tests spoke against the image; no version is recorded."""

    code = "validation-failed"

    def __init__(self, image: str, report: TestReport, *, hint: str) -> None:
        """Say how many tests of which stage failed, and which first."""
        if report.crash:
            message = f"The {report.stage} tests of {image} did not run to their end."
            context = report.crash
        else:
            count = len(report.failures)
            message = f"{count} of {len(report.results)} {report.stage} tests of {image} failed."
            context = "\n".join(f"{r.name}: {r.detail}" for r in report.failures[:10])
        super().__init__(message, context=context, hint=hint)
        self.report = report
