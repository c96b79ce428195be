"""Problems are collected, sorted, shown once each, and carried by one error."""

import pytest

from imagebuilder.documents.problems import (
    InvalidDocument,
    Problem,
    Problems,
)
from imagebuilder.domain.origin import Origin


def a_problem(line: int, column: int = 1, message: str = "It is wrong.") -> Problem:
    return Problem(
        message=message, origin=Origin(document="d.yaml", line=line, column=column), line="x"
    )


def test_invalid_document_when_problems_come_unsorted_and_twice_shows_each_once_by_place() -> None:
    error = InvalidDocument([a_problem(10), a_problem(9), a_problem(9, 2), a_problem(9)])
    assert [(p.origin.line, p.origin.column) for p in error.problems] == [(9, 1), (9, 2), (10, 1)]
    assert error.message == "d.yaml has 3 problems."
    assert error.origin == Origin(document="d.yaml", line=9)


def test_invalid_document_when_there_is_one_problem_counts_in_the_singular() -> None:
    assert InvalidDocument([a_problem(1)]).message == "d.yaml has 1 problem."


def test_invalid_document_when_there_are_very_many_shows_the_first_and_counts_the_rest() -> None:
    error = InvalidDocument([a_problem(n) for n in range(1, 81)])
    assert len(error.problems) == 80
    assert error.context.endswith("... and 30 more.")


def test_problems_when_there_are_only_warnings_raise_nothing() -> None:
    problems = Problems()
    problems.warn(a_problem(1))
    problems.raise_faults()
    assert problems.warnings == (a_problem(1),)


def test_problems_when_there_is_a_fault_raise_it() -> None:
    problems = Problems()
    problems.add(a_problem(1))
    with pytest.raises(InvalidDocument):
        problems.raise_faults()
