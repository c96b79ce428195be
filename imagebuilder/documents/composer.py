"""Composer: YAML text to nodes, within limits, so that no document can exhaust the machine.

Only the parser of PyYAML is used, never its constructors: nothing in a document becomes a Python
object. Events are taken instead of its composed nodes, because those recurse without a limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeGuard, cast

import yaml

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import (
    Entry,
    ListNode,
    MappingNode,
    Node,
    ScalarNode,
    ScalarValue,
    core_value,
    is_whole_number,
)
from imagebuilder.documents.problems import Problem, Problems
from imagebuilder.documents.source import SourceText
from imagebuilder.documents.syntax import syntax_problem
from imagebuilder.domain.origin import Origin

NODE_LIMIT = 10_000
DEPTH_LIMIT = 50

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG_PREFIX = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {"map": yaml.MappingStartEvent, "seq": yaml.SequenceStartEvent}
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}
_MERGE_KEY = "<<"
_NUMBER_LENGTH_LIMIT = 20
_YAML_VERSION = (1, 2)


def compose(source: SourceText, problems: Problems) -> Node | None:
    """Give the root node of the one document in a text, or None when it could not be read whole.

    Every fault goes to problems; a malformed text has only its first.
    """
    unfit = list(source.character_problems())
    for problem in unfit:
        problems.add(problem)
    if unfit:
        return None
    try:
        return _Composer(source, problems).document()
    except _Unreadable as stop:
        problems.add(stop.problem)
    except yaml.YAMLError as error:
        problems.add(syntax_problem(source, error))
    return None


class _Unreadable(Exception):
    """The text was left before its end."""

    def __init__(self, problem: Problem) -> None:
        """Keep the reason."""
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Composed:
    """A node with what its aliases would cost: all nodes in it, and how deep it goes."""

    node: Node
    size: int
    height: int


class _Mark(Protocol):
    """Where the parser saw something; all counts from 0."""

    line: int
    column: int
    index: int


class _Composer:
    """Turns the parser's events into nodes."""

    def __init__(self, source: SourceText, problems: Problems) -> None:
        """Begin before the first event."""
        self._source = source
        self._problems = problems
        self._events: Iterator[yaml.Event] = yaml.parse(source.text, Loader=_Loader)
        self._anchors: dict[str, _Composed | None] = {}
        self._expanded = 0

    def document(self) -> Node | None:
        """Give the root of the only document."""
        next(self._events)  # The stream's own start says nothing.
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            self._fault("The document is empty.", Origin(document=self._source.document), "")
            return None
        if start.version is not None and start.version != _YAML_VERSION:
            self._fault(
                f"YAML {start.version[0]}.{start.version[1]} is not read; documents are YAML 1.2.",
                self._origin(start),
                "Remove the %YAML line.",
            )
        root = self._node(next(self._events), 1)
        next(self._events)  # The document's end, which may not be written at all.
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._stop(
                "A second document begins here.",
                after,
                "Write each document into a file of its own.",
            )
        return None if root is None else root.node

    def _node(self, event: yaml.Event, depth: int) -> _Composed | None:
        """Give what begins with an event; None stands for what cannot be kept."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(1, event)
        self._check_depth(depth, event)
        anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
        if anchor is not None:
            self._anchors[anchor] = None
        composed = self._anchored(event, depth)
        if anchor is not None:
            self._anchors[anchor] = composed
        return composed

    def _anchored(self, event: yaml.Event, depth: int) -> _Composed:
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        return self._scalar(cast("yaml.ScalarEvent", event))

    def _alias(self, event: yaml.AliasEvent, depth: int) -> _Composed | None:
        origin = self._origin(event)
        name = str(event.anchor)
        if name not in self._anchors:
            self._fault(
                f"No anchor {quoted('&' + name)} stands before this alias.",
                origin,
                "Quote the text if it should begin with *.",
            )
            return None
        composed = self._anchors[name]
        if composed is None:
            self._fault(f"Alias {quoted('*' + name)} stands inside what it repeats.", origin, "")
            return None
        self._count(composed.size, event)
        self._check_depth(depth + composed.height - 1, event)
        return composed

    def _scalar(self, event: yaml.ScalarEvent) -> _Composed:
        origin = self._origin(event)
        text = str(event.value)
        if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
            self._fault(f"The text {quoted(text)} holds a character no file may have.", origin, "")
        node = ScalarNode(
            text=text,
            value=self._value(event, origin),
            origin=origin,
            start=cast("_Mark", event.start_mark).index,
            end=cast("_Mark", event.end_mark).index,
        )
        return _Composed(node, 1, 1)

    def _value(self, event: yaml.ScalarEvent, origin: Origin) -> ScalarValue:
        text = str(event.value)
        if event.tag is None and not event.implicit[0]:
            return text
        tag = (event.tag or "").removeprefix(_TAG_PREFIX)
        if tag in ("str", "!"):
            return text
        if len(text) > _NUMBER_LENGTH_LIMIT and is_whole_number(text):
            self._fault("The number is too long.", origin, "Quote it if it is text.")
            return text
        value = core_value(text)
        if tag in _SCALAR_TAGS:
            if type(value) not in _SCALAR_TAGS[tag]:
                self._fault(f"{quoted(text)} is not what its tag !!{tag} says.", origin, "")
        elif event.tag is not None:
            self._unknown_tag(event.tag, origin)
        return value

    def _list(self, event: yaml.SequenceStartEvent, depth: int) -> _Composed:
        self._check_tag(event)
        items = [
            composed
            for each in self._until(yaml.SequenceEndEvent)
            if (composed := self._node(each, depth + 1)) is not None
        ]
        node = ListNode(items=tuple(i.node for i in items), origin=self._origin(event))
        return _grown(node, items)

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> _Composed:
        self._check_tag(event)
        entries: dict[str, Entry] = {}
        parts: list[_Composed] = []
        for each in self._until(yaml.MappingEndEvent):
            key = self._node(each, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if key is None or not self._is_key(key.node, entries) or value is None:
                continue
            parts += (key, value)
            entries[key.node.text] = Entry(key=key.node, value=value.node)
        node = MappingNode(entries=entries, origin=self._origin(event))
        return _grown(node, parts)

    def _is_key(self, key: Node, entries: dict[str, Entry]) -> TypeGuard[ScalarNode]:
        if not isinstance(key, ScalarNode):
            what = "list" if isinstance(key, ListNode) else "mapping"
            hint = "Quote text that begins with { or [, as in '{{ Name }}'."
            self._fault(f"A {what} cannot be a key.", key.origin, hint)
            return False
        if self._source.text[key.start : key.end] == _MERGE_KEY:
            hint = "Write the keys out, or repeat a whole value with an alias."
            self._fault("Merge keys (<<) are not part of YAML 1.2.", key.origin, hint)
            return False
        if key.text in entries:
            first = entries[key.text].key.origin
            self._fault(
                f"The key {quoted(key.text)} is there twice.",
                key.origin,
                f"It stands first in line {first.line}.",
            )
            return False
        return True

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _check_tag(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag in (None, "!"):
            return
        expected = _COLLECTION_TAGS.get(event.tag.removeprefix(_TAG_PREFIX))
        if expected is None or not isinstance(event, expected):
            self._unknown_tag(event.tag, self._origin(event))

    def _unknown_tag(self, tag: str, origin: Origin) -> None:
        name = tag.replace(_TAG_PREFIX, "!!")
        self._fault(f"The tag {quoted(name)} is not allowed here.", origin, "Remove it.")

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._expanded += nodes
        if self._expanded > NODE_LIMIT:
            self._stop(
                f"The document holds more than {NODE_LIMIT:,} values, aliases counted as repeated.",
                event,
                "Split it, or use fewer aliases.",
            )

    def _check_depth(self, depth: int, event: yaml.Event) -> None:
        if depth > DEPTH_LIMIT:
            self._stop(
                f"Values are nested more than {DEPTH_LIMIT} deep here.", event, "Nest them less."
            )

    def _fault(self, message: str, origin: Origin, hint: str) -> None:
        self._problems.add(self._source.problem(message, origin, hint))

    def _stop(self, message: str, event: yaml.Event, hint: str) -> NoReturn:
        raise _Unreadable(self._source.problem(message, self._origin(event), hint))

    def _origin(self, event: yaml.Event) -> Origin:
        mark = cast("_Mark", event.start_mark)
        return Origin(document=self._source.document, line=mark.line + 1, column=mark.column + 1)


def _grown(node: Node, parts: list[_Composed]) -> _Composed:
    return _Composed(
        node,
        1 + sum(part.size for part in parts),
        1 + max((part.height for part in parts), default=0),
    )
