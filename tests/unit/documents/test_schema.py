"""Our validator and the jsonschema package judge alike; our schemas use only what ours knows."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.documents.composer import compose
from imagebuilder.documents.json_schema import DocumentKind, Schema, load_schema, schema_text
from imagebuilder.documents.nodes import Node
from imagebuilder.documents.problems import Problems
from imagebuilder.documents.schema import KNOWN_KEYWORDS, validate
from imagebuilder.documents.source import SourceText, text_of

GOLDEN = Path(__file__).parents[2] / "golden"
NAMED = {"properties", "$defs"}


def node_of(text: str) -> tuple[Node, SourceText]:
    source, problems = SourceText(text, "d.yaml"), Problems()
    node = compose(source, problems)
    problems.raise_faults()
    assert node is not None
    return node, source


def is_valid(value: Any, schema: Schema) -> bool:
    node, source = node_of(json.dumps(value, ensure_ascii=True))
    return validate(node, schema, source) == []


def seeds(kind: DocumentKind) -> list[Any]:
    found = []
    for path in sorted(GOLDEN.glob(f"{kind}s/*.yaml")):
        source, problems = SourceText(text_of(path.read_bytes()), path.name), Problems()
        node = compose(source, problems)
        if node is not None:
            found.append(node.plain())
    return found


JUDGES = {
    kind: jsonschema.Draft202012Validator(json.loads(schema_text(kind))) for kind in DocumentKind
}
SEEDS = {kind: seeds(kind) for kind in DocumentKind}

WORDS = st.sampled_from(
    [
        *("", "a", "yes", "0644", "1.0", "1.x", "debian:sid", "/etc/x", "{{ Name }}", "x.1", "<<"),
        *("nginx@1.x", "name", "path", "inputs", "commands", "action", "build", "test", "Reboot"),
        *("UpdateOS", "raw", "ExecuteBash", "CreateFile", "component", "from", "4GiB", "7d"),
        *("string", "type", "default"),
    ]
) | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([-2, -1, 0, 1, 2, 7200, 1.0, -1.0, 0.5, 2.5, 644, 10**6, 1e300])
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from places(part, (*path, index))


@st.composite
def mutants(draw: st.DrawFn, kind: DocumentKind) -> Any:
    """Take a golden document and change it at a few places."""
    value = copy.deepcopy(draw(st.sampled_from(SEEDS[kind])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            continue
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "rename", "repeat"])):
            case "replace":
                holder[path[-1]] = draw(VALUES)
            case "remove":
                del holder[path[-1]]
            case "rename" if isinstance(holder, dict):
                holder[draw(WORDS)] = holder.pop(path[-1])
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            case _:
                pass
    return value


@pytest.mark.parametrize("kind", list(DocumentKind))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_validate_when_document_is_changed_at_random_agrees_with_jsonschema(
    kind: DocumentKind, data: st.DataObject
) -> None:
    value = data.draw(mutants(kind))
    assert is_valid(value, load_schema(kind)) == JUDGES[kind].is_valid(value)


@pytest.mark.parametrize("kind", list(DocumentKind))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES)
def test_validate_when_document_is_anything_agrees_with_jsonschema(
    kind: DocumentKind, value: Any
) -> None:
    assert is_valid(value, load_schema(kind)) == JUDGES[kind].is_valid(value)


DEFINITIONS = [
    (kind, name) for kind in DocumentKind for name in json.loads(schema_text(kind))["$defs"]
]


@pytest.mark.parametrize(("kind", "name"), DEFINITIONS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES)
def test_validate_when_part_is_anything_agrees_with_jsonschema(
    kind: DocumentKind, name: str, value: Any
) -> None:
    root = json.loads(schema_text(kind))
    part = {"$ref": f"#/$defs/{name}", "$defs": root["$defs"]}
    judge = jsonschema.Draft202012Validator(part)
    assert is_valid(value, Schema(part, part)) == judge.is_valid(value)


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_seeds_are_judged_both_ways_so_that_agreement_means_something(kind: DocumentKind) -> None:
    assert {JUDGES[kind].is_valid(value) for value in SEEDS[kind]} == {True, False}


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_schema_text_is_a_valid_schema(kind: DocumentKind) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(kind)))


def keywords(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from keywords(part)
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        yield keyword
        if keyword in NAMED:
            for part in value.values():
                yield from keywords(part)
        elif keyword not in {"enum", "const", "examples", "default"}:
            yield from keywords(value)


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_schema_uses_only_keywords_that_the_validator_knows(kind: DocumentKind) -> None:
    assert set(keywords(json.loads(schema_text(kind)))) <= KNOWN_KEYWORDS


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_schema_when_shown_to_editors_describes_every_top_level_key(kind: DocumentKind) -> None:
    properties = json.loads(schema_text(kind))["properties"]
    assert [key for key, part in properties.items() if not part.get("description")] == []


def test_validate_when_pattern_ends_before_a_line_end_refuses_it() -> None:
    node, source = node_of('"web\\n"')
    schema: dict[str, Any] = {"type": "string", "pattern": "^[a-z]+$"}
    assert len(validate(node, Schema(schema, schema), source)) == 1


def test_validate_when_two_branches_fit_says_so() -> None:
    node, source = node_of("3")
    schema: dict[str, Any] = {"oneOf": [{"type": "integer"}, {"type": "number"}]}
    assert len(validate(node, Schema(schema, schema), source)) == 1
