"""Restarting: what Reboot does.

Source: AWS Task Orchestrator and Executor, Reboot: the step's time limit does not apply, and the
component goes on at the next step.
"""

from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.services.provisioning.scripts import NOTHING_DONE, mapping_of


class RebootAction:
    """Starts the machine anew."""

    def run(self, call: ActionCall) -> ActionResult:
        """Restart and come back when the machine answers again. Raises: MachineLost."""
        delay = mapping_of(call.inputs).get("delaySeconds")
        call.machine.restart(float(delay) if isinstance(delay, int | float | str) else 0.0)
        return ActionResult(result=NOTHING_DONE)
