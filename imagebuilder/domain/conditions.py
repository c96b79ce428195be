"""Conditions: what `if` asks before a step, what Assert asks as one, and whether it holds.

What a condition means for the step is `services.provisioning`; how the files of an image are looked
at is an adapter's: here they are `Facts`.

Source: AWS Task Orchestrator and Executor, "Conditional constructs" and "Comparison operators".
Where its sentences and its examples differ, the examples are followed.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput

_NUMBER = re.compile(r"[-+]?([0-9]+[.])?[0-9]+")
_NUMERAL_LIMIT = 300


class Operator(StrEnum):
    """The comparison operators; values are the names documents use."""

    STRING_IS_EMPTY = "stringIsEmpty"
    STRING_IS_WHITESPACE = "stringIsWhitespace"
    STRING_EQUALS = "stringEquals"
    STRING_LESS_THAN = "stringLessThan"
    STRING_LESS_THAN_EQUALS = "stringLessThanEquals"
    STRING_GREATER_THAN = "stringGreaterThan"
    STRING_GREATER_THAN_EQUALS = "stringGreaterThanEquals"
    PATTERN_MATCHES = "patternMatches"
    NUMBER_EQUALS = "numberEquals"
    NUMBER_LESS_THAN = "numberLessThan"
    NUMBER_LESS_THAN_EQUALS = "numberLessThanEquals"
    NUMBER_GREATER_THAN = "numberGreaterThan"
    NUMBER_GREATER_THAN_EQUALS = "numberGreaterThanEquals"
    BINARY_EXISTS = "binaryExists"
    FILE_EXISTS = "fileExists"
    FOLDER_EXISTS = "folderExists"
    FILE_MD5_EQUALS = "fileMD5Equals"
    FILE_SHA1_EQUALS = "fileSHA1Equals"
    FILE_SHA256_EQUALS = "fileSHA256Equals"
    FILE_SHA512_EQUALS = "fileSHA512Equals"

    @property
    def value_key(self) -> str:
        """The key that holds what is compared with the operand; empty when there is only one."""
        if self in _ALGORITHMS:
            return "path"
        is_single = self in _EMPTINESS or self in _EXISTENCE
        return "" if is_single else "value"

    @property
    def compares_numbers(self) -> bool:
        """Whether both sides have to be numbers."""
        return self.value.startswith("number")


_EMPTINESS = frozenset({Operator.STRING_IS_EMPTY, Operator.STRING_IS_WHITESPACE})
_EXISTENCE = frozenset({Operator.BINARY_EXISTS, Operator.FILE_EXISTS, Operator.FOLDER_EXISTS})
_ALGORITHMS: Mapping[Operator, str] = {
    Operator.FILE_MD5_EQUALS: "md5",
    Operator.FILE_SHA1_EQUALS: "sha1",
    Operator.FILE_SHA256_EQUALS: "sha256",
    Operator.FILE_SHA512_EQUALS: "sha512",
}


class Branch(StrEnum):
    """What happens to a step for what its condition came to."""

    EXECUTE = "Execute"
    SKIP = "Skip"
    ABORT = "Abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One operator: `value OP operand`; references in both are still unresolved.

    Shape: `value` is None for operators of one operand; for hashes it is the file's path.
    """

    operator: Operator
    operand: Canonical
    value: Canonical = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """True when all are; the rest is not looked at after the first that is not."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """True when one is; the rest is not looked at after the first that is."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """True when the other is not."""

    condition: "Condition"


Condition: TypeAlias = Comparison | AllOf | AnyOf | Not
Resolve: TypeAlias = Callable[[str], str]
"""Gives a text with its references filled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A step's `if`: asked once, before the first attempt."""

    condition: Condition
    then: Branch = Branch.EXECUTE
    otherwise: Branch = Branch.SKIP

    def branch(self, facts: "Facts", resolve: Resolve) -> tuple[Branch, str]:
        """Give what is to happen to the step, and why in words. Raises: PatternInvalid."""
        if not holds(self.condition, facts, resolve):
            return self.otherwise, "its condition does not hold"
        return self.then, f"its condition holds (then: {self.then})"


class Facts(Protocol):
    """What conditions ask of the machine they are about."""

    def binary_exists(self, name: str) -> bool:
        """Whether a program of this name is found on the path, as bash's `type` finds it."""
        ...

    def file_exists(self, path: str) -> bool:
        """Whether there is a file, no folder; links are followed."""
        ...

    def folder_exists(self, path: str) -> bool:
        """Whether there is a folder; links are followed."""
        ...

    def file_digest(self, path: str, algorithm: str) -> str | None:
        """Give a file's digest by md5, sha1, sha256 or sha512 in hex; None when it is not there."""
        ...


class PatternInvalid(InvalidInput):
    """A regular expression that could not be read before the run cannot be read now."""

    code = "pattern-invalid"

    def __init__(self, pattern: str, reason: str) -> None:
        """Show the pattern and what is wrong with it."""
        super().__init__(
            f"'{pattern}' is no regular expression.",
            context=f"RE2 says: {reason}.",
            hint="Correct it; RE2 has no look-around and no references back to a group.",
        )


def holds(condition: Condition, facts: Facts, resolve: Resolve) -> bool:
    """Whether a condition is true now; nothing behind what decides is looked at.

    Raises: PatternInvalid.
    """
    match condition:
        case AllOf(conditions=parts):
            return all(holds(part, facts, resolve) for part in parts)
        case AnyOf(conditions=parts):
            return any(holds(part, facts, resolve) for part in parts)
        case Not(condition=part):
            return not holds(part, facts, resolve)
        case Comparison(operator=operator):
            operand = _resolved(condition.operand, resolve)
            value = _resolved(condition.value, resolve)
            return _compares(operator, operand, value, facts)


def pattern_fault(pattern: str) -> str | None:
    """Give what RE2 says is wrong with a regular expression, None when it can be used."""
    try:
        _search(pattern, "")
    except PatternInvalid as error:
        return error.context
    return None


def is_number(value: Canonical) -> bool:
    """Whether a value can be compared as a number."""
    return _number(value) is not None


def _resolved(value: Canonical, resolve: Resolve) -> Canonical:
    return resolve(value) if isinstance(value, str) else value


def _compares(operator: Operator, operand: Canonical, value: Canonical, facts: Facts) -> bool:
    if operator in _ORDERS:
        order = (_order_of_numbers if operator.compares_numbers else _order_of_texts)(
            value, operand
        )
        return order is not None and _ORDERS[operator](order)
    text = _text(operand)
    if operator in _ALGORITHMS:
        found = facts.file_digest(_text(value), _ALGORITHMS[operator])
        return found is not None and found.casefold() == text.casefold()
    return _TESTS[operator](text, _text(value), facts)


def _order_of_numbers(left: Canonical, right: Canonical) -> int | None:
    """Give how two values lie as numbers: below 0, 0 or above; None when one is no number."""
    first, second = _number(left), _number(right)
    if first is None or second is None:
        return None
    return (first > second) - (first < second)


def _order_of_texts(left: Canonical, right: Canonical) -> int:
    first, second = _text(left).casefold(), _text(right).casefold()
    return (first > second) - (first < second)


_ORDERS: Mapping[Operator, Callable[[int], bool]] = {
    Operator.STRING_LESS_THAN: lambda order: order < 0,
    Operator.STRING_LESS_THAN_EQUALS: lambda order: order <= 0,
    Operator.STRING_GREATER_THAN: lambda order: order > 0,
    Operator.STRING_GREATER_THAN_EQUALS: lambda order: order >= 0,
    Operator.NUMBER_EQUALS: lambda order: order == 0,
    Operator.NUMBER_LESS_THAN: lambda order: order < 0,
    Operator.NUMBER_LESS_THAN_EQUALS: lambda order: order <= 0,
    Operator.NUMBER_GREATER_THAN: lambda order: order > 0,
    Operator.NUMBER_GREATER_THAN_EQUALS: lambda order: order >= 0,
}
_TESTS: Mapping[Operator, Callable[[str, str, Facts], bool]] = {
    Operator.STRING_IS_EMPTY: lambda operand, _, __: operand == "",
    Operator.STRING_IS_WHITESPACE: lambda operand, _, __: operand != "" and not operand.strip(" "),
    Operator.STRING_EQUALS: lambda operand, value, _: value == operand,
    Operator.PATTERN_MATCHES: lambda operand, value, _: _search(operand, value),
    Operator.BINARY_EXISTS: lambda operand, _, facts: facts.binary_exists(operand),
    Operator.FILE_EXISTS: lambda operand, _, facts: facts.file_exists(operand),
    Operator.FOLDER_EXISTS: lambda operand, _, facts: facts.folder_exists(operand),
}


def _number(value: Canonical) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > _NUMERAL_LIMIT or not _NUMBER.fullmatch(value):
        return None
    return float(value) if "." in value else int(value)


def _text(value: Canonical) -> str:
    return "" if value is None else str(value)


def _search(pattern: str, text: str) -> bool:
    import re2  # noqa: PLC0415 - few documents have a pattern, and every build starts up

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        compiled = re2.compile(_encodable(pattern), options)
    except re2.error as error:
        raise PatternInvalid(pattern, _said(error)) from None
    return compiled.search(_encodable(text)) is not None


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
