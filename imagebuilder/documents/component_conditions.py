"""Conditions in component documents: what the schema cannot see in them, and their domain values.

Source: AWS Task Orchestrator and Executor, "Conditional constructs" and "Comparison operators".
"""

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import OpenDocument, list_at, text_at
from imagebuilder.domain.conditions import (
    AllOf,
    AnyOf,
    Branch,
    Comparison,
    Condition,
    Guard,
    Not,
    Operator,
    is_number,
    pattern_fault,
)
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.references import references_in_text

_AND, _OR, _NOT = "and", "or", "not"
_OPERATORS = frozenset({_AND, _OR, _NOT, *Operator})
_BESIDE = frozenset({"value", "path", "then", "else"})
_DEPTH_LIMIT = 10
_DIGEST_LENGTHS = {
    Operator.FILE_MD5_EQUALS: 32,
    Operator.FILE_SHA1_EQUALS: 40,
    Operator.FILE_SHA256_EQUALS: 64,
    Operator.FILE_SHA512_EQUALS: 128,
}
_HEX = frozenset("0123456789abcdefABCDEF")


def check_guard(document: OpenDocument, node: Node) -> None:
    """Keep what is wrong with an `if` beyond its schema."""
    if isinstance(node, ListNode) and len(node.items) > 1:
        message = "A step has one condition."
        document.fault(message, node.origin, "Put several into one `and` or `or`.")
    whole = _the_mapping(node)
    if whole is not None:
        _check(document, whole, depth=1)


def check_assertion(document: OpenDocument, node: Node) -> None:
    """Keep what is wrong with the inputs of an Assert beyond their schema."""
    if isinstance(node, MappingNode):
        _refuse_branches(document, node)
        _check(document, node, depth=1)


def guard_of(node: Node) -> Guard | None:
    """Give the domain's value of a sound `if`."""
    whole = _the_mapping(node)
    if whole is None:
        return None
    then, otherwise = text_at(whole, "then"), text_at(whole, "else")
    return Guard(
        condition=condition_of(whole),
        then=Branch(then.text) if then else Branch.EXECUTE,
        otherwise=Branch(otherwise.text) if otherwise else Branch.SKIP,
    )


def condition_of(node: MappingNode) -> Condition:
    """Give the domain's value of a sound condition."""
    (key,) = _operators(node)
    if key == _NOT:
        inner = node.get(_NOT)
        assert isinstance(inner, MappingNode)  # noqa: S101 - the schema has seen to it
        return Not(condition=condition_of(inner))
    if key in (_AND, _OR):
        parts = tuple(
            condition_of(item) for item in list_at(node, key) if isinstance(item, MappingNode)
        )
        return AllOf(conditions=parts) if key == _AND else AnyOf(conditions=parts)
    operator = Operator(key)
    return Comparison(
        operator=operator,
        operand=_compared(node, key, operator),
        value=_compared(node, operator.value_key, operator) if operator.value_key else None,
    )


def _the_mapping(node: Node) -> MappingNode | None:
    item = node.items[0] if isinstance(node, ListNode) and node.items else node
    return item if isinstance(item, MappingNode) else None


def _operators(node: MappingNode) -> list[str]:
    return [key for key in node.entries if key in _OPERATORS]


def _check(document: OpenDocument, node: MappingNode, depth: int) -> None:
    if depth > _DEPTH_LIMIT:
        message = f"Conditions stand in each other {_DEPTH_LIMIT} deep at most."
        document.fault(message, node.origin, "Make several steps of it.")
        return
    found = _operators(node)
    if len(found) != 1:
        _fault_of_operators(document, node, found)
        return
    (key,) = found
    if key == _NOT:
        parts: tuple[Node | None, ...] = (node.get(_NOT),)
    else:
        parts = list_at(node, key) if key in (_AND, _OR) else ()
    for part in parts:
        if isinstance(part, MappingNode):
            _refuse_branches(document, part)
            _check(document, part, depth + 1)
    wanted = Operator(key).value_key if key in frozenset(Operator) else ""
    _check_keys(document, node, key, wanted)
    if key in frozenset(Operator):
        _check_operand(document, node, Operator(key))


def _fault_of_operators(document: OpenDocument, node: MappingNode, found: list[str]) -> None:
    if found:
        message = f"A condition has one operator; this has {' and '.join(found)}."
        document.fault(
            message, node.origin, "Put each into a mapping of its own in a list below `and`."
        )
    elif node.entries.keys() <= _BESIDE:
        # Another key is a fault of its own, which says what may have been meant.
        hint = "Add one, such as stringEquals or fileExists."
        document.fault("The condition has no operator.", node.origin, hint)


def _check_keys(document: OpenDocument, node: MappingNode, key: str, wanted: str) -> None:
    """Keep a fault when what is compared is missing or stands in a key that is not looked at."""
    if wanted and wanted not in node.entries:
        message = f"{key} compares with {wanted}, which is missing."
        document.fault(message, node.origin, f"Add {wanted} beside it.")
    for other in ("value", "path"):
        if other != wanted and other in node.entries:
            message = f"{key} does not look at {quoted(other)}."
            hint = f"It compares with {wanted}." if wanted else "Leave it out."
            document.fault(message, node.entries[other].key.origin, hint)


def _refuse_branches(document: OpenDocument, node: MappingNode) -> None:
    for key in ("then", "else"):
        if key in node.entries:
            message = f"{quoted(key)} stands only at the top of an if."
            document.fault(message, node.entries[key].key.origin, "Move it there, or leave it out.")


def _check_operand(document: OpenDocument, node: MappingNode, operator: Operator) -> None:
    operand = node.get(operator)
    if not isinstance(operand, ScalarNode) or any(references_in_text(operand.text)):
        return
    if operator.compares_numbers and not is_number(_compared(node, operator, operator)):
        document.fault(f"{operator} compares with a number.", operand.origin)
    if operator is Operator.PATTERN_MATCHES:
        fault = pattern_fault(operand.text)
        if fault:
            message = f"{quoted(operand.text)} is no regular expression. {fault}"
            hint = "The language is RE2: there is no look-around and no reference to a group."
            document.fault(message, operand.origin, hint)
    length = _DIGEST_LENGTHS.get(operator)
    if length and (len(operand.text) != length or set(operand.text) - _HEX):
        message = f"{operator} compares with {length} hexadecimal digits."
        document.fault(message, operand.origin)


def _compared(node: MappingNode, key: str, operator: Operator) -> Canonical:
    found = node.get(key)
    if not isinstance(found, ScalarNode) or found.value is None:
        return ""
    is_plain_number = isinstance(found.value, int | float) and not isinstance(found.value, bool)
    return found.value if operator.compares_numbers and is_plain_number else found.text
