"""References in a component's steps, checked where they stand: what they name must be there."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import ListNode, MappingNode, Node, ScalarNode, scalars
from imagebuilder.documents.reading import OpenDocument, list_at, mapping_at, text_at
from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.references import (
    CURRENT_LOOP,
    TEMPLATE_WORDS,
    FoundReference,
    LoopValue,
    NamedValue,
    Side,
    StepValue,
    StoredIndirectly,
    TemplateText,
    UnusableReference,
    references_in_text,
)
from imagebuilder.domain.spelling import did_you_mean

_TESTING_PHASES = frozenset({PhaseName.TEST.value, "container-host-test"})


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
    guard: Node | None
    loop: MappingNode | None

    @property
    def stage(self) -> _Stage:
        return _Stage.TESTING if self.phase in _TESTING_PHASES else _Stage.BUILDING

    @property
    def loop_names(self) -> tuple[str, ...]:
        """What references may call its loop by; nothing when it has none."""
        if self.loop is None:
            return ()
        return tuple(filter(None, (CURRENT_LOOP, _text(self.loop, "name"))))


@dataclass(slots=True)
class _Checking:
    document: OpenDocument
    declared: Collection[str]
    steps: list[_Step]
    earlier: dict[tuple[str, str], _Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where references stand: which step's, and by which names its loop is known there."""

    step: _Step
    loops: tuple[str, ...] = ()
    takes_declared_only: bool = False


def check_references(document: OpenDocument, root: MappingNode, declared: Collection[str]) -> None:
    """Keep a fault for every reference that can never be filled, a warning for text like one."""
    checking = _Checking(document, declared, list(_steps(root)))
    for step in checking.steps:
        _check_node(checking, step.guard, _Place(step=step))
        counting = None if step.loop is None else step.loop.get("for")
        _check_node(checking, counting, _Place(step=step, takes_declared_only=True))
        listed = None if step.loop is None else step.loop.get("forEach")
        _check_node(checking, listed, _Place(step=step))
        _check_node(checking, step.inputs, _Place(step=step, loops=step.loop_names))
        checking.earlier[step.phase, step.name] = step


def _check_node(checking: _Checking, node: Node | None, place: _Place) -> None:
    for scalar in scalars(node) if node is not None else ():
        written: Counter[str] = Counter()
        for found in references_in_text(scalar.text):
            origin = checking.document.origin_within(scalar, found.written, written[found.written])
            written[found.written] += 1
            _check(checking, place, found, origin)


def _steps(root: MappingNode) -> Iterator[_Step]:
    for phase in list_at(root, "phases"):
        for step in list_at(phase, "steps") if isinstance(phase, MappingNode) else ():
            if isinstance(phase, MappingNode) and isinstance(step, MappingNode):
                yield _Step(
                    phase=_text(phase, "name"),
                    name=_text(step, "name"),
                    action=_text(step, "action"),
                    inputs=step.get("inputs"),
                    guard=step.get("if"),
                    loop=mapping_at(step, "loop"),
                )


def _text(node: MappingNode, key: str) -> str:
    value = text_at(node, key)
    return value.text if value else ""


def _check(checking: _Checking, place: _Place, found: FoundReference, origin: Origin) -> None:
    if place.takes_declared_only and not isinstance(found.meaning, NamedValue):
        checking.document.fault(
            f"{quoted(found.written)} cannot stand in the numbers of a loop.",
            origin,
            "Write a whole number, or a parameter or constant that holds one.",
        )
        return
    match found.meaning:
        case NamedValue(name=name) | StoredIndirectly(name=NamedValue(name=name)):
            _check_name(checking, name, found, origin)
        case StepValue():
            _check_step_value(checking, place.step, found.meaning, origin)
        case LoopValue(loop=loop):
            if loop not in place.loops:
                _warn_of_loop(checking, place, found, origin)
        case UnusableReference(fault=fault, hint=hint):
            checking.document.fault(f"{quoted(found.written)} {fault}.", origin, hint)
        case TemplateText():
            _warn_of_template(checking, found, origin)
        case _:
            # The environment, the context, the store and the metadata are only known at the run.
            pass


def _warn_of_loop(
    checking: _Checking, place: _Place, found: FoundReference, origin: Origin
) -> None:
    there = " and ".join(place.loops)
    checking.document.warn(
        f"{quoted(found.written)} names no loop that is gone through here and stays as it is.",
        origin,
        f"Here it can be {there}." if there else "Only the inputs of a step with a loop see it.",
    )


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
    action = ActionName(named.action) if named.action in frozenset(ActionName) else None
    if action is None:
        # That there is no such action is a fault of its own.
        return
    count = len(named.inputs.items) if isinstance(named.inputs, ListNode) else 1
    is_there = wanted.index is None or wanted.index < count
    # How many documents another document runs is only known at the run.
    if wanted.key in action.outputs and (is_there or action is ActionName.EXECUTE_DOCUMENT):
        return
    there = f"It has {', '.join(action.outputs)}." if action.outputs else "It has none."
    checking.document.fault(
        f"Step {quoted(named.name)} ({named.action}) has no output {quoted(_place(wanted))}.",
        origin,
        did_you_mean(wanted.key, action.outputs) or there,
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
