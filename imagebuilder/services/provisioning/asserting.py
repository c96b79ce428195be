"""Asserting: what Assert does, a condition that must hold.

Source: AWS Task Orchestrator and Executor, Assert: one comparison or logical operator.
"""

from collections.abc import Sequence

from imagebuilder.domain.conditions import AllOf, AnyOf, Comparison, Condition, Not, Operator, holds
from imagebuilder.domain.digest import Canonical, canonical_json
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.process import CommandResult
from imagebuilder.services.provisioning.facts import MachineFacts
from imagebuilder.services.provisioning.scripts import NOTHING_DONE, mapping_of


class ConditionUnreadable(InvalidInput):
    """What an Assert step was given is no condition."""

    code = "condition-unreadable"

    def __init__(self, written: Canonical) -> None:
        """Show what was given."""
        super().__init__(
            "An Assert step was given no condition.",
            context=f"Its inputs came to {canonical_json(written).decode(errors='replace')}.",
            hint="Give it one operator, such as fileExists: /etc/hostname.",
        )


class AssertAction:
    """Fails when its condition does not hold."""

    def run(self, call: ActionCall) -> ActionResult:
        """Look once and say whether it is so. Raises: ConditionUnreadable; PatternInvalid."""
        # The references are filled in already, and what came of them is not looked at again.
        if holds(condition_of(call.inputs), MachineFacts(call.machine), str):
            return ActionResult(result=NOTHING_DONE)
        said = f"not so: {canonical_json(call.inputs).decode(errors='replace')}"
        if call.on_line is not None:
            call.on_line(said)
        return ActionResult(
            result=CommandResult(
                argv=(), exit_status=1, stdout=b"", stderr=said.encode(), seconds=0.0
            )
        )


def condition_of(written: Canonical) -> Condition:
    """Give the condition that a mapping writes. Raises: ConditionUnreadable."""
    given = mapping_of(written)
    if "and" in given:
        return AllOf(conditions=_conditions(given["and"]))
    if "or" in given:
        return AnyOf(conditions=_conditions(given["or"]))
    if "not" in given:
        return Not(condition=condition_of(given["not"]))
    for operator in Operator:
        if operator in given:
            value = given.get(operator.value_key) if operator.value_key else None
            return Comparison(operator=operator, operand=given[operator], value=value)
    raise ConditionUnreadable(written)


def _conditions(written: Canonical) -> tuple[Condition, ...]:
    if isinstance(written, str) or not isinstance(written, Sequence):
        raise ConditionUnreadable(written)
    return tuple(condition_of(part) for part in written)
