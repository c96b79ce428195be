"""JUnit XML: test results as build servers read them.

Source: the XML that Jenkins' junit plugin and GitLab's test reports take; XML 1.0, section 2.2.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree as ET

from imagebuilder.domain.evidence import Outcome, TestReport, TestResult

_NO_XML_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {Outcome.FAILED: "failure", Outcome.ERROR: "error", Outcome.SKIPPED: "skipped"}


def junit(suite: str, results: Sequence[TestResult]) -> bytes:
    """Give a report of one suite; a character that XML cannot hold becomes a question mark.

    A result's name is what stands before its first colon as the class, and the rest as the test;
    the first line of its detail is the message.
    """
    return _document(suite, [(suite, results)])


def junit_of(name: str, reports: Iterable[TestReport]) -> bytes:
    """Give a report with a suite for each stage; what broke a stage's run is an error in it."""
    return _document(
        name,
        [(f"{name} {report.stage}", [*report.results, *_crash(report)]) for report in reports],
    )


def _document(name: str, suites: Sequence[tuple[str, Sequence[TestResult]]]) -> bytes:
    everything = [result for _, results in suites for result in results]
    root = ET.Element("testsuites", {"name": _sound(name), **_counts(everything)})
    for suite, results in suites:
        took = f"{sum(r.seconds for r in results):.3f}"
        head = {"name": _sound(suite), **_counts(results), "time": took}
        inside = ET.SubElement(root, "testsuite", head)
        for result in results:
            _add(inside, suite, result)
    ET.indent(root)
    report: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return report + b"\n"


def _crash(report: TestReport) -> Iterator[TestResult]:
    if report.crash:
        yield TestResult(
            name="the run itself", outcome=Outcome.ERROR, seconds=0.0, detail=report.crash
        )


def _counts(results: Sequence[TestResult]) -> dict[str, str]:
    outcomes = [result.outcome for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": str(outcomes.count(Outcome.ERROR)),
        "skipped": str(outcomes.count(Outcome.SKIPPED)),
    }


def _add(inside: ET.Element, suite: str, result: TestResult) -> None:
    of, colon, name = result.name.partition(": ")
    attributes = {
        "classname": _sound(f"{suite}.{of}" if colon else suite),
        "name": _sound(name if colon else of),
        "time": f"{result.seconds:.3f}",
    }
    case = ET.SubElement(inside, "testcase", attributes)
    if result.attempts > 1:
        properties = ET.SubElement(case, "properties")
        tried = {"name": "attempts", "value": str(result.attempts)}
        ET.SubElement(properties, "property", tried)
    element = _ELEMENTS.get(result.outcome)
    if element is not None:
        message = _sound(result.detail.partition("\n")[0])
        ET.SubElement(case, element, {"message": message}).text = _sound(result.detail)
    elif result.detail:
        ET.SubElement(case, "system-out").text = _sound(result.detail)


def _sound(text: str) -> str:
    return _NO_XML_CHARACTERS.sub("?", text)
