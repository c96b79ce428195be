"""Looking at an image: booting it, and running tests against it.

Every adapter must keep: what is booted is thrown away afterwards and the image given is not
changed; tests are foreign code and see nothing of this machine but the image they test.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar, Protocol

from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.evidence import Stage, TestReport
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """What a stage's tests said, with the files for people: the JUnit report and all output."""

    report: TestReport
    junit: bytes
    output: str


class TestRunner(Protocol):
    """Runs testinfra files against a machine, confined."""

    __test__: ClassVar[bool] = False

    def run(
        self, tests: Sequence[PurePath], stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        """Run the tests marked for a stage (unmarked ones are offline) and give what they said.

        A killed interpreter, a time limit or a missing end of the report is a crash, never a pass.
        """
        ...

    def stages(self, tests: Sequence[PurePath]) -> frozenset[Stage]:
        """Give the stages that have tests, found by collecting them in the same confinement.

        Raises: TestsUnusable: nothing was collected, or a file cannot be imported.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedMachine:
    """A machine that came up: where to run scripts, and how it went."""

    machine: Machine
    accelerator: str
    seconds_to_login: float


class Booter(Protocol):
    """Starts images for a look."""

    def container(self, root: PurePath) -> AbstractContextManager[Machine]:
        """Boot a root folder, which may be written to, in a container without the host's network.

        Raises: BootFailed: its service manager did not come up in time.
        """
        ...

    def machine(
        self, disk: PurePath, firmware: Firmware, console: PurePath, on_line: OnLine | None
    ) -> AbstractContextManager[BootedMachine]:
        """Boot a disk file (raw or qcow2) through its firmware to an SSH login.

        What the guest writes is forgotten; its serial console is kept in `console`.

        Raises: BootFailed: no login in time.
        """
        ...


class BootFailed(StepFailed):
    """An image did not come up."""

    code = "boot-failed"

    def __init__(self, how: str, *, seconds: float, reason: str, last_lines: str) -> None:
        """Say how it was booted, what was waited for and what it said last."""
        super().__init__(
            f"The image did not come up {how} within {seconds:.0f} s: {reason}.",
            context=last_lines,
            hint="Look at the whole console in the run's folder, or boot it yourself with --keep.",
        )


class TestsUnusable(StepFailed):
    """The tests of a recipe cannot be run at all."""

    __test__ = False
    code = "tests-unusable"

    def __init__(self, reason: str, output: str) -> None:
        """Say why, with what pytest said."""
        super().__init__(
            f"The recipe's tests cannot be run: {reason}.",
            context=output,
            hint="Run pytest --collect-only on them; an empty tests entry should be removed.",
        )
