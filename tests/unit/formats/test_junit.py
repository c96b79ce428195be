"""JUnit XML is well-formed whatever a program prints."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.evidence import Outcome, TestResult
from imagebuilder.formats.junit import junit


def a_result(name: str, outcome: Outcome = Outcome.PASSED, detail: str = "") -> TestResult:
    return TestResult(name=name, outcome=outcome, seconds=0.25, detail=detail)


def test_junit_then_each_outcome_is_what_build_servers_know() -> None:
    report = ET.fromstring(
        junit(
            "web",
            [
                a_result("build: Install", detail="said"),
                a_result("build: Check", Outcome.FAILED, "exit status 7\nwhy"),
                a_result("test: Serve", Outcome.SKIPPED, "no init"),
                a_result("boot", Outcome.ERROR),
            ],
        )
    )

    (suite,) = report
    assert suite.attrib == {
        "name": "web",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "1.000",
    }
    cases = [(c.get("classname"), c.get("name"), [part.tag for part in c]) for c in suite]
    assert cases == [
        ("web.build", "Install", ["system-out"]),
        ("web.build", "Check", ["failure"]),
        ("web.test", "Serve", ["skipped"]),
        ("web", "boot", ["error"]),
    ]
    failure = suite[1][0]
    assert (failure.get("message"), failure.text) == ("exit status 7", "exit status 7\nwhy")


@given(st.text(), st.text(), st.text())
def test_junit_when_texts_are_odd_then_it_is_well_formed(
    suite: str, name: str, detail: str
) -> None:
    written = junit(suite, [a_result(name, Outcome.FAILED, detail), a_result(name, detail=detail)])

    assert len(list(ET.fromstring(written).iter("testcase"))) == 2


def test_junit_when_a_character_is_none_of_xml_then_a_question_mark_stands_for_it() -> None:
    written = junit("s", [a_result("n", Outcome.FAILED, "\x1b[31m\ud800\ufffe<&>\U0001f600")])

    failure = next(ET.fromstring(written).iter("failure"))
    assert failure.text == "?[31m??<&>\U0001f600"
