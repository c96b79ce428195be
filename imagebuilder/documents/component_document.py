"""Component documents: nodes to the domain's Component, checked where the schema cannot.

Source: AWS Task Orchestrator and Executor, component documents, schema version 1.0.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

from imagebuilder.documents.component_references import check_references
from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import (
    OpenDocument,
    list_at,
    opened,
    scalar_at,
    text_at,
)
from imagebuilder.domain.component import (
    SIZE_LIMIT_BYTES,
    ActionName,
    Component,
    ComponentStep,
    Network,
    OnFailure,
    Parameter,
    Phase,
    PhaseName,
)
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import ComponentName, is_name
from imagebuilder.domain.versions import Version

DEFAULT_VERSION = "1.0.0"

_FOLDER_STEM = "component"
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")
_OCTAL = re.compile(r"(0o?)?([0-7]{3,4})")
_VALUE_INPUTS = frozenset({"overwrite", "recommends"})
_NUMBER_INPUTS = frozenset({"delaySeconds"})
_NO_LIMIT = -1


def component_of(text: str, document: str) -> tuple[Component, tuple[Problem, ...]]:
    """Give the component a text writes, and warnings. Raises: InvalidDocument: with all faults."""
    reading, root = opened(text, document, DocumentKind.COMPONENT)
    _warn_of_size(reading, root)
    _check_name(reading, root, document)
    declared = _check_declarations(reading, root)
    _check_phases(reading, root)
    check_references(reading, root, declared)
    reading.problems.raise_faults()
    return _component(root, text, document), reading.problems.warnings


def name_from_path(document: str) -> str:
    """Give the name of a component whose document does not say it: its file's, or its folder's."""
    path = PurePath(document)
    return usable_name(path.parent.name if path.stem == _FOLDER_STEM else path.stem)


def usable_name(written: str) -> str:
    """Give a name by which recipes can ask for a component; empty when nothing is left of it."""
    return _NOT_IN_A_NAME.sub("-", written.lower()).strip("-._")


def _warn_of_size(reading: OpenDocument, root: MappingNode) -> None:
    size_bytes = reading.source.size_bytes
    if size_bytes > SIZE_LIMIT_BYTES:
        reading.warn(
            f"The document has {size_bytes:,} bytes; EC2 Image Builder takes {SIZE_LIMIT_BYTES:,}.",
            root.origin,
            "It works here; split it if it should work there.",
        )


def _check_name(reading: OpenDocument, root: MappingNode, document: str) -> None:
    written = text_at(root, "name")
    usable = usable_name(written.text) if written else name_from_path(document)
    origin = written.origin if written else root.origin
    if not is_name(usable):
        hint = "Use lower-case letters, digits, dots, dashes and underscores."
        reading.fault("The component has no usable name.", origin, hint)
    elif written and usable != written.text:
        message = f"Recipes ask for this component as {quoted(usable)}."
        reading.warn(message, origin, "Names are lower-case and have no spaces.")


def _check_declarations(reading: OpenDocument, root: MappingNode) -> frozenset[str]:
    """Give the names of all parameters and constants; each may be declared once."""
    declared: set[str] = set()
    for key in ("parameters", "constants"):
        for name, _ in _declarations(root, key):
            if name.text in declared:
                message = f"{quoted(name.text)} is declared twice."
                hint = "Parameters and constants share their names."
                reading.fault(message, name.origin, hint)
            declared.add(name.text)
    return frozenset(declared)


def _declarations(root: MappingNode, key: str) -> Iterator[tuple[ScalarNode, MappingNode]]:
    for item in list_at(root, key):
        for entry in item.entries.values() if isinstance(item, MappingNode) else ():
            if isinstance(entry.value, MappingNode):
                yield entry.key, entry.value


def _check_phases(reading: OpenDocument, root: MappingNode) -> None:
    phases = [node for node in list_at(root, "phases") if isinstance(node, MappingNode)]
    _check_unique(reading, phases, "phase")
    for phase in phases:
        steps = [node for node in list_at(phase, "steps") if isinstance(node, MappingNode)]
        _check_unique(reading, steps, "step of this phase")
        for step in steps:
            for item in list_at(step, "inputs"):
                _check_permissions(reading, item)


def _check_unique(reading: OpenDocument, nodes: list[MappingNode], what: str) -> None:
    seen: dict[str, ScalarNode] = {}
    for node in nodes:
        name = text_at(node, "name")
        if name is None:
            continue
        if name.text in seen:
            first = seen[name.text].origin.line
            message = f"Another {what} is called {quoted(name.text)} too."
            reading.fault(message, name.origin, f"It stands in line {first}; each needs its own.")
        seen.setdefault(name.text, name)


def _check_permissions(reading: OpenDocument, item: Node) -> None:
    node = scalar_at(item, "permissions") if isinstance(item, MappingNode) else None
    if node is None or isinstance(node.value, str | bool):
        return
    if not _OCTAL.fullmatch(node.text):
        message = f"Permissions are three or four octal digits, not {quoted(node.text)}."
        reading.fault(message, node.origin, 'Write them as "0644".')


def _component(root: MappingNode, text: str, document: str) -> Component:
    """Make the component of a document in which nothing is wrong."""
    name = text_at(root, "name")
    network = text_at(root, "network")
    return Component(
        name=ComponentName(usable_name(name.text) if name else name_from_path(document)),
        version=Version.parse(_optional(root, "version", DEFAULT_VERSION)),
        phases=tuple(
            _phase(node) for node in list_at(root, "phases") if isinstance(node, MappingNode)
        ),
        description=_optional(root, "description"),
        parameters=tuple(_parameter(*each) for each in _declarations(root, "parameters")),
        constants={
            name.text: _optional(node, "value") for name, node in _declarations(root, "constants")
        },
        network=Network(network.text) if network else Network.PACKAGES,
        text=text,
        origin=root.origin,
    )


def _optional(node: MappingNode, key: str, default: str = "") -> str:
    value = scalar_at(node, key)
    return default if value is None else value.text


def _parameter(name: ScalarNode, node: MappingNode) -> Parameter:
    default = scalar_at(node, "default")
    return Parameter(
        name=name.text,
        default=default.text if default else None,
        description=_optional(node, "description"),
        origin=name.origin,
    )


def _phase(node: MappingNode) -> Phase:
    steps = (step for step in list_at(node, "steps") if isinstance(step, MappingNode))
    return Phase(
        name=PhaseName(_optional(node, "name")), steps=tuple(_step(step) for step in steps)
    )


def _step(node: MappingNode) -> ComponentStep:
    timeout_seconds = _whole(scalar_at(node, "timeoutSeconds"), 7200)
    inputs = node.get("inputs")
    return ComponentStep(
        name=_optional(node, "name"),
        action=ActionName(_optional(node, "action")),
        inputs=None if inputs is None else _inputs(inputs, ""),
        timeout_seconds=None if timeout_seconds == _NO_LIMIT else timeout_seconds,
        on_failure=OnFailure(_optional(node, "onFailure", OnFailure.ABORT)),
        max_attempts=_whole(scalar_at(node, "maxAttempts"), 1),
        origin=node.origin,
    )


def _whole(node: ScalarNode | None, default: int) -> int:
    return int(node.value) if node and isinstance(node.value, int | float) else default


def _inputs(node: Node, key: str) -> Canonical:
    """Give inputs as the actions take them: texts as written, octal permissions as four digits."""
    match node:
        case MappingNode():
            return {name: _inputs(e.value, name) for name, e in node.entries.items()}
        case ListNode():
            return [_inputs(item, key) for item in node.items]
        case ScalarNode():
            return _input_value(node, key)


def _input_value(node: ScalarNode, key: str) -> Canonical:
    if node.value is None or key in _VALUE_INPUTS:
        return node.value
    if key in _NUMBER_INPUTS:
        return _whole(node, 0)
    octal = _OCTAL.fullmatch(node.text) if key == "permissions" else None
    return f"{int(octal[2], 8):04o}" if octal else node.text
