"""The parts of a version's report: each says what is known, or that nothing is."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imagebuilder.cli.assurance import (
    Assurance,
    bill_text,
    data_text,
    findings_text,
    tests_text,
)
from imagebuilder.cli.compliance_shown import counted
from imagebuilder.cli.output import moment_text
from imagebuilder.domain.attestation import Attestation, predicate_word
from imagebuilder.domain.bill import Bill
from imagebuilder.domain.comparison import VersionDiff
from imagebuilder.domain.evidence import Outcome, TestResult
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.lineage import Descent
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.units import duration_text, size_text
from imagebuilder.domain.verdict import FindingState, Judged
from imagebuilder.formats.report import Card, Cell, Section, Tone

if TYPE_CHECKING:
    from imagebuilder.services.gating import Checked
    from imagebuilder.services.revoking import ToldOfVersion

_STATES = {
    FindingState.FAILING: Tone.BAD,
    FindingState.UNDECIDED: Tone.BAD,
    FindingState.OPEN: Tone.WARN,
    FindingState.WAIVED: Tone.PLAIN,
    FindingState.TOLERATED: Tone.PLAIN,
}
_OUTCOMES = {
    Outcome.PASSED: Tone.GOOD,
    Outcome.FAILED: Tone.BAD,
    Outcome.ERROR: Tone.BAD,
    Outcome.SKIPPED: Tone.WARN,
}
_BAD = (Severity.CRITICAL, Severity.HIGH)


def facts(
    version: ImageVersion, told: "ToldOfVersion", bill: Bill | None
) -> tuple[tuple[str, str], ...]:
    """Give what the version is."""
    release = f"{bill.contents.release.title or bill.contents.release.name}" if bill else "unknown"
    return (
        ("Release", release),
        ("Recorded", moment_text(version.created_at)),
        ("Channels", ", ".join(told.channels) or "none"),
        ("Built on", version.parent.asked),
        ("Id", version.id),
        ("Run", version.run_id),
        ("Disk", str(version.disk_digest)),
        *(
            (f"Artifact {a.format}", f"{a.digest}, {size_text(a.size_bytes)}")
            for a in version.artifacts
        ),
    )


def standing_card(told: "ToldOfVersion") -> Card:
    """Say whether it may be used."""
    standing, revocation = told.standing, told.standing.revocation
    more = revocation.act.why if standing.is_revoked and revocation else ""
    tone = Tone.GOOD if standing.is_usable else Tone.BAD
    return Card(name="Standing", text=standing.state, more=more, tone=tone)


def cards(found: Assurance) -> tuple[Card, ...]:
    """Say the rest of what is to be seen first."""
    open_ = [each for each in found.verdict.judged if each.waiver is None]
    is_bad = any(each.finding.severity in _BAD for each in open_)
    failed = sum(found.outcomes[o] for o in (Outcome.FAILED, Outcome.ERROR))
    worst = Tone.BAD if is_bad else Tone.WARN if open_ else Tone.PLAIN
    count = len(found.verdict.judged)
    return (
        Card(name="Findings", text=str(count), more=findings_text(found), tone=worst),
        Card(
            name="Vulnerability data",
            text="unknown" if found.trouble else "current",
            more=data_text(found),
            tone=Tone.WARN if found.trouble else Tone.GOOD,
        ),
        Card(
            name="Tests",
            text=tests_text(found),
            tone=Tone.BAD if failed else Tone.GOOD if found.version.reports else Tone.WARN,
        ),
        Card(
            name="Bill of materials",
            text=f"{len(found.version.packages)} packages",
            more=bill_text(found.version),
            tone=Tone.PLAIN if found.version.bill else Tone.WARN,
        ),
        Card(
            name="Signed",
            text="yes" if found.signed else "no",
            more=", ".join(sorted({each.key_id.short for each in found.signed})),
            tone=Tone.GOOD if found.signed else Tone.WARN,
        ),
    )


def objections(checked: "Checked") -> Section:
    """Say what stands in its way, and how to clear it."""
    name = "What stands in its way"
    asked = [f"{of}: {', '.join(parts) or 'nothing asked'}" for of, parts in checked.gates]
    if not checked.objections:
        nothing = "Nothing does." if asked else "No gate of a channel or pipeline asks about it."
        return Section(name=name, notes=(nothing, *asked))
    return Section(
        name=name,
        notes=tuple(asked),
        headings=("Reason", "What clears it"),
        rows=tuple((Cell(text=o.reason), Cell(text=o.remedy)) for o in checked.objections),
    )


def findings(found: Assurance) -> Section:
    """Give what speaks against it, the worst first."""
    notes = [] if found.trouble is None else [found.trouble.reason, found.trouble.remedy]
    if not found.verdict.judged:
        notes.append("Nothing was found.")
    return Section(
        name="Findings",
        notes=tuple(notes),
        headings=("Severity", "State", "Kind", "Finding", "In", "Installed", "Fixed in", "About"),
        rows=tuple(map(_finding_row, found.verdict.judged)),
    )


def _finding_row(judged: Judged) -> tuple[Cell, ...]:
    finding = judged.finding
    severity = Tone.BAD if finding.severity in _BAD else Tone.PLAIN
    about = finding.title or finding.detail
    marks = ["exploited already"] if finding.is_known_exploited else []
    if finding.epss is not None:
        marks.append(f"EPSS {finding.epss:.0%}")
    return (
        Cell(text=finding.severity, tone=severity),
        Cell(text=judged.state, tone=_STATES[judged.state]),
        Cell(text=finding.kind),
        Cell(text="\n".join((finding.id, *finding.aliases))),
        Cell(text=finding.scope),
        Cell(text=finding.installed_version or "-"),
        Cell(text=finding.fixed_version or "-"),
        Cell(text="\n".join(filter(None, (about, ", ".join(marks))))),
    )


def waivers(found: Assurance) -> Section:
    """Give what was accepted of it, by whom and until when."""
    used = {w.id: w for each in found.verdict.judged if (w := each.waiver or each.lapsed)}
    if not used:
        return Section(name="Waivers", notes=("No finding of it was waived.",))
    return Section(
        name="Waivers",
        headings=("Finding", "State", "Until", "Owner", "Approver", "Ticket", "Reason", "Id"),
        rows=tuple(
            (
                Cell(text=str(w.accepted)),
                Cell(text=w.state(found.verdict.at)),
                Cell(text=moment_text(w.expires_at)),
                Cell(text=w.owner),
                Cell(text=w.approver),
                Cell(text=w.ticket),
                Cell(text=w.reason),
                Cell(text=w.id, is_code=True),
            )
            for w in sorted(used.values(), key=lambda w: w.expires_at)
        ),
    )


def scans(found: Assurance) -> Section:
    """Give which profiles it was scanned for; what did not pass stands among the findings."""
    scanned = found.version.assessments
    if not scanned:
        return Section(name="Controls", notes=("It was not scanned for compliance.",))
    return Section(
        name="Controls",
        notes=("What did not pass stands among the findings.",),
        headings=("Profile", "Benchmark", "By", "Rules", "Did not pass", "Scanned"),
        rows=tuple(
            (
                Cell(text=each.profile),
                Cell(text=each.benchmark),
                Cell(text=f"{each.content}\n{each.engine}"),
                Cell(text=counted(each)),
                Cell(text=str(len(each.findings)), tone=Tone.WARN if each.findings else Tone.GOOD),
                Cell(text=moment_text(each.scanned_at)),
            )
            for each in scanned
        ),
    )


def tests(version: ImageVersion) -> Section:
    """Give every test, by stage."""
    if not version.reports:
        return Section(name="Tests", notes=("It was not tested.",))
    return Section(
        name="Tests",
        headings=("Stage", "Outcome", "Test", "Took", "Detail"),
        rows=tuple(
            (
                Cell(text=report.stage),
                _outcome(result),
                Cell(text=result.name),
                Cell(text=duration_text(result.seconds)),
                Cell(text=result.detail),
            )
            for report in version.reports
            for result in report.results
        ),
    )


def _outcome(result: TestResult) -> Cell:
    if result.is_shaky:
        return Cell(text=f"{result.outcome} on try {result.attempts}", tone=Tone.WARN)
    return Cell(text=result.outcome, tone=_OUTCOMES[result.outcome])


def attestations(signed: Sequence[Attestation]) -> Section:
    """Give what was signed, and by which key."""
    if not signed:
        return Section(name="Provenance and signatures", notes=("Nothing of it is signed.",))
    return Section(
        name="Provenance and signatures",
        headings=("Says", "Signed", "Key", "Bundle"),
        rows=tuple(
            (
                Cell(text=predicate_word(each.predicate_type)),
                Cell(text=moment_text(each.signed_at)),
                Cell(text=each.key_id.hex, is_code=True),
                Cell(text=str(each.bundle), is_code=True),
            )
            for each in signed
        ),
    )


def lineage(version: ImageVersion, descent: Descent) -> Section:
    """Give what it was built on, and what was built on it."""
    kin = sorted(descent.kin, key=lambda each: each.distance)
    words = {-1: "built on", 0: "this version", 1: "built on it, or a copy"}
    rows = tuple(
        (
            Cell(text=words[(each.distance > 0) - (each.distance < 0)]),
            Cell(text=each.reference),
            Cell(text=moment_text(each.created_at)),
        )
        for each in kin
    )
    notes = [f"It began with {version.parent.asked}."] if version.parent.version_id is None else []
    if descent.left_out:
        notes.append(f"{descent.left_out} more are not shown.")
    return Section(
        name="Lineage", notes=tuple(notes), headings=("How", "Version", "Recorded"), rows=rows
    )


def changes(diff: VersionDiff | None) -> Section:
    """Give what differs from the version of its image before it."""
    name = "Changes"
    if diff is None:
        return Section(name=name, notes=("It is the first version of its image.",))
    rows = tuple(_change_rows(diff))
    since = f"Since {diff.old.reference}"
    return Section(
        name=name,
        notes=(f"{since}:" if rows else f"{since} no package, component or parent changed.",),
        headings=("What", "Change", "Name", "Before", "After"),
        rows=rows,
    )


def _change_rows(diff: VersionDiff) -> Iterator[tuple[Cell, ...]]:
    if diff.parent is not None:
        old, new = diff.parent.old, diff.parent.new
        before = diff.parent_text(old, new) if old else "-"
        after = diff.parent_text(new, old) if new else "-"
        yield _change("parent", diff.parent.kind, diff.parent.name, before, after)
    for component in diff.components:
        sides = [side.component_version if side else "-" for side in (component.old, component.new)]
        yield _change("component", component.kind, component.name, *sides)
    for package in diff.packages:
        sides = [package.old_version or "-", package.new_version or "-"]
        yield _change("package", package.move, package.name, *sides)


def _change(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell(text=text) for text in texts)


def parts(version: ImageVersion, bill: Bill | None) -> Section:
    """Give what it is made of besides packages."""
    if bill is None:
        notes = (f"{version.reference} was recorded without a bill of materials.",)
        return Section(name="Made of", notes=notes)
    return Section(
        name="Made of",
        headings=("Kind", "Name", "Version", "Digest"),
        rows=tuple(
            (
                Cell(text=part.kind),
                Cell(text=part.name),
                Cell(text=part.version or "-"),
                Cell(text=str(part.digest or "-"), is_code=True),
            )
            for part in bill.parts
        ),
    )


def packages(version: ImageVersion, bill: Bill | None) -> Section:
    """Give every package, with the digest of its file where that is known."""
    archives = {p.package: p.archive for p in bill.contents.packages} if bill else {}
    gaps = bill.contents.gaps if bill else ()
    software = bill.contents.software if bill else ()
    return Section(
        name="Packages",
        notes=tuple(f"Not known are {gap}." for gap in gaps),
        headings=("Package", "Version", "Architecture", "Source", "Digest of its file"),
        rows=tuple(
            (
                Cell(text=package.name),
                Cell(text=package.version),
                Cell(text=package.architecture),
                Cell(text=f"{package.source} {package.source_version}"),
                Cell(text=str(archives.get(package) or "not known"), is_code=True),
            )
            for package in version.packages
        )
        + tuple(
            (
                Cell(text=each.name),
                Cell(text=each.version),
                Cell(text=""),
                Cell(text=f"found at {each.path}"),
                Cell(text="no package of dpkg"),
            )
            for each in software
        ),
    )
