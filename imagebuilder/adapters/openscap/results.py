"""ARF: what a scan said, rule by rule, and what the engine saw of the rules that did not pass.

Source: NIST IR 7694 (ARF 1.1); NIST IR 7275 revision 4 (XCCDF 1.2); OVAL 5.11, results and system
characteristics. Everything stands there in this order: rules, their results, what was seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from xml.etree.ElementTree import Element

from imagebuilder.adapters.openscap.datastream import XCCDF, short_name
from imagebuilder.adapters.openscap.evidence import OVAL_NAMES, Seen
from imagebuilder.adapters.openscap.xml_stream import XmlRefused, elements, opened, text_of
from imagebuilder.domain.control import ControlOutcome, ControlResult
from imagebuilder.domain.severity import Severity

_ROOT = "{http://scap.nist.gov/schema/asset-reporting-format/1.1}asset-report-collection"
_NOT_SELECTED = "notselected"
_NUMBERING = frozenset(("cis", "anssi", "stigid"))
"""Which of a benchmark's references are numbers of its own, by the names that it gives them."""
_RULE, _RESULT, _TEST_RESULT = f"{XCCDF}Rule", f"{XCCDF}rule-result", f"{XCCDF}TestResult"
_REFERENCE = f"{XCCDF}reference"
_WANTED = frozenset((_RULE, _RESULT, _TEST_RESULT, _REFERENCE)) | OVAL_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    title: str
    controls: tuple[str, ...]


@dataclass(slots=True)
class _Report:
    """What was read of an ARF so far. Shape: `pages` maps the address of a list to its name."""

    pages: dict[str, str] = field(default_factory=dict)
    rules: dict[str, _Rule] = field(default_factory=dict)
    outcomes: list[tuple[str, ControlOutcome, Severity, tuple[str, ...]]] = field(
        default_factory=list
    )
    seen: Seen = field(default_factory=Seen)
    is_ended: bool = False


def results_in(arf: PurePath, profile: str, limit_bytes: int) -> tuple[ControlResult, ...]:
    """Give what the rules of a profile said, by rule. Raises: XmlRefused: it is no whole ARF."""
    report = _Report()
    with opened(arf, limit_bytes) as stream:
        for above, element in elements(stream, _ROOT, _WANTED):
            _note(report, above[-1].tag, element, profile)
    if not report.is_ended:
        raise XmlRefused("It holds no result of a scan.")
    results = (
        ControlResult(
            rule=short_name(rule),
            outcome=outcome,
            severity=severity,
            title=known.title,
            controls=known.controls,
            evidence="" if outcome is ControlOutcome.PASS else report.seen.told(definitions),
        )
        for rule, outcome, severity, definitions in report.outcomes
        for known in (report.rules.get(rule, _Rule(title="", controls=())),)
    )
    return tuple(sorted(results, key=lambda result: result.rule))


def _note(report: _Report, holder: str, element: Element, profile: str) -> None:
    match element.tag:
        case name if name == _REFERENCE:
            if holder == f"{XCCDF}Benchmark":
                report.pages[element.get("href", "")] = text_of(element)
        case name if name == _RULE:
            report.rules[element.get("id", "")] = _rule(element, report.pages, profile)
        case name if name == _RESULT:
            _note_result(report, element)
        case name if name == _TEST_RESULT:
            report.is_ended = True
        case _:
            report.seen.note(element)


def _rule(element: Element, pages: Mapping[str, str], profile: str) -> _Rule:
    title = element.find(f"{XCCDF}title")
    own = {name for name in _NUMBERING if profile.startswith(name)} or _NUMBERING
    numbers = (
        text_of(reference)
        for reference in element.findall(_REFERENCE)
        if pages.get(reference.get("href", "")) in own
    )
    return _Rule(
        title="" if title is None else text_of(title),
        controls=tuple(dict.fromkeys(number for number in numbers if number)),
    )


def _note_result(report: _Report, element: Element) -> None:
    said = element.findtext(f"{XCCDF}result", "")
    if said == _NOT_SELECTED:
        return
    try:
        outcome = ControlOutcome(said)
    except ValueError:
        raise XmlRefused(f"It holds the result {said[:80]!r}, which is none of XCCDF's.") from None
    severity = element.get("severity", "")
    checks = element.iter(f"{XCCDF}check-content-ref")
    report.outcomes.append(
        (
            element.get("idref", ""),
            outcome,
            Severity(severity) if severity in tuple(Severity) else Severity.UNKNOWN,
            tuple(check.get("name", "") for check in checks),
        )
    )
    messages = [text_of(each) for each in element.findall(f"{XCCDF}message")]
    report.seen.note_messages(report.outcomes[-1][3], messages)
