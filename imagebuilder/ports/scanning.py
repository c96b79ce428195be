"""Scanner: an engine that judges an image by the rules of a benchmark.

Every adapter must keep: the image is only read and what it holds is never run on this machine; a
scan that hangs is ended, with all its processes, and tried once more; what was cut short is an
error and never a result.
"""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.content import ContentPack
from imagebuilder.domain.control import ControlResult
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan for, and by what: `file` is the pack's file."""

    compliance: Compliance
    pack: ContentPack
    file: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a scan said; `raw` is the engine's whole result, of which it makes a page."""

    engine: str
    results: tuple[ControlResult, ...]
    seconds: float
    tailoring: Digest | None = None
    raw: bytes = b""


class Scanner(Protocol):
    """Judges root file systems by content that people added."""

    def engine(self) -> str:
        """Give what scans are made with, with its version. Raises: ProgramMissing."""
        ...

    def describe(self, file: PurePath, digest: Digest) -> ContentPack:
        """Give what a file of content tells of itself. Raises: ContentUnreadable."""
        ...

    def scan(self, root: PurePath, request: ScanRequest, on_line: OnLine | None = None) -> Scanned:
        """Give what the rules of a profile say of a root at rest.

        Raises: ProfileUnknown; RuleUnknown: a rule or variable of the tailoring is none of the
        content's; ScanFailed; ProgramMissing: the engine is not installed.
        """
        ...

    def page(self, raw: bytes, profile: str) -> bytes:
        """Give the engine's page for people, of a whole result. Raises: ScanFailed."""
        ...

    def scan_booted(
        self, machine: Machine, request: ScanRequest, on_line: OnLine | None = None
    ) -> Scanned:
        """Give what they say of an image that runs, seen from inside: it could lie.

        Raises: as `scan`; MachineLost.
        """
        ...
