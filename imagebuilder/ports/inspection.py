"""Looking at an image: booting it, and running tests against it.

Every adapter must keep: what is booted is thrown away afterwards and the image given is not
changed; tests are foreign code and see nothing of this machine but the image they test.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar, Protocol

from imagebuilder.domain.bill import Contents, Software
from imagebuilder.domain.control import ControlMark
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.evidence import Stage, TestReport
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """A file or folder of tests where it lies, and how they run; `pack` is its name if it is one.

    A test that does not pass is tried `retries` times more; `timeout_seconds` is for each try, None
    for as long as any test has. Shape: `variables` is what the fixture of that name gives them.
    """

    path: PurePath
    pack: str = ""
    variables: Mapping[str, Canonical] = field(default_factory=dict)
    retries: int = 0
    timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSuite:
    """All tests that run together; `recipe` is what the fixture of that name gives them.

    `firmware` is what the machine was started with, None where there is none.
    """

    __test__: ClassVar[bool] = False

    entries: tuple[SuiteEntry, ...]
    recipe: Mapping[str, Canonical] = field(default_factory=dict)
    firmware: Firmware | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """What a stage's tests said, and all that they printed.

    Shape: `controls` maps the name of a test to the control that it is marked with.
    """

    report: TestReport
    output: str
    controls: Mapping[str, ControlMark] = field(default_factory=dict)


class TestRunner(Protocol):
    """Runs testinfra files against a machine, confined."""

    __test__: ClassVar[bool] = False

    def run(
        self, suite: TestSuite, stage: Stage, machine: Machine, on_line: OnLine | None
    ) -> SuiteResult:
        """Run the tests marked for a stage (unmarked ones are offline) and give what they said.

        A killed interpreter, a time limit or a missing end of the report is a crash, never a pass.
        A test that passed on a retry says so. Packs run first, never in one interpreter with tests
        of others, and only their tests are named after them.
        """
        ...

    def stages(self, suite: TestSuite) -> frozenset[Stage]:
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


class ContentsReader(Protocol):
    """Tells what is in a root file system, from outside of it: nothing of the image is run."""

    def read(self, root: PurePath) -> Contents:
        """Give the release and the packages, without digests; what cannot be told is a gap.

        No link in the image is followed to where it could lead out.

        Raises: PackageListMalformed: the image says of its packages what nobody can read.
        """
        ...


class SoftwareReader(Protocol):
    """Tells what is installed in a root file system besides the packages that dpkg knows."""

    def read(self, root: PurePath) -> tuple[Software, ...]:
        """Give it sorted; nothing of the image is run, and no link of it is followed out of it.

        Raises: SoftwareUnread: nobody can tell.
        """
        ...


class SoftwareUnread(StepFailed):
    """What is installed besides packages could not be told."""

    code = "software-unread"

    def __init__(self, program: str, reason: str, output: str) -> None:
        """Name the program that was asked, and say why it did not answer."""
        super().__init__(
            f"{program} did not tell what is installed besides packages: {reason}.",
            context=output,
            hint="Try another version of it, or build without the syft setting; then bills have "
            "packages only.",
        )


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
