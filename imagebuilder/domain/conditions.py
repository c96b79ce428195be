"""Conditions: what `if` asks before a step, and what Assert asks as one.

What a condition means for the step is `services.provisioning`.

Source: AWS Task Orchestrator and Executor, "Conditional constructs" and "Comparison operators".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from imagebuilder.domain.digest import Canonical


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A step's `if`: asked once, before the first attempt."""

    condition: Condition
    then: Branch = Branch.EXECUTE
    otherwise: Branch = Branch.SKIP
