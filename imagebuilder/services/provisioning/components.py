"""ComponentRunner: the phases of a component, step by step, on a machine.

Source: AWS Task Orchestrator and Executor: onFailure decides for the following steps and for the
document.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Protocol, TypeAlias

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import Component, ComponentStep, OnFailure, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.nesting import DocumentUse
from imagebuilder.domain.plan import Upgrades
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine
from imagebuilder.ports.values import ValueSource
from imagebuilder.services.provisioning.actions import Actions
from imagebuilder.services.provisioning.failing import ComponentFailed, Rerun
from imagebuilder.services.provisioning.nested import (
    Ending,
    Nested,
    NestedDocuments,
    planned_documents,
)
from imagebuilder.services.provisioning.outcomes import Status, StepOutcome, StepStatus, status_of
from imagebuilder.services.provisioning.recording import Execution, detailed_output
from imagebuilder.services.provisioning.secrets import Secrets
from imagebuilder.services.provisioning.stepping import Scene, Stepping
from imagebuilder.services.provisioning.upgrading import UpgradeQuestion, upgrades_below
from imagebuilder.services.provisioning.values import Origins, Values

OnDetail: TypeAlias = Callable[[str, Canonical], None]
"""Is given the name of a component and the document of all that it did so far."""


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
    elsewhere. `on` names what it runs on, for who wants to run it again. `chain` leads from the
    document at the top to this one, and is empty at the top.
    """

    component: Component
    parameters: Mapping[str, str]
    machine: Machine
    means: Means
    upgrades: Upgrades | None = None
    on: str = ""
    on_line: OnLine | None = None
    on_detail: OnDetail | None = None
    watcher: StepWatcher | None = None
    chain: tuple[str, ...] = ()
    outcomes: dict[str, list[StepOutcome]] = field(default_factory=dict, init=False)
    _values: Values = field(init=False)
    _started_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing done."""
        means = self.means
        origins = Origins(
            clock=means.clock, ids=means.ids, source=means.source, secrets=means.secrets
        )
        self._values = Values(self.component, self.parameters, origins)
        self._started_at = means.clock.now()
        self.chain = self.chain or (self._document,)

    def run(self, phase: str) -> tuple[StepOutcome, ...]:
        """Run a phase and give how each step ended.

        Raises: ComponentFailed: a step failed and was not to be ignored; with `Continue` only after
        the steps behind it ran.
        """
        try:
            failed = self._run(phase)
        except ImageBuilderError as error:
            self._tell_detail(error.message)
            raise
        if failed is None:
            self._tell_detail("")
            return tuple(self.outcomes[phase])
        failure = self._failure(phase, failed)
        self._tell_detail(failure.message)
        raise failure

    @property
    def status(self) -> Status:
        """How the document stands after the phases that ran."""
        return status_of(outcome for ended in self.outcomes.values() for outcome in ended)

    def pending_upgrades(self) -> Upgrades:
        """Ask what each UpdateOS step of the build phase would do now; the machine is spoilt by it.

        Shape: a step of a document that another step runs is named outer/inner.
        Raises: ComponentFailed: the package manager could not say.
        """
        question = UpgradeQuestion(self.on_line)
        self._ask_upgrades(question, (PhaseName.BUILD,), "")
        return question.answers

    def _run(self, phase: str) -> StepOutcome | None:
        """Run a phase and give the first step that failed and counts."""
        failed: StepOutcome | None = None
        outcomes = self.outcomes.setdefault(phase, [])
        scene = self._scene(phase)
        for step in self.component.steps(phase):
            if self.watcher is not None:
                self.watcher.step_started(phase, step)
            elif self.on_line is not None:
                self.on_line(f"--- {phase}: {step.name} ({step.action})")
            outcome = Stepping(scene, step).outcome()
            self._values.remember(phase, outcome)
            outcomes.append(outcome)
            if self.watcher is not None:
                self.watcher.step_ended(step, outcome)
            if outcome.status is StepStatus.FAILED:
                failed = failed or outcome
                if step.on_failure is OnFailure.ABORT:
                    break
        return failed

    def _ask_upgrades(self, question: UpgradeQuestion, phases: tuple[str, ...], above: str) -> None:
        for phase in phases:
            scene = self._scene(phase)
            for step in self.component.steps(phase):
                stepping = Stepping(scene, step)
                if step.action is ActionName.UPDATE_OS:
                    failed = question.ask(f"{above}{step.name}", stepping, self.machine)
                    if failed is not None:
                        raise self._failure(phase, failed)
                elif step.action is ActionName.EXECUTE_DOCUMENT:
                    for use, inner in planned_documents(self.component, stepping):
                        runner = self._inner(inner, use, self.chain, self.on_line)
                        runner._ask_upgrades(  # noqa: SLF001 - another one of this class
                            question, use.phases_of(inner), f"{above}{step.name}/"
                        )

    def _scene(self, phase: str) -> Scene:
        origin = self.component.origin
        nested = NestedDocuments(self.component, self.chain, self._run_nested)
        return Scene(
            phase=phase,
            machine=self.machine,
            actions={**self.means.actions, ActionName.EXECUTE_DOCUMENT: nested},
            values=self._values,
            clock=self.means.clock,
            secrets=self.means.secrets,
            folder=PurePath(origin.document).parent if origin else None,
            upgrades=self.upgrades,
            network=self.component.network,
            on_line=self.on_line,
        )

    def _run_nested(self, nested: Nested) -> Ending:
        """Run a document for a step of this one, as far as its own failures let it."""
        runner = self._inner(nested.component, nested.use, nested.chain, nested.call.on_line)
        runner.upgrades = upgrades_below(self.upgrades, nested.call.step)
        failure: ComponentFailed | None = None
        for phase in nested.use.phases_of(nested.component):
            try:
                runner.run(phase)
            except ComponentFailed as failed:
                failure = failure or failed
                if failed.outcome.step.on_failure is OnFailure.ABORT:
                    break
        return runner._ending(failure)  # noqa: SLF001 - another one of this class

    def _inner(
        self,
        component: Component,
        use: DocumentUse,
        chain: tuple[str, ...],
        on_line: OnLine | None,
    ) -> "ComponentRunner":
        return ComponentRunner(
            component=component,
            parameters=use.values_for(component),
            machine=self.machine,
            means=self.means,
            on=self.on,
            on_line=on_line,
            chain=chain,
        )

    def _ending(self, failure: ComponentFailed | None) -> Ending:
        outcomes = [outcome for ended in self.outcomes.values() for outcome in ended]
        counts = Counter(outcome.status for outcome in outcomes)
        message = f"{failure.message}\n{failure.context}".strip() if failure else ""
        return Ending(
            execution_id=self._values.execution_id,
            status=self.status,
            failure=message,
            executed=len(outcomes) - counts[StepStatus.SKIPPED],
            failed=counts[StepStatus.FAILED],
            ignored=counts[StepStatus.IGNORED_FAILURE],
            seconds=sum(outcome.seconds for outcome in outcomes),
            record=self._detail(failure.message if failure else ""),
        )

    @property
    def _document(self) -> str:
        origin = self.component.origin
        return origin.document if origin else str(self.component.name)

    def _tell_detail(self, failure: str) -> None:
        if self.on_detail is not None:
            self.on_detail(self.component.name, self._detail(failure))

    def _detail(self, failure: str) -> Canonical:
        execution = Execution(
            execution_id=self._values.execution_id,
            component=self.component,
            started_at=self._started_at,
            ended_at=self.means.clock.now(),
            failure=failure,
            outcomes=self.outcomes,
        )
        return detailed_output(execution, self.means.secrets)

    def _failure(self, phase: str, outcome: StepOutcome) -> ComponentFailed:
        secrets = self.means.secrets
        rerun = Rerun(parameters=self.parameters, on=self.on).command(self.component, phase)
        return ComponentFailed(
            self.component,
            phase,
            outcome,
            command=secrets.masked_value(outcome.inputs),
            rerun=secrets.masked(rerun),
        )
