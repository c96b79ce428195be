"""A place to try actions in."""

from collections.abc import Mapping
from pathlib import Path

from imagebuilder.domain.component import ActionName, Network, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import Action, ActionCall, ActionResult
from tests.fakes.machine import ShellMachine


class Bench:
    """A folder and a shell to try actions in."""

    def __init__(
        self,
        folder: Path,
        actions: Mapping[ActionName, Action],
        network: Network = Network.NONE,
    ) -> None:
        """Try these actions in folder, for a component with that reach."""
        self._network = network
        self.folder = folder
        self.machine = ShellMachine(folder)
        self.lines: list[str] = []
        self._actions = actions

    def tried(self, action: ActionName, inputs: Canonical) -> ActionResult:
        """Give how an action went."""
        call = ActionCall(
            action=action,
            phase=PhaseName.BUILD,
            inputs=inputs,
            machine=self.machine,
            timeout_seconds=30.0,
            on_line=self.lines.append,
            network=self._network,
        )
        return self._actions[action].run(call)

    def done(self, action: ActionName, *items: Canonical) -> ActionResult:
        """Give how an action went that has to go well."""
        outcome = self.tried(action, list(items))
        assert outcome.result.exit_status == 0, outcome.result.stderr
        return outcome

    def refused(self, action: ActionName, *items: Canonical) -> str:
        """Give what an action said that has to fail."""
        outcome = self.tried(action, list(items))
        assert outcome.result.exit_status != 0, outcome.result.stdout
        return outcome.result.stderr.decode()
