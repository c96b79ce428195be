"""ScriptAction: an action made of scripts, which run in the image one after the other.

Everything is done by programs of the image inside its own confinement, so that no path of a
document and no link in the image can reach further.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult

_SHORTEST_LIMIT_SECONDS = 0.1

NOTHING_DONE = CommandResult(argv=(), exit_status=0, stdout=b"", stderr=b"", seconds=0.0)
"""The result of an action that had nothing to do."""

Writing: TypeAlias = Callable[[ActionCall], Sequence[Script]]
"""Gives the scripts of a call, in their order; none when there is nothing to do."""

Reading: TypeAlias = Callable[[Sequence[CommandResult]], Sequence[Mapping[str, str]]]
"""Gives an action's outputs from what its scripts said."""


def no_outputs(_results: Sequence[CommandResult]) -> Sequence[Mapping[str, str]]:
    """Give the outputs of an action that has none."""
    return ({},)


def stdout_outputs(results: Sequence[CommandResult]) -> Sequence[Mapping[str, str]]:
    """Give all that was printed as `stdout`, without the line ends behind it."""
    printed = b"".join(result.stdout for result in results).decode(errors="replace")
    return ({"stdout": printed.rstrip("\r\n")},)


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """Writes scripts, runs them up to the first that fails, and reads outputs from what they said.

    The call's time limit is for all of them together.
    """

    writing: Writing
    reading: Reading = no_outputs

    def run(self, call: ActionCall) -> ActionResult:
        """Do it once and say how it went."""
        results: list[CommandResult] = []
        left = call.timeout_seconds
        for script in self.writing(call):
            result = call.machine.run(replace(script, timeout_seconds=left), call.on_line)
            results.append(result)
            if has_failed(result):
                break
            if left is not None:
                left = max(_SHORTEST_LIMIT_SECONDS, left - result.seconds)
        return ActionResult(result=joined(results), outputs=self.reading(results))


def has_failed(result: CommandResult) -> bool:
    """Whether a script failed: one that ends well on being stopped has not done its work."""
    return result.exit_status != 0 or result.has_timed_out


def joined(results: Sequence[CommandResult]) -> CommandResult:
    """Give several results as one: how the last ended, and what all of them said."""
    if not results:
        return NOTHING_DONE
    if len(results) == 1:
        return results[0]
    return replace(
        results[-1],
        stdout=b"".join(result.stdout for result in results),
        stderr=b"".join(result.stderr for result in results),
        seconds=sum(result.seconds for result in results),
        dropped_bytes=sum(result.dropped_bytes for result in results),
    )


def mapping_of(value: Canonical) -> Mapping[str, Canonical]:
    """Give the inputs of an action that takes one mapping; empty when it was given none."""
    return value if isinstance(value, Mapping) else {}


def texts_of(given: Mapping[str, Canonical], name: str) -> list[str]:
    """Give the texts of an input that is a list; one alone is a list of one."""
    value = given.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(text) for text in value]
    return [] if value is None else [str(value)]
