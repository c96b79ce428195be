"""Steps of component documents: nodes to the domain's steps; the nodes are sound by then."""

import re

from imagebuilder.documents.component_conditions import guard_of
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import list_at, mapping_at, scalar_at, texts_at
from imagebuilder.domain.component import ActionName, ComponentStep, OnFailure, Phase
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.loops import DEFAULT_DELIMITER, CountingLoop, ListLoop, Loop, SplitLoop

OCTAL = re.compile(r"(0o?)?([0-7]{3,4})")

_FLAGS = frozenset(
    {"allowUnsignedInstaller", "checkIdempotence", "force", "ignoreAuthenticodeSignatureErrors"}
    | {"ignoreCertificateErrors", "overwrite", "printFileContent", "recommends", "recurse"}
    | {"recursive", "security", "update"}
)
_NUMBERS = frozenset({"delaySeconds", "priority"})
_TYPED = frozenset({"variables"})
_FLAG_WORDS = {"true": True, "True": True, "false": False, "False": False}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NO_LIMIT = -1


def phase_of(node: MappingNode) -> Phase:
    """Give a phase with its steps."""
    steps = (step for step in list_at(node, "steps") if isinstance(step, MappingNode))
    return Phase(name=_text(node, "name"), steps=tuple(_step(step) for step in steps))


def _step(node: MappingNode) -> ComponentStep:
    action = ActionName(_text(node, "action"))
    # Nothing but the documents that an ExecuteDocument runs limits its time.
    default_seconds = _NO_LIMIT if action is ActionName.EXECUTE_DOCUMENT else 7200
    timeout_seconds = _whole(scalar_at(node, "timeoutSeconds"), default_seconds)
    inputs, guard, loop = node.get("inputs"), node.get("if"), mapping_at(node, "loop")
    hidden = scalar_at(node, "disableLogging")
    return ComponentStep(
        name=_text(node, "name"),
        action=action,
        inputs=None if inputs is None else _inputs(inputs, ""),
        timeout_seconds=None if timeout_seconds == _NO_LIMIT else timeout_seconds,
        on_failure=OnFailure(_text(node, "onFailure", OnFailure.ABORT)),
        max_attempts=_whole(scalar_at(node, "maxAttempts"), 1),
        guard=None if guard is None else guard_of(guard),
        loop=None if loop is None else _loop(loop),
        hides_output=hidden is not None and _flag(hidden) is True,
        origin=node.origin,
    )


def _loop(node: MappingNode) -> Loop:
    name = _text(node, "name")
    counting, listed = mapping_at(node, "for"), mapping_at(node, "forEach")
    if counting is not None:
        return CountingLoop(
            start=_loop_number(counting, "start"),
            end=_loop_number(counting, "end"),
            update_by=_loop_number(counting, "updateBy"),
            name=name,
        )
    if listed is not None:
        delimiter = _text(listed, "delimiter", DEFAULT_DELIMITER)
        return SplitLoop(text=_text(listed, "list"), delimiter=delimiter, name=name)
    return ListLoop(items=texts_at(node, "forEach"), name=name)


def _loop_number(node: MappingNode, key: str) -> int | str:
    number = scalar_at(node, key)
    return "" if number is None else number_of(number)


def _inputs(node: Node, key: str) -> Canonical:
    """Give inputs as the actions take them: texts as written, octal permissions as four digits."""
    if key in _TYPED:
        return node.plain()
    match node:
        case MappingNode():
            return {name: _inputs(e.value, name) for name, e in node.entries.items()}
        case ListNode():
            return [_inputs(item, key) for item in node.items]
        case ScalarNode():
            return _input_value(node, key)


def _input_value(node: ScalarNode, key: str) -> Canonical:
    if node.value is None:
        return None
    if key in _FLAGS:
        return _flag(node)
    if key in _NUMBERS:
        return number_of(node)
    octal = OCTAL.fullmatch(node.text) if key == "permissions" else None
    return f"{int(octal[2], 8):04o}" if octal else node.text


def _flag(node: ScalarNode) -> bool | str:
    """Give a boolean, also one that was quoted; text that holds references stays text."""
    return node.value if isinstance(node.value, bool) else _FLAG_WORDS.get(node.text, node.text)


def number_of(node: ScalarNode) -> int | str:
    """Give a whole number, also one that was quoted; text that holds references stays text."""
    if isinstance(node.value, int | float):
        return int(node.value)
    return int(node.text) if _WHOLE.fullmatch(node.text) else node.text


def _whole(node: ScalarNode | None, default: int) -> int:
    return int(node.value) if node and isinstance(node.value, int | float) else default


def _text(node: MappingNode, key: str, default: str = "") -> str:
    value = scalar_at(node, key)
    return default if value is None else value.text
