"""What reading any kind of document begins with, and how its values are taken from sound nodes."""

import re
from dataclasses import dataclass

from imagebuilder.documents.composer import compose
from imagebuilder.documents.json_schema import DocumentKind, load_schema
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.problems import Problems
from imagebuilder.documents.schema import validate
from imagebuilder.documents.source import SourceText
from imagebuilder.domain.origin import Origin

_CREDENTIALS = re.compile(r"^[a-z]+://[^/]*@")
_FIRST_KEYS = {
    DocumentKind.RECIPE: "kind: Recipe",
    DocumentKind.COMPONENT: "schemaVersion: 1.0",
    DocumentKind.RETENTION: "kind: Retention",
    DocumentKind.PIPELINE: "kind: Pipeline",
    DocumentKind.DISTRIBUTION: "kind: Distribution",
}
_MARKS = {
    DocumentKind.RECIPE: "parent",
    DocumentKind.COMPONENT: "schemaVersion",
    DocumentKind.RETENTION: "then",
    DocumentKind.PIPELINE: "recipe",
    DocumentKind.DISTRIBUTION: "targets",
}


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document while it is read: its text and what was found wrong so far."""

    source: SourceText
    problems: Problems

    def fault(self, message: str, origin: Origin, hint: str = "") -> None:
        """Keep a fault."""
        self.problems.add(self.source.problem(message, origin, hint))

    def warn(self, message: str, origin: Origin, hint: str = "") -> None:
        """Keep a warning."""
        self.problems.warn(self.source.problem(message, origin, hint))

    def origin_within(self, node: ScalarNode, part: str, skipped: int = 0) -> Origin:
        """Give where part stands in the text of a value, after so many others like it.

        It is the value's own place when escapes keep the part from being found as it is.
        """
        index = node.start
        for _ in range(skipped + 1):
            found = self.source.text.find(part, index, node.end)
            if found < 0:
                return node.origin
            index = found + 1
        return self.source.origin(index - 1)


def opened(text: str, document: str, kind: DocumentKind) -> tuple[OpenDocument, MappingNode]:
    """Give a document that is open, and its root, checked by the schema of its kind.

    Raises: InvalidDocument: nothing can be made of it; faults of its parts are kept, not raised.
    """
    document_open = OpenDocument(SourceText(text, document), Problems())
    root = compose(document_open.source, document_open.problems)
    if not isinstance(root, MappingNode):
        if root is not None:
            hint = f"Begin with a key, such as {_FIRST_KEYS[kind]}."
            document_open.fault(f"A {kind} is a mapping of keys to values.", root.origin, hint)
        raise document_open.problems.error()
    _refuse_other_kind(document_open, root, kind)
    for problem in validate(root, load_schema(kind), document_open.source):
        document_open.problems.add(problem)
    return document_open, root


def _refuse_other_kind(document: OpenDocument, root: MappingNode, kind: DocumentKind) -> None:
    """One plain sentence instead of a fault for every key of another kind of document."""
    for other, mark in _MARKS.items():
        if other is not kind and mark in root.entries and _MARKS[kind] not in root.entries:
            message = f"This is a {other}, where a {kind} is expected."
            document.fault(message, root.origin, f"Check it with: imagebuilder {other} check")
            document.problems.raise_faults()


def text_at(node: MappingNode, key: str) -> ScalarNode | None:
    """Give what a key holds when that is text; what else it holds was reported already."""
    value = node.get(key)
    return value if isinstance(value, ScalarNode) and isinstance(value.value, str) else None


def scalar_at(node: MappingNode, key: str) -> ScalarNode | None:
    """Give what a key holds when that is a single value and not nothing."""
    value = node.get(key)
    return value if isinstance(value, ScalarNode) and value.value is not None else None


def list_at(node: MappingNode, key: str) -> tuple[Node, ...]:
    """Give the items a key lists; none when it holds something else."""
    value = node.get(key)
    return value.items if isinstance(value, ListNode) else ()


def mapping_at(node: MappingNode, key: str) -> MappingNode | None:
    """Give what a key holds when that is a mapping."""
    value = node.get(key)
    return value if isinstance(value, MappingNode) else None


def texts_at(node: MappingNode, key: str) -> tuple[str, ...]:
    """Give the single values a key lists, as they are written."""
    return tuple(item.text for item in list_at(node, key) if isinstance(item, ScalarNode))


def holds_credentials(node: ScalarNode) -> bool:
    """Whether an address names a user, or a password too."""
    return _CREDENTIALS.match(node.text) is not None
