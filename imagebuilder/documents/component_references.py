"""References in a component's steps, checked where they stand: what they name must be there."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode, scalars
from imagebuilder.documents.problems import did_you_mean
from imagebuilder.documents.reading import OpenDocument, list_at, text_at
from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.references import (
    TEMPLATE_WORDS,
    ForeignValue,
    FoundReference,
    NamedValue,
    Side,
    StepValue,
    TemplateText,
    references_in_text,
)

_OUTPUTS = {ActionName.EXECUTE_BASH.value: ("stdout",)}


class _Stage(StrEnum):
    """What cannot see each other: the build of an image and the tests of the finished one."""

    BUILDING = "building"
    TESTING = "testing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    phase: str
    name: str
    action: str
    inputs: Node | None

    @property
    def stage(self) -> _Stage:
        return _Stage.TESTING if self.phase == PhaseName.TEST else _Stage.BUILDING


@dataclass(slots=True)
class _Checking:
    document: OpenDocument
    declared: Collection[str]
    steps: list[_Step]
    earlier: dict[tuple[str, str], _Step] = field(default_factory=dict)


def check_references(document: OpenDocument, root: MappingNode, declared: Collection[str]) -> None:
    """Keep a fault for every reference that can never be filled, a warning for text like one."""
    checking = _Checking(document, declared, list(_steps(root)))
    for step in checking.steps:
        for scalar in scalars(step.inputs) if step.inputs is not None else ():
            written: Counter[str] = Counter()
            for found in references_in_text(scalar.text):
                origin = document.origin_within(scalar, found.written, written[found.written])
                written[found.written] += 1
                _check(checking, step, found, origin)
        checking.earlier[step.phase, step.name] = step


def _steps(root: MappingNode) -> Iterator[_Step]:
    for phase in list_at(root, "phases"):
        for step in list_at(phase, "steps") if isinstance(phase, MappingNode) else ():
            if isinstance(phase, MappingNode) and isinstance(step, MappingNode):
                yield _Step(
                    phase=_text(phase, "name"),
                    name=_text(step, "name"),
                    action=_text(step, "action"),
                    inputs=step.get("inputs"),
                )


def _text(node: MappingNode, key: str) -> str:
    value = text_at(node, key)
    return value.text if value else ""


def _check(checking: _Checking, step: _Step, found: FoundReference, origin: Origin) -> None:
    match found.meaning:
        case NamedValue(name=name):
            _check_name(checking, name, found, origin)
        case StepValue():
            _check_step_value(checking, step, found.meaning, origin)
        case ForeignValue(form=form):
            checking.document.fault(
                f"References of the form {form} are not supported yet.",
                origin,
                "Use a parameter of the component.",
            )
        case TemplateText():
            _warn_of_template(checking, found, origin)


def _check_name(checking: _Checking, name: str, found: FoundReference, origin: Origin) -> None:
    if name in checking.declared:
        return
    if name in TEMPLATE_WORDS:
        _warn_of_template(checking, found, origin)
        return
    checking.document.fault(
        f"{quoted(name)} is neither a parameter nor a constant of this component.",
        origin,
        did_you_mean(name, checking.declared) or "Declare it under parameters or constants.",
    )


def _warn_of_template(checking: _Checking, found: FoundReference, origin: Origin) -> None:
    checking.document.warn(
        f"{quoted(found.written)} is no reference of ours and stays as it is.",
        origin,
        "If it should be one, write {{ Name }} or {{ phase.Step.outputs.stdout }}.",
    )


def _check_step_value(checking: _Checking, step: _Step, wanted: StepValue, origin: Origin) -> None:
    named = checking.earlier.get((wanted.phase, wanted.step))
    if named is None:
        _fault_of_absence(checking, wanted, origin)
    elif named.stage is not step.stage:
        checking.document.fault(
            f"Step {quoted(wanted.step)} runs while {named.stage}, this one while {step.stage}.",
            origin,
            "Values do not pass from build and validate to test; work it out again in test.",
        )
    elif wanted.side is Side.OUTPUTS:
        _check_output(checking, named, wanted, origin)
    else:
        _check_input(checking, named, wanted, origin)


def _fault_of_absence(checking: _Checking, wanted: StepValue, origin: Origin) -> None:
    written = f"{wanted.phase}.{wanted.step}"
    if any((s.phase, s.name) == (wanted.phase, wanted.step) for s in checking.steps):
        message = f"Step {quoted(written)} has not run when this reference is filled."
        checking.document.fault(message, origin, "Refer to an earlier step.")
        return
    known = [f"{s.phase}.{s.name}" for s in checking.steps]
    message = f"There is no step {quoted(written)} in this component."
    checking.document.fault(message, origin, did_you_mean(written, known))


def _check_output(checking: _Checking, named: _Step, wanted: StepValue, origin: Origin) -> None:
    known = _OUTPUTS.get(named.action, ())
    if wanted.key not in known or wanted.index:
        there = f"It has {', '.join(known)}." if known else "It has none."
        checking.document.fault(
            f"Step {quoted(named.name)} ({named.action}) has no output {quoted(_place(wanted))}.",
            origin,
            did_you_mean(wanted.key, known) or there,
        )


def _check_input(checking: _Checking, named: _Step, wanted: StepValue, origin: Origin) -> None:
    items = named.inputs.items if isinstance(named.inputs, ListNode) else (named.inputs,)
    message = f"Step {quoted(named.name)} has no single input {quoted(_place(wanted))}."
    if wanted.index is None and len(items) > 1:
        hint = f"It has {len(items)} inputs: say which, as in inputs[0].{wanted.key}."
        checking.document.fault(message, origin, hint)
        return
    index = wanted.index or 0
    item = items[index] if index < len(items) else None
    if isinstance(item, MappingNode) and isinstance(item.get(wanted.key), ScalarNode):
        return
    checking.document.fault(message, origin, _input_hint(item, wanted.key, len(items)))


def _input_hint(item: Node | None, key: str, count: int) -> str:
    if not isinstance(item, MappingNode):
        return f"It has {count}, counted from 0."
    if key in item.entries:
        return "Only single values can be referred to."
    return did_you_mean(key, item.entries)


def _place(wanted: StepValue) -> str:
    return wanted.key if wanted.index is None else f"[{wanted.index}].{wanted.key}"
