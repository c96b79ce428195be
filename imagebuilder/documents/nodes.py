"""Nodes: what a YAML document says, each part knowing where it stands.

Source: YAML 1.2.2, 10.3 "Core schema".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.origin import Origin

ScalarValue: TypeAlias = str | int | float | bool | None

_CONSTANTS: Mapping[str, ScalarValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBER_START = frozenset("-+.0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """A single value. `text` is as written, quotes and escapes resolved.

    Units: `start` and `end` are indexes into the document's text.
    """

    text: str
    value: ScalarValue
    origin: Origin
    start: int
    end: int

    def plain(self) -> Canonical:
        """Give the value without its place."""
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNode:
    """Values in order."""

    items: tuple["Node", ...]
    origin: Origin

    def plain(self) -> Canonical:
        """Give the values without their places."""
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key of a mapping and what it holds."""

    key: ScalarNode
    value: "Node"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    """Values by key, in the order written. Shape: `entries` maps a key's text to key and value."""

    entries: Mapping[str, Entry]
    origin: Origin

    def get(self, key: str) -> "Node | None":
        """Give what a key holds, or None when there is no such key."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def plain(self) -> Canonical:
        """Give the values without their places."""
        return {key: entry.value.plain() for key, entry in self.entries.items()}


Node: TypeAlias = ScalarNode | ListNode | MappingNode


def core_value(text: str) -> ScalarValue:
    """Give what an unquoted scalar means in YAML 1.2: no yes and no, no dates, no sixties."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_START:
        return text
    if is_whole_number(text):
        return int(text, 0) if text[1:2] in ("o", "x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def is_whole_number(text: str) -> bool:
    """Whether an unquoted scalar is an integer, decimal, octal (0o) or hexadecimal (0x)."""
    return _INTEGER.fullmatch(text) is not None


def scalars(node: Node) -> Iterator[ScalarNode]:
    """Give every value in a node, in the order written; keys are not among them."""
    match node:
        case ScalarNode():
            yield node
        case ListNode():
            for item in node.items:
                yield from scalars(item)
        case MappingNode():
            for entry in node.entries.values():
                yield from scalars(entry.value)
