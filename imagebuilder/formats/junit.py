"""JUnit XML: test results as build servers read them.

Source: the XML that Jenkins' junit plugin and GitLab's test reports take; XML 1.0, section 2.2.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from imagebuilder.domain.evidence import Outcome, TestResult

_NO_XML_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {Outcome.FAILED: "failure", Outcome.ERROR: "error", Outcome.SKIPPED: "skipped"}


def junit(suite: str, results: Sequence[TestResult]) -> bytes:
    """Give a report of one suite; a character that XML cannot hold becomes a question mark.

    A result's name is what stands before its first colon as the class, and the rest as the test;
    the first line of its detail is the message.
    """
    counts = {
        name: str(sum(r.outcome is outcome for r in results))
        for name, outcome in (
            ("failures", Outcome.FAILED),
            ("errors", Outcome.ERROR),
            ("skipped", Outcome.SKIPPED),
        )
    }
    head = {"name": _sound(suite), "tests": str(len(results)), **counts}
    root = ET.Element("testsuites", head)
    took = f"{sum(r.seconds for r in results):.3f}"
    inside = ET.SubElement(root, "testsuite", {**head, "time": took})
    for result in results:
        _add(inside, suite, result)
    ET.indent(root)
    report: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return report + b"\n"


def _add(inside: ET.Element, suite: str, result: TestResult) -> None:
    of, colon, name = result.name.partition(": ")
    attributes = {
        "classname": _sound(f"{suite}.{of}" if colon else suite),
        "name": _sound(name if colon else of),
        "time": f"{result.seconds:.3f}",
    }
    case = ET.SubElement(inside, "testcase", attributes)
    element = _ELEMENTS.get(result.outcome)
    if element is not None:
        message = _sound(result.detail.partition("\n")[0])
        ET.SubElement(case, element, {"message": message}).text = _sound(result.detail)
    elif result.detail:
        ET.SubElement(case, "system-out").text = _sound(result.detail)


def _sound(text: str) -> str:
    return _NO_XML_CHARACTERS.sub("?", text)
