"""Component documents: nodes to the domain's Component, checked where the schema cannot.

Source: AWS Task Orchestrator and Executor, component documents, schema version 1.0.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from imagebuilder.documents.component_checks import check_phases
from imagebuilder.documents.component_references import check_references
from imagebuilder.documents.component_steps import phase_of
from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import (
    OpenDocument,
    list_at,
    mapping_at,
    opened,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.domain.actions import NEED_FULL_NETWORK
from imagebuilder.domain.component import (
    SIZE_LIMIT_BYTES,
    Component,
    Network,
    Parameter,
    Phase,
    Platform,
    ValueType,
)
from imagebuilder.domain.ids import ComponentName, is_name
from imagebuilder.domain.versions import Version

DEFAULT_VERSION = "1.0.0"

_FOLDER_STEM = "component"
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")


def component_of(text: str, document: str) -> tuple[Component, tuple[Problem, ...]]:
    """Give the component a text writes, and warnings. Raises: InvalidDocument: with all faults."""
    reading, root = opened(text, document, DocumentKind.COMPONENT)
    _warn_of_size(reading, root)
    _check_name(reading, root, document)
    declared = _check_declarations(reading, root)
    check_phases(reading, root)
    check_references(reading, root, declared)
    reading.problems.raise_faults()
    component = _component(root, text, document)
    _warn_of_platform(reading, component)
    _warn_of_network(reading, component)
    return component, reading.problems.warnings


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


def _warn_of_platform(reading: OpenDocument, component: Component) -> None:
    """Warn of what makes a recipe with this component refused here: the document itself is good."""
    hint = "A recipe that uses this component is refused."
    if component.platform is not Platform.LINUX and component.origin:
        message = f"The component is for {component.platform} and cannot run on Linux."
        reading.warn(message, component.origin, hint)
    elif steps := component.windows_steps:
        _, first = steps[0]
        others = f", like {len(steps) - 1} after it," if len(steps) > 1 else ""
        message = f"Step {quoted(first.name)} ({first.action}){others} cannot run on Linux."
        if any(step.guard is None for _, step in steps) and first.origin:
            reading.warn(message, first.origin, hint)


def _warn_of_network(reading: OpenDocument, component: Component) -> None:
    """Warn of steps that need more of the network than the document asks for."""
    if component.network is Network.FULL:
        return
    steps = (step for phase in component.phases for step in phase.steps)
    for step in steps:
        if step.action in NEED_FULL_NETWORK and not step.needs_windows and step.origin:
            message = f"Step {quoted(step.name)} ({step.action}) reaches nothing: network is "
            hint = "Write network: full, or leave it out."
            reading.warn(f"{message}{component.network}.", step.origin, hint)


def _component(root: MappingNode, text: str, document: str) -> Component:
    """Make the component of a document in which nothing is wrong."""
    name = text_at(root, "name")
    network, platform = text_at(root, "network"), text_at(root, "platform")
    tagged = mapping_at(root, "tags")
    tags = tagged.entries.items() if tagged else ()
    phases = tuple(
        phase_of(node) for node in list_at(root, "phases") if isinstance(node, MappingNode)
    )
    return Component(
        name=ComponentName(usable_name(name.text) if name else name_from_path(document)),
        version=Version.parse(_optional(root, "version", DEFAULT_VERSION)),
        phases=phases,
        description=_optional(root, "description"),
        parameters=tuple(_parameter(*each) for each in _declarations(root, "parameters")),
        constants={
            name.text: _value(node.get("value")) or ""
            for name, node in _declarations(root, "constants")
        },
        network=Network(network.text) if network else _usual_network(phases),
        platform=Platform(platform.text.lower()) if platform else Platform.LINUX,
        supported_os_versions=texts_at(root, "supportedOsVersions"),
        tags={key: entry.value.text for key, entry in tags if isinstance(entry.value, ScalarNode)},
        text=text,
        origin=root.origin,
    )


def _usual_network(phases: Sequence[Phase]) -> Network:
    """Give what a document reaches that says nothing: one written for AWSTOE has no such key."""
    actions = {step.action for phase in phases for step in phase.steps}
    return Network.FULL if actions & NEED_FULL_NETWORK else Network.PACKAGES


def _optional(node: MappingNode, key: str, default: str = "") -> str:
    value = scalar_at(node, key)
    return default if value is None else value.text


def _parameter(name: ScalarNode, node: MappingNode) -> Parameter:
    written = _optional(node, "type")
    return Parameter(
        name=name.text,
        type=ValueType(written[:1].lower() + written[1:]),
        default=_value(node.get("default")),
        description=_optional(node, "description"),
        origin=name.origin,
    )


def _value(node: Node | None) -> str | None:
    """Give a declared value as text; a list's items are joined as recipes would write them."""
    match node:
        case ScalarNode():
            return node.text
        case ListNode(items=items):
            return ",".join(item.text for item in items if isinstance(item, ScalarNode))
        case _:
            return None
