"""YAML text to nodes: the core schema of YAML 1.2, places, and the limits."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.documents.composer import DEPTH_LIMIT, NODE_LIMIT, compose
from imagebuilder.documents.nodes import MappingNode, Node, ScalarNode
from imagebuilder.documents.problems import InvalidDocument, Problem, Problems
from imagebuilder.documents.source import SIZE_LIMIT_BYTES, SourceText
from imagebuilder.documents.syntax import syntax_problem
from imagebuilder.domain.digest import Canonical


def composed(text: str) -> Node:
    problems = Problems()
    node = compose(SourceText(text, "d.yaml"), problems)
    problems.raise_faults()
    assert node is not None
    return node


def value_of(text: str) -> Canonical:
    return composed(text).plain()


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocument) as caught:
        composed(text)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("tRue", "tRue"),
        ("~", None),
        ("Null", None),
        ("12", 12),
        ("-12", -12),
        ("0755", 755),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("1:30", "1:30"),
        ("2026-11-01", "2026-11-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        (".", "."),
        ("-", [None]),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1),
        ("|\n  1\n", "1\n"),
    ],
)
def test_compose_when_scalar_is_written_so_gives_the_core_schema_value(
    text: str, value: Canonical
) -> None:
    found = value_of(text)
    assert (type(found), found) == (type(value), value)


def test_compose_when_not_a_number_is_written_gives_it() -> None:
    node = composed(".nan")
    assert isinstance(node, ScalarNode)
    assert isinstance(node.value, float)
    assert math.isnan(node.value)


def test_compose_when_keys_are_nested_gives_the_place_of_each_value() -> None:
    node = composed("a:\n  - b: é x\n    c: [1,\n      'd']\n")
    places = []

    def walk(part: Node) -> None:
        if isinstance(part, ScalarNode):
            places.append((part.text, part.origin.line, part.origin.column))
        elif isinstance(part, MappingNode):
            for entry in part.entries.values():
                walk(entry.key)
                walk(entry.value)
        else:
            for item in part.items:
                walk(item)

    walk(node)
    expected = [("a", 1, 1), ("b", 2, 5), ("é x", 2, 8), ("c", 3, 5), ("1", 3, 9), ("d", 4, 7)]
    assert places == expected


def test_compose_when_lines_end_as_on_windows_counts_them_alike() -> None:
    node = composed("a: 1\r\nb: 2\r\n")
    assert isinstance(node, MappingNode)
    assert str(node.entries["b"].key.origin) == "d.yaml:2:1"


def test_compose_when_an_alias_is_used_repeats_the_value() -> None:
    assert value_of("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


def test_compose_when_a_byte_order_mark_comes_first_ignores_it() -> None:
    assert value_of("\ufeffa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a: 1\na: 2", "2:1", "there twice"),
        ("a: {b: 1, 'b': 2}", "1:11", "there twice"),
        ("<<: {a: 1}", "1:1", "Merge keys"),
        ("a: {{ Name }}", "1:5", "cannot be a key"),
        ("? [a]\n: b", "1:3", "list cannot be a key"),
        ("a: *x", "1:4", "No anchor"),
        ("a: &x [*x]", "1:8", "inside what it repeats"),
        ("a: !!python/object:os.system {}", "1:4", "tag"),
        ("a: !mine x", "1:4", "tag"),
        ("a: !!int x", "1:4", "tag"),
        ("a: !!bool 1", "1:4", "tag"),
        ("a: !!map []", "1:4", "tag"),
        ('a: "x\\0"', "1:4", "no file may have"),
        ("a: 123456789012345678901234567890", "1:4", "too long"),
        ("a: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "1:4", "too long"),
        ("%YAML 1.1\n---\na: 1", "1:1", "YAML 1.1"),
        ("a: 1\n---\nb: 1", "2:1", "second document"),
        ("", "1:1", "empty"),
        ("# only a comment", "1:1", "empty"),
        ("a: b: c", "1:5", "colon cannot stand here"),
        ("a:\n\t- b", "2:1", "tab"),
        ("a: @b", "1:4", "begin with @"),
        ("a: [1, 2", "1:4", "not closed"),
        ("a: {b: 1", "1:4", "not closed"),
        ("a: 'x", "1:4", "not closed"),
        ("- a\nb: 1", "2:1", "does not fit"),
        ("a:\n  b: 1\n c: 2", "3:2", "does not fit"),
        ('a: "\\q"', "1:5", "escape"),
        ("a: !x!y z", "1:4", "Tags"),
        ("a: b\n...\nc", "3:1", "behind the document's end"),
        ("a: x\x07", "1:5", "U+0007"),
        ("a: x\u2028", "1:5", "U+2028"),
        ("a: \udcff", "1:4", "Byte 0xFF"),
    ],
)
def test_compose_when_text_is_faulty_names_the_place_and_the_fault(
    text: str, place: str, part: str
) -> None:
    first = problems_of(text)[0]
    assert (str(first.origin), part in first.message) == (f"d.yaml:{place}", True), first


def test_compose_when_several_faults_are_independent_gives_all_of_them() -> None:
    text = "a: 1\na: 2\nb: !x y\nc: *d\n<<: {}\n"
    assert [p.origin.line for p in problems_of(text)] == [2, 3, 4, 5]


def test_compose_when_many_characters_are_forbidden_gives_the_first_ten() -> None:
    assert len(problems_of("\x00" * 1000)) == 10


NINE_TIMES_TEN = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        NINE_TIMES_TEN,
        "[" * 1_000_000,
        "{a: " * 250_000,
        "- " * 500_000,
        "- x\n" * 250_000,
        "a: " + "0" * 1_000_000,
        "[a, b" * 200_000,
        "&a " * 300_000,
        "? " * 500_000,
        "x" * (SIZE_LIMIT_BYTES + 1),
        "é" * (SIZE_LIMIT_BYTES // 2 + 1),
    ],
    ids=lambda text: text[:12],
)
def test_compose_when_text_is_a_bomb_refuses_it(text: str) -> None:
    assert len(problems_of(text)) == 1


def test_syntax_problem_when_the_parser_gives_no_place_stands_at_the_start() -> None:
    problem = syntax_problem(SourceText("a: 1", "d.yaml"), yaml.YAMLError("odd"))
    assert str(problem) == "d.yaml:1:1: This is not YAML: odd.\n  1 | a: 1\n    | ^"


def test_compose_when_a_merge_key_is_quoted_takes_it_as_text() -> None:
    assert value_of('"<<": 1') == {"<<": 1}


def test_compose_when_values_are_as_many_as_allowed_takes_them() -> None:
    assert value_of("- x\n" * (NODE_LIMIT - 1)) == ["x"] * (NODE_LIMIT - 1)
    assert "10,000" in problems_of("- x\n" * NODE_LIMIT)[0].message


def test_compose_when_nesting_is_as_deep_as_allowed_takes_it() -> None:
    text = "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT
    assert str(value_of(text)) == text
    deeper = DEPTH_LIMIT + 1
    assert "deep" in problems_of("[" * deeper + "]" * deeper)[0].message


def test_compose_when_an_alias_makes_nesting_too_deep_refuses_it() -> None:
    half = DEPTH_LIMIT // 2
    deep = "[" * half
    text = f"a: &a {deep}{']' * half}\nb: {'[' * half}*a{']' * half}\n"
    assert "deep" in problems_of(text)[0].message


@given(st.text(max_size=200))
def test_compose_when_text_is_anything_gives_a_node_or_problems(text: str) -> None:
    problems = Problems()
    node = compose(SourceText(text, "d.yaml"), problems)
    if node is None:
        assert problems.error().problems


YAML_PIECES = st.sampled_from(
    [
        *("a", "b", ": ", ":", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "'", '"', "&x", "*x"),
        *("!", "|", "#", "?", "<<", "~", "1", "%YAML 1.2\n", "---\n", "...\n", "\t", "\r\n"),
        *("!!str ", ">", "é"),
    ]
)


@given(st.lists(YAML_PIECES, max_size=30).map("".join))
def test_compose_when_text_is_almost_yaml_shows_every_problem_within_it(text: str) -> None:
    problems = Problems()
    source = SourceText(text, "d.yaml")
    if compose(source, problems) is None:
        for problem in problems.error().problems:
            assert 1 <= problem.origin.line <= text.count("\n") + text.count("\r") + 2
            assert str(problem).startswith(str(problem.origin))
