"""Refusals: how an action says that it cannot do what it was asked for."""

from collections.abc import Mapping, Sequence

from imagebuilder.ports.actions import Action, ActionCall, ActionResult
from imagebuilder.ports.process import CommandResult


class ActionRefusedError(Exception):
    """An action cannot do what it was asked for. It never leaves `SayingNo`."""


class SayingNo:
    """An action that gives a failed result where the one behind it refuses."""

    def __init__(self, behind: Action) -> None:
        """Let behind do the work."""
        self._behind = behind

    def run(self, call: ActionCall) -> ActionResult:
        """Do it once and say how it went."""
        try:
            return self._behind.run(call)
        except ActionRefusedError as refused:
            words = f"{refused}\n".encode()
        refusal = CommandResult(
            argv=(call.action,), exit_status=1, stdout=b"", stderr=words, seconds=0.0
        )
        return told(call, refusal)


def told(
    call: ActionCall, result: CommandResult, outputs: Sequence[Mapping[str, str]] = ({},)
) -> ActionResult:
    """Give a result whose lines are told only now, because nobody could tell them as they came."""
    if call.on_line is not None:
        for line in (result.stdout + result.stderr).decode(errors="replace").splitlines():
            call.on_line(line)
    return ActionResult(result=result, outputs=outputs)
