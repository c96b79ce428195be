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
_LATER_FORMS = ("env:", "context:", "aws:", "loop.")


class Side(StrEnum):
    """Whether a reference asks for what a step was given or for what it gave."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"


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
class ForeignValue:
    """A form AWSTOE knows and this version does not: `{{ env:HOME }}`, `{{ aws:ssm:/x }}`."""

    form: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateText:
    """Text in double braces that is no reference of ours, such as `{{.Name}}`."""

    text: str


Reference: TypeAlias = NamedValue | StepValue | ForeignValue
Lookup: TypeAlias = Callable[[Reference], str | None]
"""Gives the text a reference stands for, or None to leave the braces as they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReference:
    """Double braces in a text. `written` is all of it, braces included; `start` counts from 0."""

    written: str
    start: int
    meaning: Reference | TemplateText


def parse_reference(inside: str) -> Reference | TemplateText:
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
    for form in _LATER_FORMS:
        if text.startswith(form):
            return ForeignValue(form=form.rstrip(":."), text=text)
    return TemplateText(text=text)


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
        found = None if isinstance(meaning, TemplateText) else lookup(meaning)
        return matched[0] if found is None else found

    return _BRACES.sub(replacement, text)
