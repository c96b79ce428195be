"""ComponentRunner: the phases of a component, step by step, on a machine.

Source: AWS Task Orchestrator and Executor: onFailure decides for the following steps and for the
document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.component import (
    ActionName,
    Component,
    ComponentStep,
    OnFailure,
    PhaseName,
)
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.plan import Upgrades
from imagebuilder.domain.updates import HeldPackage, PlannedUpdate
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine
from imagebuilder.ports.values import ValueSource
from imagebuilder.services.provisioning.actions import Actions
from imagebuilder.services.provisioning.failing import ComponentFailed, Rerun
from imagebuilder.services.provisioning.outcomes import (
    Attempt,
    Status,
    StepOutcome,
    StepStatus,
    Turn,
    status_of,
)
from imagebuilder.services.provisioning.packages import pending_of, pending_upgrades_script
from imagebuilder.services.provisioning.scripts import has_failed
from imagebuilder.services.provisioning.secrets import Secrets
from imagebuilder.services.provisioning.stepping import Scene, Stepping
from imagebuilder.services.provisioning.values import Origins, Values


class StepWatcher(Protocol):
    """Is told of each step of a component; the lines between belong to the step that runs."""

    def step_started(self, phase: str, step: ComponentStep) -> None:
        """A step began."""
        ...

    def step_ended(self, step: ComponentStep, outcome: StepOutcome) -> None:
        """It came to its end, whatever its failure means for the document."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every component is run with, whatever the image; `secrets` are those given out."""

    actions: Actions
    clock: Clock
    ids: IdSource
    source: ValueSource
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(slots=True, kw_only=True)
class ComponentRunner:
    """Runs one component with its parameters on one machine.

    Outputs of the build phase are seen by validate; a test phase starts afresh, as it runs
    elsewhere. `on` names what it runs on, for who wants to run it again.
    """

    component: Component
    parameters: Mapping[str, str]
    machine: Machine
    means: Means
    upgrades: Upgrades | None = None
    on: str = ""
    on_line: OnLine | None = None
    watcher: StepWatcher | None = None
    outcomes: dict[str, list[StepOutcome]] = field(default_factory=dict, init=False)
    _values: Values | None = field(default=None, init=False)

    def run(self, phase: str) -> tuple[StepOutcome, ...]:
        """Run a phase and give how each step ended.

        Raises: ComponentFailed: a step failed and was not to be ignored; with `Continue` only after
        the steps behind it ran.
        """
        failed: StepOutcome | None = None
        outcomes = self.outcomes.setdefault(phase, [])
        scene = self._scene(phase)
        for step in self.component.steps(phase):
            if self.watcher is not None:
                self.watcher.step_started(phase, step)
            outcome = Stepping(scene, step).outcome()
            self._values_now().remember(phase, outcome)
            outcomes.append(outcome)
            if self.watcher is not None:
                self.watcher.step_ended(step, outcome)
            if outcome.status is not StepStatus.FAILED:
                continue
            failed = failed or outcome
            if step.on_failure is OnFailure.ABORT:
                break
        if failed is not None:
            raise self._failure(phase, failed)
        return tuple(outcomes)

    @property
    def status(self) -> Status:
        """How the document stands after the phases that ran."""
        return status_of(outcome for ended in self.outcomes.values() for outcome in ended)

    def pending_upgrades(self) -> Upgrades:
        """Ask what each UpdateOS step of the build phase would do now; the machine is spoilt by it.

        Raises: ComponentFailed: apt could not say.
        """
        answers = {}
        taken: set[tuple[str, str]] = set()
        for step in self.component.steps(PhaseName.BUILD):
            if step.action is not ActionName.UPDATE_OS:
                continue
            found = self._update_of(step)
            own = tuple(u for u in found.upgrades if (u.name, u.architecture) not in taken)
            answers[step.name] = replace(found, upgrades=own)
            taken.update((u.name, u.architecture) for u in found.upgrades)
        return answers

    def _update_of(self, step: ComponentStep) -> PlannedUpdate:
        """Ask what a step would do in all turns of its loop."""
        stepping = Stepping(self._scene(PhaseName.BUILD), step)
        upgrades, held = set[Upgrade](), set[HeldPackage]()
        for iteration in stepping.iterations():
            inputs = stepping.turn_inputs(iteration)
            result = self.machine.run(pending_upgrades_script(inputs), self.on_line)
            if has_failed(result):
                turn = Turn(inputs=inputs, result=result, outputs=())
                failed = stepping.failed(Attempt(turns=(turn,)))
                raise self._failure(PhaseName.BUILD, failed)
            found = pending_of(result.stdout.decode(errors="replace"))
            upgrades.update(found.upgrades)
            held.update(found.held)
        return PlannedUpdate(upgrades=tuple(sorted(upgrades)), held=tuple(sorted(held)))

    def _scene(self, phase: str) -> Scene:
        return Scene(
            phase=phase,
            machine=self.machine,
            actions=self.means.actions,
            values=self._values_now(),
            clock=self.means.clock,
            secrets=self.means.secrets,
            folder=self._folder,
            upgrades=self.upgrades,
            network=self.component.network,
            on_line=self.on_line,
        )

    @property
    def _folder(self) -> PurePath | None:
        """Where the component's own files lie: beside its document."""
        origin = self.component.origin
        return PurePath(origin.document).parent if origin else None

    def _values_now(self) -> Values:
        if self._values is None:
            origins = Origins(
                clock=self.means.clock,
                ids=self.means.ids,
                source=self.means.source,
                secrets=self.means.secrets,
            )
            self._values = Values(self.component, self.parameters, origins)
        return self._values

    def _failure(self, phase: str, outcome: StepOutcome) -> ComponentFailed:
        rerun = Rerun(parameters=self.parameters, on=self.on).command(self.component, phase)
        return ComponentFailed(
            self.component,
            phase,
            outcome,
            command=self.means.secrets.masked_value(outcome.inputs),
            rerun=self.means.secrets.masked(rerun),
        )
