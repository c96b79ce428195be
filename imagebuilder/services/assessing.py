"""Assessing: what the rules of benchmarks say of an image before it is recorded.

Two kinds of rules: those of content that people added, which an engine reads, and controls of
one's own, which are tests beside the recipe. Both become the same assessments.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TypeAlias

from imagebuilder.domain.compliance import Compliance
from imagebuilder.domain.content import (
    AddedContent,
    ContentLost,
    ContentMissing,
    ContentPack,
    ContentProfile,
    ProfileUnknown,
    RuleUnknown,
    content_for,
    named_content,
)
from imagebuilder.domain.control import (
    Assessment,
    AssessmentFailed,
    ControlOutcome,
    ScanFailed,
    controls_of_tests,
)
from imagebuilder.domain.digest import Canonical, DigestMismatch, canonical_json
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.plan import PlannedScan
from imagebuilder.domain.run import StepState
from imagebuilder.domain.spelling import nearest
from imagebuilder.domain.verdict import FindingState, Known, judge, scan_of
from imagebuilder.domain.versions import BuildVersion
from imagebuilder.formats.junit import junit_of
from imagebuilder.ports.blobs import BlobMissing, BlobStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.inspection import SuiteEntry, TestRunner, TestSuite, TestsUnusable
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.progress import Progress
from imagebuilder.ports.scanning import Scanned, Scanner, ScanRequest
from imagebuilder.ports.waivers import WaiverStore

Packs: TypeAlias = Callable[[], Sequence[AddedContent]]
"""Gives the content that was added."""

_STOPPING = (FindingState.FAILING, FindingState.UNDECIDED)
_OWN_ENGINE = "testinfra"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessingDesk:
    """What scans are made with; engines and waivers are opened when there is one to make.

    The file of a pack is the blob of its digest.
    """

    packs: Packs
    scanner: Callable[[], Scanner]
    tests: Callable[[], TestRunner]
    waivers: Callable[[], WaiverStore]
    blobs: BlobStore
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An image to be scanned: what it will be recorded as, and where it can be looked at.

    `machine` is a sandbox over `root` without a network, or `root` booted where that is asked for.
    `release` is what the image says it is.
    Shape: `controls` maps a folder's name in the recipe to where it is; `about` is what tests may
    know of the recipe.
    """

    image: ImageName
    version: BuildVersion
    release: str
    root: PurePath
    machine: Machine
    controls: Mapping[str, PurePath]
    about: Mapping[str, Canonical] = field(default_factory=dict)


class Assessing:
    """Scans images."""

    def __init__(self, desk: AssessingDesk) -> None:
        """Scan with what lies on the desk."""
        self._desk = desk

    def refuse_unknown(self, scans: Iterable[PlannedScan], release: str) -> None:
        """Let scans pass for which there is content; empty means a release that is not known yet.

        Raises: ContentMissing; ContentLost; ProfileUnknown; ProgramMissing: there is no engine.
        """
        asked = [scan.compliance for scan in scans if not scan.compliance.controls]
        if not asked:
            return
        added = self._desk.packs()
        for compliance in asked:
            if release or compliance.content:
                self._file(_chosen(compliance, release, added))
            elif not added:
                raise ContentMissing(compliance.profile, ())
        self._desk.scanner().engine()

    def assess(self, scan: PlannedScan, subject: Subject, progress: Progress) -> Assessment:
        """Give what a scan said, nothing of it so bad that it ends the build.

        Raises: AssessmentFailed; ContentMissing; ContentLost; ProfileUnknown; RuleUnknown;
        ScanFailed; ControlUnmarked; TestsUnusable; ProgramMissing.
        """
        compliance = scan.compliance
        where = " while it runs" if compliance.is_booted else ""
        with _step(progress, f"scan for {compliance.profile}{where}") as step:
            if compliance.controls:
                pack, said = self._own(scan, subject, progress)
            else:
                pack, said = self._by_content(compliance, subject, progress)
            assessment = Assessment(
                profile=compliance.profile,
                benchmark=pack.benchmark,
                stage=Stage.BOOTED if compliance.is_booted else Stage.OFFLINE,
                engine=said.engine,
                content=pack.reference,
                content_digest=pack.digest,
                tailoring=said.tailoring,
                scanned_at=self._desk.clock.now(),
                seconds=said.seconds,
                results=said.results,
                raw=self._desk.blobs.put(said.raw) if said.raw else None,
            )
            step.detail = _told(assessment)
            self._refuse_bad(compliance, assessment, subject)
        return assessment

    def with_page(self, assessment: Assessment) -> Assessment:
        """Give an assessment with the engine's page for people kept, where it makes one.

        The page takes longer than the scan: whoever has more to do makes it beside that.
        Raises: ScanFailed; BlobMissing; DigestMismatch.
        """
        if assessment.raw is None or assessment.engine == _OWN_ENGINE:
            return assessment
        raw = self._desk.blobs.read(assessment.raw)
        page = self._desk.scanner().page(raw, assessment.profile)
        return replace(assessment, report=self._desk.blobs.put(page))

    def _by_content(
        self, compliance: Compliance, subject: Subject, progress: Progress
    ) -> tuple[ContentPack, Scanned]:
        pack = _chosen(compliance, subject.release, self._desk.packs())
        request = ScanRequest(compliance=compliance, pack=pack, file=self._file(pack))
        scanner = self._desk.scanner()
        if compliance.is_booted:
            return pack, scanner.scan_booted(subject.machine, request, progress.line)
        return pack, scanner.scan(subject.root, request, progress.line)

    def _file(self, pack: ContentPack) -> PurePath:
        """Give the file of a pack, which is what was added. Raises: ContentLost."""
        try:
            self._desk.blobs.verify(pack.digest)
            return self._desk.blobs.path(pack.digest)
        except (BlobMissing, DigestMismatch) as lost:
            raise ContentLost(pack, lost.message) from lost

    def _own(
        self, scan: PlannedScan, subject: Subject, progress: Progress
    ) -> tuple[ContentPack, Scanned]:
        """Run a folder of one's own controls. What it holds is its version."""
        compliance, digest = scan.compliance, scan.controls
        if digest is None:
            raise AssertionError("own controls were looked at when the build was planned")
        folder = subject.controls[compliance.controls]
        tests = self._desk.tests()
        suite = TestSuite(entries=(SuiteEntry(path=folder),), recipe=subject.about)
        ran = tests.run(suite, Stage.OFFLINE, subject.machine, progress.line)
        if ran.report.crash:
            raise ScanFailed(compliance.profile, "its tests did not end", ran.report.crash)
        later = sorted(tests.stages(suite) - {Stage.OFFLINE})
        if later:
            reason = f"controls look at files at rest, and some of {compliance.controls} are marked"
            raise TestsUnusable(f"{reason} {' and '.join(later)}", "")
        results = controls_of_tests(compliance.profile, ran.report.results, ran.controls)
        version = digest.hex[:12]
        pack = ContentPack(
            name=compliance.profile,
            version=version,
            digest=digest,
            benchmark=f"{compliance.profile}@{version}",
            releases=(),
            profiles=(ContentProfile(name=compliance.profile, id=compliance.profile, title=""),),
        )
        known = [result.rule for result in results]
        for name in compliance.unselect:
            if name not in known:
                raise RuleUnknown("control", name, pack, nearest(name, known))
        junit = junit_of(compliance.profile, [ran.report])
        evidence = {"junit": junit.decode(), "output": ran.output}
        return pack, Scanned(
            engine=_OWN_ENGINE,
            results=tuple(r for r in results if r.rule not in compliance.unselect),
            seconds=ran.report.seconds,
            raw=canonical_json(evidence),
        )

    def _refuse_bad(self, compliance: Compliance, assessment: Assessment, subject: Subject) -> None:
        """Let an assessment pass that has nothing so bad against the image, or waived."""
        if compliance.fail_on is None:
            return
        waivers = self._desk.waivers().all(subject.image)
        known = Known(image=subject.image, version=subject.version, scans=(scan_of(assessment),))
        gate = AssuranceGate(fail_on=compliance.fail_on)
        judged = judge(known, waivers, gate, assessment.scanned_at).judged
        stopping = [each.finding for each in judged if each.state in _STOPPING]
        if stopping:
            raise AssessmentFailed(subject.image, assessment, compliance.fail_on, stopping)


def _chosen(compliance: Compliance, release: str, added: Sequence[AddedContent]) -> ContentPack:
    """Give the content that a scan is made with. Raises: ContentMissing; ProfileUnknown."""
    asked = compliance.content
    pack = (named_content(asked, added) if asked else content_for(release, added)).pack
    if not any(compliance.profile in (each.name, each.id) for each in pack.profiles):
        raise ProfileUnknown(compliance.profile, pack)
    return pack


def _told(assessment: Assessment) -> str:
    """Say how a scan ended."""
    counts = assessment.counts
    failed = counts.get(ControlOutcome.FAIL, 0)
    unknown = counts.get(ControlOutcome.ERROR, 0) + counts.get(ControlOutcome.UNKNOWN, 0)
    passed = counts.get(ControlOutcome.PASS, 0) + counts.get(ControlOutcome.FIXED, 0)
    told = f"{passed} passed, {failed} failed"
    told += f", {unknown} could not be judged" if unknown else ""
    return f"{told}; {assessment.coverage:.0%} of {len(assessment.results)} judged"


@contextmanager
def _step(progress: Progress, name: str) -> Iterator["_Step"]:
    step = _Step()
    progress.step_started(name)
    try:
        yield step
    except ImageBuilderError as error:
        progress.step_ended(StepState.FAILED, error.message)
        raise
    except BaseException:
        progress.step_ended(StepState.FAILED)
        raise
    progress.step_ended(StepState.SUCCEEDED, step.detail)


@dataclass(slots=True)
class _Step:
    """What to say of a step when it ends well."""

    detail: str = ""
