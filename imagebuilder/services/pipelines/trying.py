"""Trying: one component run on a throw-away root, with the layers that a build would give it.

What it is tried on is found in the layer store or added to it, under the keys of a build. What the
component itself does is in no layer: nothing is recorded, and the root is gone afterwards.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from imagebuilder.documents.reader import recipe_of_parent
from imagebuilder.domain.component import Component, Network, PhaseName
from imagebuilder.domain.plan import Upgrades
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.run import StepState
from imagebuilder.domain.updates import update_text
from imagebuilder.ports.building import Root, Roots, Workshop
from imagebuilder.ports.clock import Clock, IdSource
from imagebuilder.ports.inspection import Booter
from imagebuilder.ports.locks import STORE_LOCK, Locks
from imagebuilder.ports.machine import Script
from imagebuilder.ports.progress import Progress
from imagebuilder.services.authoring import Authoring, with_defaults
from imagebuilder.services.building.stacking import Stack, Stacking, StackRequest, look_inside
from imagebuilder.services.pipelines.planning import Foundation, Planning
from imagebuilder.services.pipelines.rehearsal import (
    USUAL_PHASES,
    Rehearsal,
    Trial,
    command_text,
    ordered_phases,
)
from imagebuilder.services.provisioning.components import ComponentRunner, Means

_HAS_INIT = Script(
    text="test -x /usr/lib/systemd/systemd || test -x /lib/systemd/systemd || test -x /sbin/init\n",
    timeout_seconds=30,
)
"""Source: systemd-nspawn(1), --boot: where it looks for an init."""
_DOCUMENT_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """What to try and on what: a parent as a recipe writes it, or the path of a recipe.

    Of a recipe that uses the component, the layers below it are meant, and its parameters there.
    """

    path: str
    on: str
    phases: Sequence[str] = USUAL_PHASES
    parameters: Mapping[str, str] = field(default_factory=dict)
    keep: bool = False

    @property
    def command(self) -> str:
        """How a person asks for the same again."""
        words = ["imagebuilder", "component", "test", self.path, "--on", self.on]
        return command_text(words, self.phases, self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Where components are tried. `kept` is the folder below which roots are kept."""

    stacking: Stacking
    workshop: Workshop
    booter: Booter
    means: Means
    clock: Clock
    ids: IdSource
    locks: Locks
    kept: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    component: Component
    parameters: Mapping[str, str]
    foundation: Foundation


@dataclass(frozen=True, slots=True)
class _Work:
    """One component on its way through the phases that were asked for."""

    request: TrialRequest
    phases: Sequence[str]
    runner: ComponentRunner
    rehearsal: Rehearsal


class Trying:
    """Tries components."""

    def __init__(self, authoring: Authoring, planning: Planning, bench: Workbench) -> None:
        """Read and plan with these; work at a bench."""
        self._authoring = authoring
        self._planning = planning
        self._with = bench

    def test(self, request: TrialRequest, progress: Progress) -> Trial:
        """Run a component's phases; a failure of a step is in what is given back.

        Raises: InvalidDocument; ComponentNotForLinux; PhaseUnknown; ParameterUnknown;
        ParameterMissing; ParentMalformed;
        VersionNotFound: the parent image was never built; what making the layers below raises.
        """
        read = self._authoring.component(request.path)
        read.value.require_linux()
        phases = ordered_phases(read.value, request.phases)
        prepared = self._prepared(read.value, request)
        rehearsal = Rehearsal(prepared.component, progress, self._with.clock)
        with (
            self._with.locks.share(STORE_LOCK, f"component test {request.path}"),
            self._with.workshop.opened(prepared.foundation.archives) as roots,
        ):
            stack = self._stack(prepared.foundation, roots, progress)
            upgrades = self._upgrades(prepared, stack, roots, progress)
            with roots.scratch(stack.layers) as root:
                runner = ComponentRunner(
                    component=prepared.component,
                    parameters=prepared.parameters,
                    machine=root.machine(prepared.component.network),
                    means=self._with.means,
                    upgrades=upgrades,
                    on=request.on,
                    on_line=rehearsal.line,
                    on_detail=rehearsal.detailed,
                    watcher=rehearsal,
                )
                kept = self._phases(_Work(request, phases, runner, rehearsal), root)
        trial = rehearsal.trial(request.on)
        warnings = tuple(str(problem) for problem in read.warnings)
        return replace(trial, kept=kept, enter=look_inside(kept) if kept else "", warnings=warnings)

    def _prepared(self, component: Component, request: TrialRequest) -> _Prepared:
        if not request.on.endswith(_DOCUMENT_ENDINGS):
            alone = recipe_of_parent(request.on)
            parameters = with_defaults(component, request.parameters)
            return _Prepared(
                component=self._authoring.with_documents(component, request.path, parameters),
                parameters=parameters,
                foundation=self._planning.foundation(alone, (), request.path),
            )
        recipe = self._authoring.recipe(request.on).value
        shelf = self._authoring.components_for(recipe, request.on)
        names = [used.name for used, _ in shelf.components]
        given: Mapping[str, str] = {}
        below = shelf.components
        if component.name in names:
            place = names.index(component.name)
            declared = {parameter.name for parameter in component.parameters}
            given = {k: v for k, v in shelf.components[place][1].items() if k in declared}
            below = shelf.components[:place]
        # Nothing is made of it, so that no disk and no initramfs is wanted of its layers.
        recipe = replace(recipe, artifacts=(ArtifactFormat.TAR,), tests=())
        parameters = with_defaults(component, {**given, **request.parameters})
        return _Prepared(
            component=self._authoring.with_documents(component, request.path, parameters),
            parameters=parameters,
            foundation=self._planning.foundation(recipe, below, request.on),
        )

    def _stack(self, found: Foundation, roots: Roots, progress: Progress) -> Stack:
        request = StackRequest(
            ingredients=found.ingredients, keyrings=found.keyrings, is_finished=False
        )
        return self._with.stacking.stack(request, roots, progress)

    def _upgrades(
        self, prepared: _Prepared, stack: Stack, roots: Roots, progress: Progress
    ) -> Upgrades | None:
        """Ask what UpdateOS steps will do, on a root of their own, for asking spoils it."""
        component = prepared.component
        if not component.updates_packages:
            return None
        progress.step_started(f"{component.name}: what would be upgraded")
        with roots.scratch(stack.layers) as root:
            upgrades = ComponentRunner(
                component=component,
                parameters=prepared.parameters,
                machine=root.machine(component.network),
                means=self._with.means,
                on_line=progress.line,
            ).pending_upgrades()
        progress.step_ended(StepState.SUCCEEDED, update_text(upgrades.values()))
        return upgrades

    def _phases(self, work: _Work, root: Root) -> PurePath | None:
        """Run the phases up to one that fails, and give where the root of the last was kept."""
        place = root
        with ExitStack() as held:
            for phase in work.phases:
                held.close()
                with work.rehearsal.caught(work.request.command):
                    place = self._ready(work, phase, root, held)
                    work.runner.run(phase)
                if work.rehearsal.failure is not None:
                    break
            return self._kept(place, work) if work.request.keep else None

    def _ready(self, work: _Work, phase: str, root: Root, held: ExitStack) -> Root:
        """Let the runner work where a phase belongs, and give the root that it is.

        As in a build: what any other phase than `build` leaves behind is seen by no other.
        """
        runner = work.runner
        if phase == PhaseName.TEST:
            with work.rehearsal.step("boot in a container") as said:
                if root.machine(Network.NONE).run(_HAS_INIT).exit_status == 0:
                    runner.machine = held.enter_context(self._with.booter.container(root.path))
                    return root
                said.skip("this root has no init: the test phase runs with nothing started")
                work.rehearsal.advice = "A recipe whose image boots lets the test phase run booted."
        place = root if phase == PhaseName.BUILD else held.enter_context(root.on_top())
        runner.machine = place.machine(runner.component.network)
        return place

    def _kept(self, root: Root, work: _Work) -> PurePath:
        folder = self._with.kept / self._with.ids.new(work.runner.component.name)
        root.keep_copy(folder)
        return folder
