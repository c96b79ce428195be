"""Stacking: every layer of a plan found or made, lowest first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePath
from shlex import quote

from imagebuilder.domain.component import Component, Network, PhaseName
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import StepFailed
from imagebuilder.domain.ground import Ground
from imagebuilder.domain.layer import Layer, contents_of
from imagebuilder.domain.plan import (
    FINISH_LAYER,
    INITRAMFS_LAYER,
    LayerKind,
    Plan,
    PlannedLayer,
    Upgrades,
)
from imagebuilder.domain.recipe import ArtifactFormat, Repository
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import size_text
from imagebuilder.domain.updates import update_text
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.building import LayerStore, NewLayer, NoKernel, Root, Roots
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.progress import Progress
from imagebuilder.services.building import finishing, upgrading
from imagebuilder.services.building.initramfs import InitramfsMaker
from imagebuilder.services.provisioning.components import ComponentRunner, Means
from imagebuilder.services.provisioning.grounding import GROUND_SCRIPT, ground_in


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRequest:
    """What to stack. `rebuild_before` is the moment from which on a cached layer is good enough.

    `is_finished` when the layers that an image has for itself come on top.
    `meanwhile` is called with all layers but the initramfs while that is still being made.
    `asks_anew` when upgrades that are known count for the very layers they were asked of only.
    Shape: `keyrings` maps a path that a repository names to the keyring's bytes.
    """

    ingredients: Ingredients
    rebuild_before: datetime | None = None
    keep_folder: PurePath | None = None
    keyrings: Mapping[str, bytes] = field(default_factory=dict)
    is_finished: bool = True
    asks_anew: bool = True
    meanwhile: Callable[[Sequence[Layer]], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """All layers of an image, and the plan with every key known.

    Shape: `layers` lowest first, the parent's included. `built` are the names of those made now.
    `grounds` maps a question about upgrades that was asked now to what it was asked of, None when
    that cannot be told.
    """

    plan: Plan
    layers: tuple[Layer, ...]
    upgrades: Mapping[Digest, Upgrades]
    built: tuple[str, ...]
    grounds: Mapping[Digest, Ground | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedLayer:
    """What would happen to a planned layer, and why it cannot be taken from the cache."""

    name: str
    key: str
    is_cached: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stores:
    layers: LayerStore
    blobs: BlobStore
    clock: Clock
    means: Means


class Stacking:
    """Finds or makes layers."""

    def __init__(self, layers: LayerStore, blobs: BlobStore, clock: Clock, means: Means) -> None:
        """Look in layers; keep evidence in blobs; run components with means."""
        self._layers = layers
        self._stores = _Stores(layers=layers, blobs=blobs, clock=clock, means=means)

    def stack(self, request: StackRequest, roots: Roots, progress: Progress) -> Stack:
        """Give the whole stack of an image.

        Raises: ComponentFailed; MirrorUnreachable; SignatureRefused; NoKernel; FinishFailed.
        """
        work = _Work(self._stores, request, roots, progress)
        try:
            work.take_parent_image()
            work.plan_layers()
            if request.is_finished:
                work.finish_layer()
                work.initramfs_layer()
        finally:
            work.end()
        return Stack(
            plan=work.plan,
            layers=tuple(work.done),
            upgrades=work.given.known_upgrades,
            built=tuple(work.built),
            grounds=work.grounds,
        )

    def preview(self, request: StackRequest) -> tuple[PreviewedLayer, ...]:
        """Give what `stack` would find in the cache; nothing is made."""
        plan = resolve(request.ingredients)
        oldest = not_before(plan, request, self._stores.clock)
        on = [self._layers.get(content) for content in plan.parent.contents]
        rows: list[PreviewedLayer] = []
        is_broken = False
        for planned in plan.layers:
            key = planned.key.hex if planned.key else ""
            if planned.kind is LayerKind.FINISH:
                break
            if planned.is_empty:
                rows.append(
                    PreviewedLayer(
                        name=planned.name, key=key, is_cached=True, why="nothing to upgrade"
                    )
                )
                continue
            if is_broken or planned.key is None:
                why = (
                    "the layer below is made first"
                    if is_broken
                    else "what to upgrade is asked first"
                )
                is_broken = True
            else:
                lookup = self._layers.find(planned.key, on, oldest)
                on += [lookup.layer] if lookup.layer else []
                why, is_broken = lookup.reason, lookup.layer is None
            rows.append(
                PreviewedLayer(name=planned.name, key=key, is_cached=not is_broken, why=why)
            )
        return tuple(rows)


def not_before(plan: Plan, request: StackRequest, clock: Clock) -> datetime | None:
    """Give the moment from which on a cached layer is good enough, None when all are."""
    age = plan.max_age_seconds
    oldest = None if age is None else clock.now() - timedelta(seconds=age)
    return max(filter(None, (oldest, request.rebuild_before)), default=None)


class _Work:
    """One stack in the making."""

    def __init__(
        self, stores: "_Stores", request: StackRequest, roots: Roots, progress: Progress
    ) -> None:
        self._layers = stores.layers
        self._blobs = stores.blobs
        self._means = stores.means
        self._request = request
        self._roots = roots
        self._progress = progress
        self.given = request.ingredients
        self.plan = resolve(self.given)
        self.done: list[Layer] = []
        self.built: list[str] = []
        self.grounds: dict[Digest, Ground | None] = {}
        self._asked: set[Digest] = set()
        self._not_before = not_before(self.plan, request, stores.clock)
        self._initramfs = InitramfsMaker(stores.layers, stores.blobs, roots, self._not_before)
        self._wants_disk = request.is_finished and not set(self.plan.artifacts) <= {
            ArtifactFormat.TAR
        }

    def end(self) -> None:
        """Leave nothing running beside, however it ended."""
        self._initramfs.finish()

    def take_parent_image(self) -> None:
        """Start from the parent image's layers, when there is one."""
        self.done = [self._layers.get(content) for content in self.plan.parent.contents]

    def plan_layers(self) -> None:
        """Find or make the planned layers, asking for upgrades when a key depends on them."""
        for number in range(len(self.plan.layers)):
            planned = self.plan.layers[number]
            if planned.kind is LayerKind.FINISH:
                return
            if planned.key is None or self._was_asked_of_another(planned):
                self._ask_upgrades(planned)
                planned = self.plan.layers[number]
            if planned.is_empty:
                self._progress.step_started(planned.name)
                self._progress.step_ended(StepState.SKIPPED, "nothing to upgrade")
                continue
            self._find_or_make(planned)

    def _was_asked_of_another(self, planned: PlannedLayer) -> bool:
        """Whether upgrades are known from an earlier build, of layers that were made anew since."""
        is_other = bool(self.built) and planned.question not in {None, *self._asked}
        return is_other and self._request.asks_anew

    def _ask_upgrades(self, planned: PlannedLayer) -> None:
        if planned.question is None or planned.component is None:
            raise ValueError("only a component's key can be open")
        self._asked.add(planned.question)
        self._progress.step_started(f"{planned.name}: what would be upgraded")
        with self._roots.scratch(self.done) as root:
            said = root.machine(Network.NONE).run(GROUND_SCRIPT).stdout.decode(errors="replace")
            upgrades = self._runner(planned.component, planned, root).pending_upgrades()
        self.grounds[planned.question] = ground_in(said)
        self._learn(planned.question, upgrades)
        self.plan = resolve(self.given)
        for update in upgrades.values():
            for held in update.held:
                self._progress.line(str(held))
        self._progress.step_ended(StepState.SUCCEEDED, update_text(upgrades.values()))

    def _learn(self, question: Digest, upgrades: Upgrades) -> None:
        known = {**self.given.known_upgrades, question: upgrades}
        self.given = replace(self.given, known_upgrades=known)

    def _learn_of(self, planned: PlannedLayer, layer: Layer) -> str:
        """Learn from a layer what its upgrades were good for, and say it."""
        recalled = upgrading.recalled(self._blobs, layer)
        if recalled is None or planned.question is None or planned.upgrades is None:
            return ""
        learned = {
            # What is held back is as it was asked now, not as it was when the layer was made.
            step: replace(update, upgrades=recalled[step].upgrades) if step in recalled else update
            for step, update in planned.upgrades.items()
        }
        self._learn(planned.question, learned)
        return f", UpdateOS: {update_text(learned.values())}"

    def _find_or_make(self, planned: PlannedLayer) -> None:
        if planned.key is None:
            raise ValueError("the key is known by now")
        self._progress.step_started(planned.name)
        lookup = self._layers.find(planned.key, self.done, self._not_before)
        if lookup.layer is None:
            why = lookup.reason  # the next look no longer finds what was damaged
            with self._layers.building(planned.key):
                # Another build may have made it while this one waited.
                lookup = self._layers.find(planned.key, self.done, self._not_before)
                if lookup.layer is None:
                    self._progress.line(f"layer {planned.key.short}: {why}")
                    layer = self._make(planned, planned.key)
                    self._made(layer, self._learn_of(planned, layer))
                    if self._wants_disk and planned is not self.plan.layers[-2]:
                        self._initramfs.begin(self.done)
                    return
        self.done.append(lookup.layer)
        more = self._learn_of(planned, lookup.layer) + (lookup.source and f", from {lookup.source}")
        self._progress.step_ended(StepState.CACHED, size_text(lookup.layer.size_bytes) + more)

    def _made(self, layer: Layer, more: str = "") -> None:
        self.done.append(layer)
        self.built.append(layer.name)
        self._progress.step_ended(StepState.SUCCEEDED, size_text(layer.size_bytes) + more)

    def _make(self, planned: PlannedLayer, key: Digest) -> Layer:
        if planned.component is None:
            with self._roots.parent(self.plan.parent, self._progress.line) as root:
                layer = root.seal(NewLayer(key=key, name=planned.name))
        else:
            layer = self._component_layer(planned, planned.component, key)
        self._layers.publish(layer)
        return layer

    def _component_layer(self, planned: PlannedLayer, component: Component, key: Digest) -> Layer:
        with self._roots.scratch(self.done) as root:
            runner = self._runner(component, planned, root)
            self._kept_on_failure(root, runner, PhaseName.BUILD)
            evidence = {}
            if planned.upgrades is not None:
                applied = upgrading.applied_upgrades(planned.name, planned.upgrades, runner.machine)
                evidence = upgrading.kept(self._blobs, applied)
            layer = root.seal(NewLayer(key=key, name=planned.name, evidence=evidence))
        if component.steps(PhaseName.VALIDATE):
            # On top of the sealed layer, so that what validation leaves behind is in no layer.
            with self._roots.scratch([*self.done, layer]) as root:
                runner.machine = root.machine(component.network)
                self._kept_on_failure(root, runner, PhaseName.VALIDATE)
        return layer

    def _kept_on_failure(self, root: Root, runner: ComponentRunner, phase: PhaseName) -> None:
        try:
            runner.run(phase)
        except StepFailed as failure:
            folder = self._request.keep_folder
            if folder is not None:
                root.keep_copy(folder)
                failure.hint = look_inside(folder)
            raise

    def _runner(self, component: Component, planned: PlannedLayer, root: Root) -> ComponentRunner:
        return ComponentRunner(
            component=component,
            parameters=planned.parameters,
            machine=root.machine(component.network),
            means=self._means,
            upgrades=planned.upgrades,
            on=self.given.recipe.path,
            on_line=self._progress.line,
            on_detail=self._progress.detailed,
        )

    def finish_layer(self) -> None:
        """Find or make the layer with what a machine starts by."""
        planned = self.plan.layers[-1]
        if planned.key is None:
            raise ValueError("the key is known by now")
        self._progress.step_started(FINISH_LAYER)
        lookup = self._layers.find(planned.key, self.done, self._not_before)
        if lookup.layer is not None:
            self.done.append(lookup.layer)
            self._progress.step_ended(StepState.CACHED)
            return
        with self._roots.scratch(self.done) as root:
            machine = root.machine(Network.NONE)
            self._write_keyrings(machine)
            script = finishing.finish_script(
                image=self.plan.image,
                disk=self.plan.disk,
                release=finishing.kernel_release(self._layers.tree(contents_of(self.done))),
                repositories=self.plan.repositories,
            )
            result = machine.run(script, self._progress.line)
            if result.exit_status != 0:
                raise finishing.FinishFailed("finish layer", result)
            layer = root.seal(NewLayer(key=planned.key, name=FINISH_LAYER))
        self._layers.publish(layer)
        self._made(layer)

    def initramfs_layer(self) -> None:
        """Find or make the initramfs for what is installed, when a disk is wanted."""
        if not self._wants_disk:
            return
        # What the finish writes belongs to one image; an initramfs goes with all that are alike.
        below = self.done[:-1]
        tree = self._layers.tree(contents_of(below))
        release = finishing.kernel_release(tree)
        if release is None:
            raise NoKernel(self.plan.image)
        if self._initramfs.is_under_way and self._request.meanwhile is not None:
            self._request.meanwhile(tuple(self.done))
        self._initramfs.finish()
        self._progress.step_started(INITRAMFS_LAYER)
        layer = self._initramfs.found(tree, release)
        if layer is None:
            self._made(self._initramfs.made(below, tree, release, self._progress.line))
            return
        if self._initramfs.has_begun(layer):
            self._made(layer)
            return
        self.done.append(layer)
        self._progress.step_ended(StepState.CACHED, size_text(layer.size_bytes))

    def _write_keyrings(self, machine: Machine) -> None:
        """Put the keyrings of the image's own archives where its sources look for them."""
        for number, repository in enumerate(self.plan.repositories):
            if repository.keyring is None:
                continue
            path = finishing.keyring_inside(number, repository)
            script = Script(
                text=f"set -e\nmkdir -p /etc/apt/keyrings\ncat > {path}\n",
                stdin=self._keyring_bytes(repository),
            )
            result = machine.run(script)
            if result.exit_status != 0:
                raise finishing.FinishFailed(f"keyring of {repository.url}", result)

    def _keyring_bytes(self, repository: Repository) -> bytes:
        return self._request.keyrings[repository.keyring or ""]


def look_inside(folder: PurePath) -> str:
    """Give the hint how to enter a root that was kept."""
    # Not registered, it needs no service manager to be told of it.
    nspawn = "systemd-nspawn --quiet --register=no --keep-unit --private-network"
    return f"Look inside with: {nspawn} --directory {quote(str(folder))}"
