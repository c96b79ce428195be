"""References: `{{ ... }}` in a step's inputs, which stand for values known only when it runs.

How such a value is come by is `services.provisioning`; where a faulty one stands is `documents`.

Source: AWS Task Orchestrator and Executor, "Use variables in component documents" and "Input and
output chaining"; names in other template languages share the braces and are left alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from imagebuilder.domain.digest import Canonical

VALUE_NAME_PATTERN = r"^[A-Za-z0-9_-]{3,128}$"
"""What parameters and constants may be called."""

TEMPLATE_WORDS = frozenset(
    {"and", "block", "break", "continue", "define", "else", "end", "index", "len", "nil", "not"}
    | {"print", "printf", "println", "range", "template", "with"}
)
"""Words of Go's templates that could as well be names: only a declaration makes them ours."""

_BRACES = re.compile(r"\{\{([^{}\n]*)\}\}")
_NAME = re.compile(r"[A-Za-z0-9_-]{3,128}")
_STEP_VALUE = re.compile(
    r"(?P<phase>[A-Za-z0-9_-]+)\.(?P<step>[^{}]+)"
    r"\.(?P<side>inputs|outputs)(\[(?P<index>[0-9]{1,6})\])?\.(?P<key>[A-Za-z0-9_-]+)"
)
_LOOP_VALUE = re.compile(r"(?P<loop>[A-Za-z0-9_-]{1,128})\.(?P<part>index|value)")
_RESOLVE = re.compile(r"resolve\((?P<inside>.*)\)")
_STORE_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_.-]+)?")
_METADATA_PATH = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.:-]*)*")
_SECRET_METADATA = frozenset({"iam", "identity-credentials"})

CURRENT_LOOP = "loop"
"""What stands in references for the loop of the step itself, whatever that is called."""


class Side(StrEnum):
    """Whether a reference asks for what a step was given or for what it gave."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"


class LoopPart(StrEnum):
    """What a reference asks of a loop."""

    INDEX = "index"
    VALUE = "value"


class ContextKey(StrEnum):
    """What a component may ask of the run it is in."""

    EXECUTION_ID = "executionId"
    ACCOUNT_ID = "accountId"
    REGION = "region"
    OS_PLATFORM = "osPlatform"
    OS_NAME = "osName"
    OS_VERSION = "osVersion"
    DATE = "date"
    DATE_TIME = "dateTime"
    UUID = "uuid"
    HOSTNAME = "hostname"
    PHASE = "phase"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedValue:
    """A parameter or a constant: `{{ Name }}`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepValue:
    """An input or output of an earlier step: `{{ phase.Step.outputs[0].key }}`.

    Units: `index` counts from 0, and is None when none is written.
    """

    phase: str
    step: str
    side: Side
    key: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopValue:
    """Where a loop is: `{{ loop.index }}`, or `{{ Name.value }}` when the loop has a name."""

    loop: str
    part: LoopPart


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentValue:
    """A variable of the image's environment: `{{ env:HOME }}`; any name a system allows."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextValue:
    """Something of the run itself: `{{ context:date }}`."""

    key: ContextKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """A parameter of the Systems Manager store: `{{ aws:ssm:/a/b }}`. It may be a secret."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIndirectly:
    """A parameter of that store whose name is another value: `{{ aws:ssm:resolve(Name) }}`."""

    name: NamedValue | StoredValue


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataValue:
    """Metadata of the machine in a cloud: `{{ aws:imds:instance-id }}`; never credentials."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateText:
    """Text in double braces that is no reference of ours, such as `{{.Name}}`."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableReference:
    """A reference whose form is known and that can never be filled; `fault` says why."""

    text: str
    fault: str
    hint: str = ""


Reference: TypeAlias = (
    NamedValue
    | StepValue
    | LoopValue
    | EnvironmentValue
    | ContextValue
    | StoredValue
    | StoredIndirectly
    | MetadataValue
)
Lookup: TypeAlias = Callable[[Reference], str | None]
"""Gives the text a reference stands for, or None to leave the braces as they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReference:
    """Double braces in a text. `written` is all of it, braces included; `start` counts from 0."""

    written: str
    start: int
    meaning: Reference | TemplateText | UnusableReference


def parse_reference(inside: str) -> Reference | TemplateText | UnusableReference:
    """Give what the text between double braces means; space around it does not matter."""
    text = inside.strip()
    if _NAME.fullmatch(text):
        return NamedValue(name=text)
    if matched := _STEP_VALUE.fullmatch(text):
        index = matched["index"]
        return StepValue(
            phase=matched["phase"],
            step=matched["step"],
            side=Side(matched["side"]),
            key=matched["key"],
            index=None if index is None else int(index),
        )
    if matched := _LOOP_VALUE.fullmatch(text):
        return LoopValue(loop=matched["loop"], part=LoopPart(matched["part"]))
    for prefix, read in _FORMS.items():
        if text.startswith(prefix):
            return read(text, text.removeprefix(prefix))
    return TemplateText(text=text)


def _environment(text: str, name: str) -> Reference | UnusableReference:
    if not name or "=" in name or "\0" in name:
        return UnusableReference(text=text, fault="names no environment variable")
    return EnvironmentValue(name=name)


def _context(text: str, key: str) -> Reference | UnusableReference:
    try:
        return ContextValue(key=ContextKey(key))
    except ValueError:
        known = ", ".join(ContextKey)
        return UnusableReference(
            text=text, fault="names nothing of the context", hint=f"Known are {known}."
        )


def _stored(text: str, path: str) -> Reference | UnusableReference:
    if matched := _RESOLVE.fullmatch(path):
        inside = matched["inside"].strip()
        stored = inside.removeprefix("aws:ssm:")
        if stored != inside and _STORE_NAME.fullmatch(stored):
            return StoredIndirectly(name=StoredValue(path=stored))
        if _NAME.fullmatch(inside):
            return StoredIndirectly(name=NamedValue(name=inside))
        hint = "Between the parentheses stands the name of a parameter, or aws:ssm: and a path."
        return UnusableReference(text=text, fault="resolves nothing that has a value", hint=hint)
    if not _STORE_NAME.fullmatch(path):
        fault = "names no parameter of the store"
        return UnusableReference(text=text, fault=fault, hint="Write it as aws:ssm:/path/name.")
    return StoredValue(path=path)


def _metadata(text: str, path: str) -> Reference | UnusableReference:
    if not _METADATA_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        fault = "names no metadata"
        return UnusableReference(text=text, fault=fault, hint="Write it as aws:imds:instance-id.")
    if path.split("/", maxsplit=1)[0].casefold() in _SECRET_METADATA:
        fault = "asks for the machine's credentials, which no component may have"
        return UnusableReference(text=text, fault=fault, hint="Give it a secret of its own.")
    return MetadataValue(path=path)


_FORMS: Mapping[str, Callable[[str, str], Reference | UnusableReference]] = {
    "env:": _environment,
    "context:": _context,
    "aws:ssm:": _stored,
    "aws:imds:": _metadata,
}


def references_in_text(text: str) -> Iterator[FoundReference]:
    """Give every pair of double braces in a text, in their order."""
    for matched in _BRACES.finditer(text):
        yield FoundReference(
            written=matched[0], start=matched.start(), meaning=parse_reference(matched[1])
        )


def references_in(value: Canonical) -> Iterator[FoundReference]:
    """Give every pair of double braces in the strings of a value; keys are not looked at."""
    if isinstance(value, str):
        yield from references_in_text(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from references_in(part)
    elif not isinstance(value, int | float | None):
        for part in value:
            yield from references_in(part)


def substitute(value: Canonical, lookup: Lookup) -> Canonical:
    """Give value with every reference replaced by what lookup gives for it.

    What was put in is not looked at again, so that no value can ask for another. Text that is no
    reference, and what lookup answers with None, stays as it was written.
    """
    if isinstance(value, str):
        return substitute_text(value, lookup)
    if isinstance(value, Mapping):
        return {key: substitute(part, lookup) for key, part in value.items()}
    if isinstance(value, int | float | None):
        return value
    return [substitute(part, lookup) for part in value]


def substitute_text(text: str, lookup: Lookup) -> str:
    """Give text with every reference replaced by what lookup gives for it."""

    def replacement(matched: re.Match[str]) -> str:
        meaning = parse_reference(matched[1])
        if isinstance(meaning, TemplateText | UnusableReference):
            return matched[0]
        found = lookup(meaning)
        return matched[0] if found is None else found

    return _BRACES.sub(replacement, text)
