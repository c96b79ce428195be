"""Markers of test files are judged from their text, with place and what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.documents.test_files import problems_of_tests

GOOD = """
import pytest as p
from pytest import mark as m
pytestmark = [p.mark.booted, m.offline]
LIMIT = 3
@p.mark.parametrize("a", [p.param(1, marks=p.mark.machine())])
@p.mark.retries(2)
@p.mark.timeout(90.5)
@m.firmware("bios", "uefi")
@m.timeout(LIMIT * 2)
def test_a(a): pass
@m.each(port="ports")
@m.slow
@m.control("ACME-" + "1", severity=LIMIT, title="t")
async def test_b(*, port): pass
class Other:
    mark = 1
    def f(self): return self.mark.bit_length() + p.approx(1)
"""
CONFTEST = """
def pytest_configure(config):
    config.addinivalue_line("markers", "slow(count): takes long")
"""


def test_problems_when_all_markers_mean_something_then_there_are_none() -> None:
    texts = {"/t/conftest.py": CONFTEST, "/t/test_a.py": GOOD}
    assert problems_of_tests(texts, {"ports": [80]}) == ()


@pytest.mark.parametrize(
    ("marker", "message", "hint"),
    [
        ("boooted", "There is no marker 'boooted'.", "Did you mean booted?"),
        ("slow", "There is no marker 'slow'.", "declare others in conftest.py"),
        ("booted(1)", "The marker booted takes nothing.", "@pytest.mark.booted"),
        ("retries", "retries takes a whole number up to 5", "@pytest.mark.retries(2)"),
        ("retries(6)", "retries takes a whole number up to 5", ""),
        ("retries(1.5)", "retries takes a whole number up to 5", ""),
        ("retries(True)", "retries takes a whole number up to 5", ""),
        ("retries(count=1)", "retries takes a whole number up to 5", ""),
        ("timeout(0)", "timeout takes seconds, at most 600", ""),
        ("timeout('5m')", "timeout takes seconds, at most 600", ""),
        ("firmware", "takes one of bios, uefi", 'firmware("uefi")'),
        ("firmware('efi')", "takes one of bios, uefi", ""),
        ("each('ports')", "each takes an argument", 'each(port="ports")'),
        ("each(port='prots')", "The recipe has no list 'prots'", "Did you mean ports?"),
        ("each(port='word')", "The recipe has no list 'word'", "word: [...]"),
        ("control", "control takes the id of a control", 'control("ACME-SSH-01"'),
        ("control('A', 'B')", "control takes the id of a control", ""),
        ("control('A B')", "control takes the id of a control", ""),
        ("control(1)", "control takes the id of a control", ""),
        ("control('A', level='high')", "control takes the id of a control", ""),
        ("control('A', severity='hihg')", "There is no severity 'hihg'.", "Did you mean high?"),
        ("each(door='ports')", "test_a has no argument 'door'", "def test_a(door, ...)"),
    ],
)
def test_problems_when_a_marker_is_wrong_then_its_place_and_the_way_out_are_told(
    marker: str, message: str, hint: str
) -> None:
    text = f"import pytest\n\n@pytest.mark.{marker}\ndef test_a(port): pass\n"
    (problem,) = problems_of_tests({"/t/test_a.py": text}, {"ports": [80], "word": "x"})
    assert str(problem.origin) == "/t/test_a.py:3:2"
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line == f"@pytest.mark.{marker}"


def test_problems_when_a_file_is_no_python_then_the_place_is_told() -> None:
    (problem,) = problems_of_tests({"/t/test_a.py": "x = 1\ndef test(:\n"}, {})
    assert (problem.origin.line, problem.line) == (2, "def test(:")
    assert "no Python" in problem.message


def test_problems_when_several_files_are_wrong_then_all_are_told() -> None:
    text = "import pytest\npytestmark = pytest.mark.nope\n"
    found = problems_of_tests({"/t/a.py": text, "/t/b.py": "\0", "/t/c.py": text}, {})
    assert [p.origin.document for p in found] == ["/t/a.py", "/t/b.py", "/t/c.py"]


def test_problems_when_a_file_is_nested_without_end_then_it_is_told_and_no_more() -> None:
    (problem,) = problems_of_tests({"/t/a.py": "(" * 100_000}, {})
    assert "no Python" in problem.message


@given(st.text())
def test_problems_of_any_text_then_there_is_an_answer(text: str) -> None:
    assert isinstance(problems_of_tests({"/t/a.py": text}, {}), tuple)
