"""The reference of components names all that documents may say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.documents.json_schema import DocumentKind, schema_text
from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.conditions import Operator
from imagebuilder.domain.references import ContextKey

TEXT = (Path(__file__).parents[2] / "docs" / "components.md").read_text(encoding="utf-8")
CODE = {word for words in re.findall(r"`([^`\n]+)`", TEXT) for word in re.findall(r"[\w-]+", words)}
SCHEMA = json.loads(schema_text(DocumentKind.COMPONENT))
STEP = SCHEMA["$defs"]["step"]


def inputs_of(action: ActionName) -> set[str]:
    part = next(p for p in STEP["allOf"] if p["if"]["properties"]["action"]["const"] == action)
    name = part["then"]["properties"]["inputs"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = SCHEMA["$defs"][name]
    return set(schema.get("items", schema).get("properties", {}))


@pytest.mark.parametrize("action", list(ActionName))
def test_reference_when_an_action_is_there_names_it_its_inputs_and_outputs(
    action: ActionName,
) -> None:
    assert {action.value, *inputs_of(action), *action.outputs} - CODE == set()


@pytest.mark.parametrize("operator", list(Operator))
def test_reference_when_an_operator_is_there_names_it(operator: Operator) -> None:
    assert operator.value in CODE


def test_reference_when_steps_have_a_key_names_it() -> None:
    assert set(STEP["properties"]) - CODE == set()


def test_reference_when_the_context_has_a_key_names_it() -> None:
    assert [key for key in ContextKey if key.value not in TEXT] == []


def test_schema_when_there_is_an_action_has_a_form_for_its_inputs() -> None:
    assert STEP["properties"]["action"]["enum"] == [
        p["if"]["properties"]["action"]["const"] for p in STEP["allOf"]
    ]
    assert set(STEP["properties"]["action"]["enum"]) == set(ActionName)
