"""Validation of nodes by a schema: all faults at once, each with its place and what was expected.

The `jsonschema` package judges the same (a test compares the two) but takes longer to import than a
whole build without changes may take, and does not know places.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import Schema, compiled
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode, ScalarValue
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.source import SourceText
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.spelling import did_you_mean

_BOOLEAN_WORDS = {
    **dict.fromkeys(("yes", "on", "y", "true"), "true"),
    **dict.fromkeys(("no", "off", "n", "false"), "false"),
}
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "default", "examples"}
    | {"x-expected", "x-not-yet", "x-suggestions"}
)


def validate(node: Node, schema: Schema, source: SourceText) -> list[Problem]:
    """Give all that schema finds wrong with a document's root node; none when it is valid."""
    validation = _Validation(source)
    validation.check(node, schema, "The document")
    return validation.problems


class _Misfit(Exception):
    """A node does not fit; nobody asks why."""


class _Validation:
    """One walk over nodes and schema side by side."""

    def __init__(self, source: SourceText, *, is_judging: bool = False) -> None:
        """Begin without problems; when judging, the first ends the walk and is not put in words."""
        self._source = source
        self._is_judging = is_judging
        self.problems: list[Problem] = []

    def check(self, node: Node, schema: Schema, label: str) -> None:
        """Add what is wrong with a node; what is wrong with the value itself only once."""
        if "$ref" in schema:
            self.check(node, schema.referenced(), label)
        misfit = (
            k for k, is_fit in VALUE_CHECKS.items() if k in schema and not is_fit(node, schema)
        )
        if next(misfit, None) is not None:
            self._misfit(node, schema, label)
        if isinstance(node, MappingNode):
            self._mapping(node, schema)
        if isinstance(node, ListNode):
            self._list(node, schema, label)
        self._combined(node, schema, label)

    def _combined(self, node: Node, schema: Schema, label: str) -> None:
        if "oneOf" in schema:
            self._one_of(node, schema, label)
        if "allOf" in schema:
            for part in schema.parts("allOf"):
                if not _is_of_another_kind(node, part):
                    self.check(node, part, label)
        if "if" in schema and self._is_valid(node, schema.part("if")):
            self.check(node, schema.part("then"), label)

    def _is_valid(self, node: Node, schema: Schema) -> bool:
        try:
            _Validation(self._source, is_judging=True).check(node, schema, "")
        except _Misfit:
            return False
        return True

    def _one_of(self, node: Node, schema: Schema, label: str) -> None:
        branches = list(schema.parts("oneOf"))
        if sum(self._is_valid(node, branch) for branch in branches) == 1:
            return
        likely = [branch for branch in branches if branch.types & json_types(node)]
        before = len(self.problems)
        if len(likely) == 1:
            self.check(node, likely[0], label)
        if len(self.problems) == before:
            self._misfit(node, schema, label)

    def _mapping(self, node: MappingNode, schema: Schema) -> None:
        properties = schema.named_parts("properties")
        for key in schema.words("required"):
            if key not in node.entries:
                self._missing(key, node, properties.get(key))
        if "propertyNames" in schema:
            for entry in node.entries.values():
                name = ScalarNode(
                    text=entry.key.text,
                    value=entry.key.text,
                    origin=entry.key.origin,
                    start=entry.key.start,
                    end=entry.key.end,
                )
                self.check(name, schema.part("propertyNames"), "This key")
        for key, entry in node.entries.items():
            if key in properties:
                self.check(entry.value, properties[key], quoted(key))
            elif schema.value("additionalProperties") is False:
                self._unknown_key(entry.key, node, schema, properties)
            elif "additionalProperties" in schema:
                self.check(entry.value, schema.part("additionalProperties"), quoted(key))

    def _list(self, node: ListNode, schema: Schema, label: str) -> None:
        if "items" in schema:
            items = schema.part("items")
            for item in node.items:
                self.check(item, items, f"An item of {label}")
        if schema.value("uniqueItems") is True:
            seen: set[Hashable] = set()
            for item in node.items:
                identity = _identity(item.plain())
                if identity in seen:
                    self._judge()
                    self._add(f"{_found(item)} is listed twice.", item.origin, "List it once.")
                seen.add(identity)

    def _missing(self, key: str, node: MappingNode, schema: Schema | None) -> None:
        self._judge()
        hint = "Add it."
        if schema is not None:
            examples = schema.first("examples")
            example = f", such as {key}: {examples[0]}" if isinstance(examples, list) else ""
            hint = f"Add it{example}." if example else f"Add it: {schema.expected}."
        self._add(f"The key {quoted(key)} is missing.", node.origin, hint)

    def _unknown_key(
        self, key: ScalarNode, node: MappingNode, schema: Schema, known: Iterable[str]
    ) -> None:
        self._judge()
        if key.text in schema.words("x-not-yet"):
            message = f"The key {quoted(key.text)} is not supported yet."
            self._add(message, key.origin, "Leave it out.")
            return
        free = [name for name in known if name not in node.entries]
        hint = did_you_mean(key.text, free) or did_you_mean(key.text, known)
        self._add(
            f"The key {quoted(key.text)} is not known here.",
            key.origin,
            hint or f"Known are {', '.join(known)}.",
        )

    def _misfit(self, node: Node, schema: Schema, label: str) -> None:
        self._judge()
        text = node.text if isinstance(node, ScalarNode) else None
        if text is not None and text in schema.words("x-not-yet"):
            message = f"{label}: {quoted(text)} is not supported yet."
            self._add(message, node.origin, f"Use {schema.expected}.")
            return
        found = _found(node)
        if isinstance(node, MappingNode) and "maxProperties" in schema:
            found = f"one of {len(node.entries)} keys"
        message = f"{label} should be {schema.expected}, not {found}."
        if schema.value("minItems") == 1 and isinstance(node, ListNode):
            message = f"{label} should not be empty."
        self._add(message, node.origin, _hint(node, schema))

    def _judge(self) -> None:
        if self._is_judging:
            raise _Misfit

    def _add(self, message: str, origin: Origin, hint: str) -> None:
        self.problems.append(self._source.problem(message, origin, hint))


def _is_of_another_kind(node: Node, schema: Schema) -> bool:
    """Whether a part asks only what to do with another constant in a key than the node has.

    A step is judged by one part for each action there is; this sees at once which do not matter.
    """
    if schema.keywords.keys() != {"if", "then"} or not isinstance(node, MappingNode):
        return False
    for key, asked in schema.part("if").named_parts("properties").items():
        found = node.get(key)
        constant = asked.value("const")
        if isinstance(found, ScalarNode) and isinstance(constant, str) and found.value != constant:
            return True
    return False


def json_types(node: Node) -> frozenset[str]:
    """Give the JSON types a node has; 2.0 is an integer too."""
    match node:
        case MappingNode():
            return frozenset({"object"})
        case ListNode():
            return frozenset({"array"})
        case ScalarNode():
            return _scalar_types(node.value)


def _scalar_types(value: ScalarValue) -> frozenset[str]:
    match value:
        case None:
            return frozenset({"null"})
        case bool():
            return frozenset({"boolean"})
        case str():
            return frozenset({"string"})
        case float() if not (math.isfinite(value) and value.is_integer()):
            return frozenset({"number"})
        case _:
            return frozenset({"integer", "number"})


def _fits_type(node: Node, schema: Schema) -> bool:
    return bool(json_types(node) & schema.types)


def _fits_enum(node: Node, schema: Schema) -> bool:
    listed = schema.value("enum")
    return isinstance(listed, list) and any(_is_same(node, value) for value in listed)


def _fits_const(node: Node, schema: Schema) -> bool:
    return _is_same(node, schema.value("const"))


def _fits_pattern(node: Node, schema: Schema) -> bool:
    text = _text(node)
    return text is None or compiled(schema.words("pattern")[0]).search(text) is not None


def _fits_min_length(node: Node, schema: Schema) -> bool:
    text = _text(node)
    return text is None or len(text) >= schema.number("minLength")


def _fits_max_length(node: Node, schema: Schema) -> bool:
    text = _text(node)
    return text is None or len(text) <= schema.number("maxLength")


def _fits_minimum(node: Node, schema: Schema) -> bool:
    number = _number(node)
    return number is None or not number < schema.number("minimum")


def _fits_maximum(node: Node, schema: Schema) -> bool:
    number = _number(node)
    return number is None or not number > schema.number("maximum")


def _fits_min_items(node: Node, schema: Schema) -> bool:
    return not isinstance(node, ListNode) or len(node.items) >= schema.number("minItems")


def _fits_min_properties(node: Node, schema: Schema) -> bool:
    return not isinstance(node, MappingNode) or len(node.entries) >= schema.number("minProperties")


def _fits_max_properties(node: Node, schema: Schema) -> bool:
    return not isinstance(node, MappingNode) or len(node.entries) <= schema.number("maxProperties")


VALUE_CHECKS: Mapping[str, Callable[[Node, Schema], bool]] = {
    "type": _fits_type,
    "enum": _fits_enum,
    "const": _fits_const,
    "pattern": _fits_pattern,
    "minLength": _fits_min_length,
    "maxLength": _fits_max_length,
    "minimum": _fits_minimum,
    "maximum": _fits_maximum,
    "minItems": _fits_min_items,
    "minProperties": _fits_min_properties,
    "maxProperties": _fits_max_properties,
}

KNOWN_KEYWORDS = (
    frozenset(VALUE_CHECKS)
    | _ANNOTATIONS
    | {"$ref", "oneOf", "allOf", "if", "then", "properties", "required", "additionalProperties"}
    | {"propertyNames", "items", "uniqueItems"}
)
"""Every keyword that is acted on or harmless; a schema with another would not mean what it says."""


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None


def _number(node: Node) -> int | float | None:
    if isinstance(node, ScalarNode) and not isinstance(node.value, bool | str):
        return node.value
    return None


def _is_same(node: Node, value: Canonical) -> bool:
    return _identity(node.plain()) == _identity(value)


def _identity(value: Canonical) -> Hashable:
    """Give what is equal exactly when JSON values are: true is not 1, but 1.0 is."""
    if isinstance(value, Mapping):
        return frozenset((key, _identity(part)) for key, part in value.items())
    if isinstance(value, str | bool | None):
        return type(value), value
    if isinstance(value, int | float):
        return "number", value
    return tuple(_identity(part) for part in value)


def _found(node: Node) -> str:
    match node:
        case MappingNode():
            return "a mapping"
        case ListNode():
            return "a list"
        case ScalarNode(value=None):
            return "nothing"
        case ScalarNode(value=str()):
            return quoted(node.text) if node.text else "empty text"
        case ScalarNode():
            return node.text


def _hint(node: Node, schema: Schema) -> str:
    """Give what to do about a value that does not fit; empty when the message says it all."""
    if isinstance(node, MappingNode) and "string" in schema.types:
        return "Quote text that holds a colon and a space, or write it as a block with |."
    if not isinstance(node, ScalarNode):
        return ""
    if node.value is None:
        return "Give it a value, or leave the key out."
    if "boolean" in schema.types and node.text.lower() in _BOOLEAN_WORDS:
        return f"YAML 1.2 writes {_BOOLEAN_WORDS[node.text.lower()]}."
    if not isinstance(node.value, str):
        return _quoting_hint(node, schema)
    listed = schema.value("enum")
    names = [v for v in listed if isinstance(v, str)] if isinstance(listed, list) else []
    const = schema.value("const")
    names += [const] if isinstance(const, str) else []
    return did_you_mean(node.text, names + schema.words("x-suggestions"))


def _quoting_hint(node: ScalarNode, schema: Schema) -> str:
    if "string" not in schema.types:
        return ""
    pattern = schema.value("pattern")
    if isinstance(pattern, str) and compiled(pattern).search(node.text) is None:
        return ""
    return f'Quote it: "{node.text}".'
