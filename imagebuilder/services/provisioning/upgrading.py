"""Upgrading: what UpdateOS steps would do, asked before they do it, so that a key can hold it."""

from dataclasses import dataclass, field

from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.plan import Upgrades
from imagebuilder.domain.updates import HeldPackage, PlannedUpdate, UpdateScope
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine
from imagebuilder.services.provisioning.outcomes import Attempt, StepOutcome, Turn
from imagebuilder.services.provisioning.packages import pending_of, pending_upgrades_script
from imagebuilder.services.provisioning.packages_wanted import wanted_update
from imagebuilder.services.provisioning.scripts import has_failed
from imagebuilder.services.provisioning.stepping import Stepping


@dataclass(slots=True)
class UpgradeQuestion:
    """The question to all UpdateOS steps of a layer; the first that would take a package has it.

    Shape: `answers` maps a step to what it is to do.
    """

    on_line: OnLine | None = None
    answers: dict[str, PlannedUpdate] = field(default_factory=dict)
    _taken: set[tuple[str, str]] = field(default_factory=set)

    def ask(self, name: str, stepping: Stepping, machine: Machine) -> StepOutcome | None:
        """Ask a step about all turns of its loop; give how it failed when it could not say.

        A step whose condition does not hold now is taken for one that does nothing.
        """
        upgrades, held = set[Upgrade](), set[HeldPackage]()
        scopes: dict[UpdateScope, None] = {}
        for iteration in stepping.iterations() if stepping.is_due() else ():
            inputs = stepping.turn_inputs(iteration)
            result = machine.run(pending_upgrades_script(inputs), self.on_line)
            if has_failed(result):
                turn = Turn(inputs=inputs, result=result, outputs=())
                return stepping.failed(Attempt(turns=(turn,)))
            found = pending_of(result.stdout.decode(errors="replace"))
            upgrades.update(found.upgrades)
            held.update(found.held)
            scopes[wanted_update(inputs)] = None
        own = (u for u in upgrades if (u.name, u.architecture) not in self._taken)
        self.answers[name] = PlannedUpdate(
            upgrades=tuple(sorted(own)), held=tuple(sorted(held)), scopes=tuple(scopes)
        )
        self._taken.update((u.name, u.architecture) for u in upgrades)
        return None


def upgrades_below(upgrades: Upgrades | None, step: str) -> Upgrades | None:
    """Give the upgrades of the document that a step runs, by the names of its own steps."""
    if upgrades is None:
        return None
    beginning = f"{step}/"
    return {
        name.removeprefix(beginning): update
        for name, update in upgrades.items()
        if name.startswith(beginning)
    }
