"""A Scanner that says what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from imagebuilder.domain.content import ContentPack, ContentUnreadable
from imagebuilder.domain.control import ControlResult
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine, ProgramMissing
from imagebuilder.ports.scanning import Scanned, ScanRequest


@dataclass(slots=True)
class FakeScanner:
    """Finds in every root what the test says, and remembers what it was asked.

    It knows `packs` by the digests of their files.
    """

    packs: Sequence[ContentPack] = ()
    results: tuple[ControlResult, ...] = ()
    fails: ImageBuilderError | None = None
    page_fails: ImageBuilderError | None = None
    asked: list[tuple[PurePath, ScanRequest]] = field(default_factory=list)
    asked_booted: list[tuple[Machine, ScanRequest]] = field(default_factory=list)

    def engine(self) -> str:
        if isinstance(self.fails, ProgramMissing):
            raise self.fails
        return "fake 1.0"

    def describe(self, file: PurePath, digest: Digest) -> ContentPack:
        for pack in self.packs:
            if pack.digest == digest:
                return pack
        raise ContentUnreadable(file.name, "The fake does not know it.")

    def scan(self, root: PurePath, request: ScanRequest, on_line: OnLine | None = None) -> Scanned:
        self.asked.append((root, request))
        return self._scanned(on_line)

    def scan_booted(
        self, machine: Machine, request: ScanRequest, on_line: OnLine | None = None
    ) -> Scanned:
        self.asked_booted.append((machine, request))
        return self._scanned(on_line)

    def _scanned(self, on_line: OnLine | None) -> Scanned:
        if on_line is not None:
            on_line("rule by rule")
        if self.fails is not None:
            raise self.fails
        return Scanned(
            engine=self.engine(),
            results=self.results,
            seconds=2.5,
            raw=b"all of it",
        )

    def page(self, raw: bytes, profile: str) -> bytes:
        if self.page_fails is not None:
            raise self.page_fails
        return b"<html>a page of " + raw
