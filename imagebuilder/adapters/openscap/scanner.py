"""OpenScapScanner: the oscap of this machine, which looks at an image from outside."""

import lzma
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeAlias

from imagebuilder.adapters.openscap.carried import carried_scan, pack_engine
from imagebuilder.adapters.openscap.datastream import described
from imagebuilder.adapters.openscap.results import results_in
from imagebuilder.adapters.openscap.tailoring import tailored_id, tailoring
from imagebuilder.adapters.openscap.walls import (
    CONTENT,
    LARGEST_RESULT_BYTES,
    OUT,
    apt_settings,
    between_walls,
)
from imagebuilder.adapters.openscap.xml_stream import XmlRefused
from imagebuilder.domain.content import ContentPack, ContentProfile, ProfileUnknown
from imagebuilder.domain.control import ControlResult, ScanFailed
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.process import Command, CommandResult, CommandRunner, OnLine, OutputFile
from imagebuilder.ports.scanning import Scanned, ScanRequest

_ENGINE = "oscap"
_ALL_PASSED, _SOME_FAILED = 0, 2
"""Source: oscap(8), exit status of xccdf eval."""
_ERROR = "E: "
"""So begin the lines of libapt and of the engine itself when a probe could not do its work; the
rules that asked it have a result all the same, and a wrong one."""
_ARF, _PAGE, _TAILORING = "arf.xml", "report.html", "tailoring.xml"
_PACKING = 1
"""Of twenty megabytes it leaves as many hundred kilobytes as the best, in a fifth of the time."""

Folders: TypeAlias = Callable[[str], AbstractContextManager[Path]]
"""Gives a new folder, named with a prefix, that is gone when the context ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one scan is made of, and where its result is to be."""

    engine: str
    profile: ContentProfile
    content: Path
    tailoring: bytes | None
    out: Path

    def asked(self, content: str, out: str) -> list[str]:
        """Give the arguments after `xccdf eval`, where its files have these places."""
        argv = ["--progress", "--results-arf", f"{out}/{_ARF}"]
        if self.tailoring is not None:
            argv += ["--tailoring-file", f"{out}/{_TAILORING}"]
        is_tailored = self.tailoring is not None
        name = tailored_id(self.profile) if is_tailored else self.profile.id
        return [*argv, "--profile", name, content]


class OpenScapScanner:
    """Judges root file systems by SCAP content."""

    def __init__(
        self, commands: CommandRunner, folders: Folders, *, timeout_seconds: float = 120.0
    ) -> None:
        """Let the engine write in what folders gives, and take timeout_seconds at most, twice."""
        self._commands = commands
        self._folders = folders
        self._timeout_seconds = timeout_seconds

    def engine(self) -> str:
        """Give the engine with its version. Raises: ProgramMissing."""
        said = self._commands.run(Command(argv=[_ENGINE, "--version"], timeout_seconds=60))
        words = said.stdout.decode(errors="replace").partition("\n")[0].split()
        return f"openscap {words[-1]}" if words else "openscap"

    def describe(self, file: PurePath, digest: Digest) -> ContentPack:
        """Give what a file of content tells of itself. Raises: ContentUnreadable."""
        return described(file, digest)

    def scan(self, root: PurePath, request: ScanRequest, on_line: OnLine | None = None) -> Scanned:
        """Give what the rules of a profile say of a root at rest.

        Raises: ProfileUnknown; RuleUnknown; ContentUnreadable; ScanFailed; ProgramMissing.
        """
        with self._work(request) as work:
            (work.out / "apt.conf").write_text(apt_settings(OUT))
            if work.tailoring is not None:
                (work.out / _TAILORING).write_bytes(work.tailoring)
            argv = between_walls(
                [_ENGINE, "xccdf", "eval", *work.asked(CONTENT, OUT)],
                Path(root),
                work.content,
                work.out,
                self._timeout_seconds,
            )
            command = Command(argv=argv, timeout_seconds=self._timeout_seconds)
            return self._scanned(work, lambda: self._commands.run(command, on_line), on_line)

    def scan_booted(
        self, machine: Machine, request: ScanRequest, on_line: OnLine | None = None
    ) -> Scanned:
        """Give what the rules of a profile say of an image that runs, seen from inside.

        Raises: as `scan`; MachineLost.
        """
        with self._work(request) as work, self._folders("engine-") as folder:
            archive = folder / "engine.tar"
            pack_engine(self._commands, work.content, work.tailoring, archive)
            result = OutputFile(path=work.out / _ARF, limit_bytes=LARGEST_RESULT_BYTES)
            script = Script(
                text=carried_scan(work.asked("content.xml", ".")),
                stdin_file=archive,
                stdout_file=result,
                timeout_seconds=self._timeout_seconds,
            )
            return self._scanned(work, lambda: machine.run(script, on_line), on_line)

    @contextmanager
    def _work(self, request: ScanRequest) -> Iterator["_Work"]:
        """Give what a scan is made of. Raises: ProfileUnknown; RuleUnknown; ProgramMissing."""
        profile = _profile(request)
        changes = tailoring(request, profile)
        engine = self.engine()
        with self._folders("scan-") as folder:
            out = folder / "out"
            out.mkdir()
            yield _Work(
                engine=engine,
                profile=profile,
                content=Path(request.file),
                tailoring=changes,
                out=out,
            )

    def _scanned(
        self, work: "_Work", once: Callable[[], CommandResult], on_line: OnLine | None
    ) -> Scanned:
        """Let the engine work, and give what it left. Raises: ScanFailed."""
        ended = self._ended(once, work.profile.name, on_line)
        return Scanned(
            engine=work.engine,
            results=_results(work.out / _ARF, work.profile.name, ended),
            seconds=ended.seconds,
            tailoring=None if work.tailoring is None else Digest.of_bytes(work.tailoring),
            raw=lzma.compress((work.out / _ARF).read_bytes(), preset=_PACKING),
        )

    def page(self, raw: bytes, profile: str) -> bytes:
        """Give the engine's page of a whole result, for which it needs no image.

        Raises: ScanFailed.
        """
        with self._folders("page-") as folder:
            (folder / _ARF).write_bytes(lzma.decompress(raw))
            asked = [_ENGINE, "xccdf", "generate", "report", "--output", f"{OUT}/{_PAGE}"]
            nothing = folder / "nothing"
            nothing.mkdir()
            argv = between_walls(
                [*asked, f"{OUT}/{_ARF}"], nothing, folder / _ARF, folder, self._timeout_seconds
            )
            ended = self._commands.run(Command(argv=argv, timeout_seconds=self._timeout_seconds))
            if ended.exit_status != 0 or ended.has_timed_out:
                raise ScanFailed(profile, "there is no page of its result", ended.last_lines)
            return (folder / _PAGE).read_bytes()

    def _ended(
        self, once: Callable[[], CommandResult], profile: str, on_line: OnLine | None
    ) -> CommandResult:
        """Run the engine, once more if it hung. Raises: ScanFailed: it did not do all its work."""
        result = once()
        if result.has_timed_out:
            # About one scan in thirteen hangs for no reason that could be found.
            if on_line is not None:
                on_line("The scan hangs; it is tried once more.")
            result = once()
        if result.has_timed_out:
            reason = f"it took more than {self._timeout_seconds:g} s, twice"
            raise ScanFailed(profile, reason, result.last_lines)
        if result.exit_status not in (_ALL_PASSED, _SOME_FAILED):
            reason = f"{_ENGINE} ended with exit status {result.exit_status}"
            raise ScanFailed(profile, reason, result.last_lines)
        said = result.stderr.decode(errors="replace").splitlines()
        errors = list(dict.fromkeys(line for line in said if line.startswith(_ERROR)))
        if errors:
            raise ScanFailed(profile, "part of it could not be looked at", "\n".join(errors[:20]))
        return result


def _results(arf: Path, profile: str, ended: CommandResult) -> tuple[ControlResult, ...]:
    try:
        return results_in(arf, profile, LARGEST_RESULT_BYTES)
    except XmlRefused as error:
        reason = f"its result cannot be used ({str(error).rstrip('.')})"
        raise ScanFailed(profile, reason, ended.last_lines) from error


def _profile(request: ScanRequest) -> ContentProfile:
    asked = request.compliance.profile
    for profile in request.pack.profiles:
        if asked in (profile.name, profile.id):
            return profile
    raise ProfileUnknown(asked, request.pack)
