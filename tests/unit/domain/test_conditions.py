"""Every operator, as the documentation's table and examples have it, and how they combine."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.conditions import (
    AllOf,
    AnyOf,
    Branch,
    Comparison,
    Condition,
    Guard,
    Not,
    Operator,
    PatternInvalid,
    holds,
    is_number,
    pattern_fault,
)
from imagebuilder.domain.digest import Canonical

DIGESTS = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}


@dataclass
class FakeFacts:
    """A machine with the program `ls`, the file /etc/x that holds abc, and the folder /srv."""

    asked: list[str] = field(default_factory=list)

    def binary_exists(self, name: str) -> bool:
        self.asked.append(name)
        return name == "ls"

    def file_exists(self, path: str) -> bool:
        self.asked.append(path)
        return path == "/etc/x"

    def folder_exists(self, path: str) -> bool:
        self.asked.append(path)
        return path == "/srv"

    def file_digest(self, path: str, algorithm: str) -> str | None:
        self.asked.append(path)
        return DIGESTS[algorithm] if path == "/etc/x" else None


def is_true(operator: str, operand: Canonical, value: Canonical = None) -> bool:
    comparison = Comparison(operator=Operator(operator), operand=operand, value=value)
    return holds(comparison, FakeFacts(), str)


@pytest.mark.parametrize(
    ("operator", "operand", "value", "expected"),
    [
        ("stringIsEmpty", "", None, True),
        ("stringIsEmpty", " ", None, False),
        ("stringIsEmpty", "Hello", None, False),
        ("stringIsWhitespace", "   ", None, True),
        ("stringIsWhitespace", "", None, False),
        ("stringIsWhitespace", " Hello?", None, False),
        ("stringIsWhitespace", "\t", None, False),
        ("stringEquals", "Testing...", "Testing...", True),
        ("stringEquals", "Testing...", "Hello", False),
        ("stringEquals", "Testing...", "TESTING...", False),
        ("stringEquals", "Testing...", "  Testing...", False),
        ("stringEquals", "Testing...", "Testing... ", False),
        ("stringLessThan", "b", "a", True),
        ("stringLessThan", "a", "0", True),
        ("stringLessThan", "0", "a", False),
        ("stringLessThan", "A", "a", False),
        ("stringLessThan", "B", "a", True),
        ("stringLessThanEquals", "a", "a", True),
        ("stringLessThanEquals", "A", "a", True),
        ("stringLessThanEquals", "b", "a", True),
        ("stringLessThanEquals", "0", "a", False),
        ("stringGreaterThan", "a", "A", False),
        ("stringGreaterThan", "a", "b", True),
        ("stringGreaterThan", "0", "a", True),
        ("stringGreaterThan", "a", "0", False),
        ("stringGreaterThanEquals", "A", "a", True),
        ("stringGreaterThanEquals", "a", "b", True),
        ("stringGreaterThanEquals", "a", "0", False),
        ("patternMatches", "^[a-z]+$", "ThisIsValue", True),
        ("patternMatches", "(?-i)^[a-z]+$", "ThisIsValue", False),
        ("patternMatches", "is", "ThisIsValue", True),
        ("patternMatches", "^is", "ThisIsValue", False),
        ("patternMatches", r"^\pL+\d$", "Grün1", True),
        ("numberEquals", 1, 1, True),
        ("numberEquals", "1", 1, True),
        ("numberEquals", 1, "1", True),
        ("numberEquals", 5.0, 5.0, True),
        ("numberEquals", 5, "5.0", True),
        ("numberEquals", -1, "-1", True),
        ("numberEquals", 1, "+1", True),
        ("numberEquals", 1, 2, False),
        ("numberLessThan", 2, 1, True),
        ("numberLessThan", 2, 1.9, True),
        ("numberLessThan", 2, "2", False),
        ("numberLessThanEquals", 2, 1, True),
        ("numberLessThanEquals", 2, "2", True),
        ("numberLessThanEquals", 2, 2.1, False),
        ("numberGreaterThan", 1, 2, True),
        ("numberGreaterThan", 1, 1.1, True),
        ("numberGreaterThan", 1, "1", False),
        ("numberGreaterThan", 9, "10", True),
        ("numberGreaterThanEquals", 1, 2, True),
        ("numberGreaterThanEquals", 1, "1", True),
        ("numberGreaterThanEquals", 1, 0.8, False),
        ("numberEquals", 1, "one", False),
        ("numberLessThan", 1, "", False),
        ("numberGreaterThan", 1, "1e3", False),
        ("numberGreaterThan", 1, " 2", False),
        ("numberGreaterThan", "many", 2, False),
        ("numberGreaterThan", 1, True, False),
        ("numberGreaterThan", 1, "9" * 5000, False),
        ("binaryExists", "ls", None, True),
        ("binaryExists", "lx", None, False),
        ("fileExists", "/etc/x", None, True),
        ("fileExists", "/srv", None, False),
        ("folderExists", "/srv", None, True),
        ("folderExists", "/etc/x", None, False),
        ("fileMD5Equals", DIGESTS["md5"], "/etc/x", True),
        ("fileSHA1Equals", DIGESTS["sha1"], "/etc/x", True),
        ("fileSHA256Equals", DIGESTS["sha256"].upper(), "/etc/x", True),
        ("fileSHA512Equals", DIGESTS["sha512"], "/etc/x", True),
        ("fileSHA256Equals", DIGESTS["md5"], "/etc/x", False),
        ("fileMD5Equals", DIGESTS["md5"], "/etc/none", False),
    ],
)
def test_holds_when_compared_so_is_as_documented(
    operator: str, operand: Canonical, value: Canonical, *, expected: bool
) -> None:
    assert is_true(operator, operand, value) is expected


@given(value=st.integers(), operand=st.integers())
def test_holds_when_numbers_are_compared_as_text_orders_them_as_numbers(
    value: int, operand: int
) -> None:
    given_ = (str(operand), str(value))
    assert is_true("numberLessThan", *given_) is (value < operand)
    assert is_true("numberLessThanEquals", *given_) is (value <= operand)
    assert is_true("numberGreaterThan", *given_) is (value > operand)
    assert is_true("numberGreaterThanEquals", *given_) is (value >= operand)
    assert is_true("numberEquals", *given_) is (value == operand)


@given(value=st.text(), operand=st.text())
def test_holds_when_texts_are_compared_exactly_one_order_is_true(value: str, operand: str) -> None:
    below, above = (is_true(f"string{o}Than", operand, value) for o in ("Less", "Greater"))
    at_most, at_least = (
        is_true(f"string{o}ThanEquals", operand, value) for o in ("Less", "Greater")
    )
    assert not (below and above)
    assert (at_most, at_least) == (not above, not below)


def test_holds_when_both_sides_have_references_resolves_them() -> None:
    comparison = Comparison(operator=Operator.STRING_EQUALS, operand="A", value="B")
    assert holds(comparison, FakeFacts(), lambda text: {"A": "same", "B": "same"}[text])


def there(path: str) -> Comparison:
    return Comparison(operator=Operator.FILE_EXISTS, operand=path)


@pytest.mark.parametrize(
    ("condition", "expected", "asked"),
    [
        (AllOf(conditions=(there("/etc/x"), there("/b"), there("/c"))), False, ["/etc/x", "/b"]),
        (AnyOf(conditions=(there("/a"), there("/etc/x"), there("/c"))), True, ["/a", "/etc/x"]),
        (AnyOf(conditions=(there("/a"), there("/b"))), False, ["/a", "/b"]),
        (AllOf(conditions=(there("/etc/x"), Not(condition=there("/b")))), True, ["/etc/x", "/b"]),
        (Not(condition=AnyOf(conditions=(there("/etc/x"), there("/b")))), False, ["/etc/x"]),
    ],
)
def test_holds_when_conditions_are_combined_asks_no_more_than_it_needs(
    condition: Condition, asked: list[str], *, expected: bool
) -> None:
    facts = FakeFacts()
    assert holds(condition, facts, str) is expected
    assert facts.asked == asked


@pytest.mark.parametrize(("path", "branch"), [("/etc/x", Branch.SKIP), ("/none", Branch.ABORT)])
def test_guard_when_asked_gives_the_branch_of_its_answer(path: str, branch: Branch) -> None:
    guard = Guard(condition=there(path), then=Branch.SKIP, otherwise=Branch.ABORT)
    assert guard.branch(FakeFacts(), str)[0] is branch


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "(?<!a)b", r"(a)\1", "a**", "[z-a]", "x{2000}"])
def test_pattern_fault_when_re2_refuses_it_says_why(pattern: str) -> None:
    assert (pattern_fault(pattern) or "").startswith("RE2 says: ")
    with pytest.raises(PatternInvalid, match="is no regular expression"):
        is_true("patternMatches", pattern, "x")


@pytest.mark.parametrize("pattern", ["", "a|b", r"\bx{2,5}\b", "(?P<name>x)", "(?i)X"])
def test_pattern_fault_when_re2_takes_it_is_none(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.timeout(10)
def test_holds_when_pattern_would_backtrack_for_ever_answers_at_once() -> None:
    assert not is_true("patternMatches", "^(a+)+$", "a" * 100_000 + "!")


def test_holds_when_text_is_no_unicode_does_not_match_it() -> None:
    assert not is_true("patternMatches", "x", "\udcff")


def test_is_number_when_it_is_not_finite_is_false() -> None:
    assert [is_number(n) for n in (float("inf"), float("nan"), 1, "1.5", ".5")] == [
        *(False, False, True, True, False)
    ]


@pytest.mark.parametrize("operator", list(Operator))
def test_operators_when_counted_in_the_table_are_all_there(operator: Operator) -> None:
    marks = test_holds_when_compared_so_is_as_documented.pytestmark  # type: ignore[attr-defined]
    assert operator in {case[0] for case in marks[0].args[1]}
