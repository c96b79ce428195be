"""Layers found or made, lowest first, over a store and roots in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import pytest

from imagebuilder.domain.component import ActionName, Component, Network
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import ArtifactFormat, Repository
from imagebuilder.domain.resolution import Ingredients
from imagebuilder.domain.updates import upgrades_of
from imagebuilder.ports.building import NoKernel
from imagebuilder.ports.machine import Script
from imagebuilder.services.building.finishing import FinishFailed
from imagebuilder.services.building.stacking import Stack, Stacking, StackRequest
from imagebuilder.services.building.upgrading import UpgradeDiverged
from imagebuilder.services.provisioning.failing import ComponentFailed
from tests.build import (
    a_component,
    a_component_step,
    a_digest,
    a_planned_parent,
    a_recipe,
    an_update,
    an_upgrade,
)
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.building import RELEASE, FakeLayerStore, FakeRoots, a_file
from tests.fakes.clock import FakeClock
from tests.fakes.machine import Answer
from tests.fakes.progress import FakeProgress
from tests.means import some_means

LISTING = f"bin/busybox\nusr/lib/modules/{RELEASE}/ext4.ko\n"
OWN = ("finish", "initramfs")
LAYERS = ("debian:bookworm", "one", "two", *OWN)


ONE = a_component("one", build=[a_component_step("A", inputs={"commands": ["one"]})])
TWO = a_component("two", build=[a_component_step("B", inputs={"commands": ["two"]})])
PATCHES = a_component("patches", build=[a_component_step("Upgrade", ActionName.UPDATE_OS)])


@dataclass(slots=True)
class House:
    """A stacking with all it needs; `pending` is what apt would upgrade, `failing` what fails."""

    clock: FakeClock = field(default_factory=FakeClock)
    layers: FakeLayerStore = field(default_factory=FakeLayerStore)
    blobs: FakeBlobStore = field(default_factory=FakeBlobStore)
    progress: FakeProgress = field(default_factory=FakeProgress)
    pending: tuple[Upgrade, ...] = ()
    installed: tuple[Upgrade, ...] | None = None
    cves: str = ""
    failing: str = "nothing fails"
    roots: FakeRoots = field(init=False)

    def __post_init__(self) -> None:
        self.roots = FakeRoots(self.layers, self.clock, self.answer)

    def answer(self, script: Script) -> Answer:
        if self.failing in script.text:
            return Answer(exit_status=1, stderr=b"it broke")
        if "lsinitramfs" in script.text:
            return Answer(stdout=LISTING.encode())
        if "apt-get -s" in script.text:
            lines = (
                f"Inst {u.name} [{u.old_version}] ({u.new_version} Debian:12 [{u.architecture}])\n"
                for u in self.pending
            )
            return Answer(stdout="".join(lines).encode())
        if "@@ installed" in script.text:
            listed = self.pending if self.installed is None else self.installed
            rows = (f"{u.name} {u.architecture} {u.new_version}\n" for u in listed)
            said = f"@@ installed\n{''.join(rows)}@@ cves\n{self.cves}"
            return Answer(stdout=said.encode())
        return Answer()

    def stack(
        self,
        *components: Component,
        refresh: bool = False,
        keep: bool = False,
        ingredients: Ingredients | None = None,
    ) -> Stack:
        self.clock.advance(60)
        self.roots.sealed.clear()
        self.progress = FakeProgress()
        try:
            return Stacking(self.layers, self.blobs, self.clock, some_means()).stack(
                StackRequest(
                    ingredients=ingredients or given(*components),
                    rebuild_before=self.clock.now() if refresh else None,
                    keep_folder=PurePosixPath("/runs/1/root") if keep else None,
                ),
                self.roots,
                self.progress,
            )
        finally:
            assert self.roots.open == set()

    def names(self, stack: Stack) -> list[str]:
        return [layer.name for layer in stack.layers]


def given(*components: Component, **recipe: Any) -> Ingredients:
    return Ingredients(
        recipe=a_recipe(**recipe),
        components=[(component, {}) for component in components],
        parent=a_planned_parent(),
    )


@pytest.fixture
def house() -> House:
    return House()


def test_stack_when_nothing_is_there_then_all_is_made_lowest_first(house: House) -> None:
    stack = house.stack(ONE, TWO)
    assert house.names(stack) == list(LAYERS)
    assert sorted(stack.built) == sorted(LAYERS)
    assert house.progress.states == dict.fromkeys(LAYERS, "succeeded")


def test_stack_when_all_is_there_then_nothing_is_made(house: House) -> None:
    before = house.stack(ONE, TWO)
    scripts = len(house.roots.scripts)
    stack = house.stack(ONE, TWO)
    assert stack.layers == before.layers
    assert stack.built == ()
    assert len(house.roots.scripts) == scripts
    assert house.progress.states == dict.fromkeys(LAYERS, "cached")


def test_stack_when_the_last_component_changes_then_only_it_and_the_finish_are_made(
    house: House,
) -> None:
    house.stack(ONE, TWO)
    changed = replace(TWO, constants={"x": "y"})
    assert house.stack(ONE, changed).built == ("two", "finish")
    assert house.stack(ONE, TWO).built == ()


def test_stack_when_the_first_component_changes_then_all_above_is_made(house: House) -> None:
    house.stack(ONE, TWO)
    assert house.stack(replace(ONE, constants={"x": "y"}), TWO).built == ("one", "two", "finish")


def test_stack_when_a_component_is_added_then_what_was_below_is_kept(house: House) -> None:
    house.stack(ONE)
    assert house.stack(ONE, TWO).built == ("two", "finish")


def test_stack_when_a_layer_is_damaged_then_it_is_made_anew_and_said_so(house: House) -> None:
    before = house.stack(ONE, TWO)
    house.layers.damaged.add(house.layers.named("one").content)
    stack = house.stack(ONE, TWO)
    assert stack.built == ("one",)
    assert stack.layers[1].content == before.layers[1].content
    assert any("damaged" in line for line in house.progress.lines)


def test_stack_when_the_damaged_bottom_comes_out_otherwise_then_all_above_is_made(
    house: House,
) -> None:
    house.stack(ONE, TWO)
    house.layers.damaged.add(house.layers.named("debian:bookworm").content)
    house.roots.base["/etc/release"] = a_file("of another day")
    assert house.stack(ONE, TWO).built == ("debian:bookworm", "one", "two", "finish")


def test_stack_when_refreshed_then_everything_is_made_though_it_is_there(house: House) -> None:
    house.stack(ONE, TWO)
    assert sorted(house.stack(ONE, TWO, refresh=True).built) == sorted(LAYERS)


@pytest.mark.parametrize(("age", "built"), [(3600, ()), (30, LAYERS)])
def test_stack_when_layers_have_an_age_then_those_too_old_are_made(
    house: House, age: int, built: Sequence[str]
) -> None:
    limited = given(ONE, TWO, max_age_seconds=age)
    house.stack(ingredients=limited)
    assert sorted(house.stack(ingredients=limited).built) == sorted(built)


def test_stack_when_another_build_makes_the_layer_meanwhile_then_it_is_taken(house: House) -> None:
    other = House(layers=house.layers, blobs=house.blobs, clock=house.clock)

    def other_build(_key: object) -> None:
        house.layers.while_waiting = lambda _other_key: None
        other.stack(ONE, TWO)

    house.layers.while_waiting = other_build
    stack = house.stack(ONE, TWO)
    assert stack.built == ()
    assert house.roots.sealed == []
    assert sorted(other.roots.sealed) == sorted(LAYERS)


def test_stack_when_layers_are_made_then_each_was_held(house: House) -> None:
    stack = house.stack(ONE, TWO)
    assert house.layers.waited_for[:3] == [layer.key for layer in stack.layers[:3]]


def failing(command: str) -> Component:
    return a_component(
        "two",
        build=TWO.phases[0].steps,
        validate=[a_component_step(inputs={"commands": [command]})],
    )


def test_stack_when_a_build_step_fails_then_its_layer_is_in_no_store(house: House) -> None:
    house.failing = "two"
    with pytest.raises(ComponentFailed):
        house.stack(ONE, TWO)
    assert sorted({*house.roots.sealed} - set(OWN)) == ["debian:bookworm", "one"]
    house.failing = "nothing fails"
    assert {*house.stack(ONE, TWO).built} - set(OWN) == {"two"}


def test_stack_when_validation_fails_then_nothing_is_published(house: House) -> None:
    house.failing = "check it"
    with pytest.raises(ComponentFailed, match="phase validate"):
        house.stack(ONE, failing("check it"))
    assert "two" in house.roots.sealed
    assert "two" not in {layer.name for layer in house.layers.keys.values()}
    with pytest.raises(ComponentFailed, match="phase validate"):
        house.stack(ONE, failing("check it"))


def test_stack_when_a_layer_is_validated_then_on_top_of_it_and_thrown_away(house: House) -> None:
    stack = house.stack(ONE, failing("check it"))
    validated = next(
        root for root in house.roots.made if any("check it" in s.text for s in root.scripts)
    )
    assert validated.stack == stack.layers[:3]
    assert "check it" not in " ".join(
        script.text for script in house.roots.made[2].scripts if "two" in script.text
    )
    tree = house.layers.tree([layer.content for layer in stack.layers])
    assert a_file("check it\n") not in tree.values()


def test_stack_when_a_component_declares_its_reach_then_its_root_has_it(house: House) -> None:
    house.stack(replace(ONE, network=Network.FULL))
    assert house.roots.networks.count(Network.FULL) == 1
    assert Network.PACKAGES not in house.roots.networks


@pytest.mark.parametrize(("keep", "kept"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("command", ["two", "check it"])
def test_stack_when_a_step_fails_then_the_root_is_kept_if_asked(
    house: House, *, keep: bool, kept: int, command: str
) -> None:
    house.failing = command
    with pytest.raises(ComponentFailed) as failure:
        house.stack(ONE, failing("check it"), keep=keep)
    assert house.roots.kept == [PurePosixPath("/runs/1/root")] * kept
    assert ("/runs/1/root" in failure.value.hint) == keep


def test_stack_when_there_is_something_to_upgrade_then_the_list_is_evidence(house: House) -> None:
    house.pending = (an_upgrade("bash", new="5.2-2"),)
    stack = house.stack(ONE, PATCHES)
    layer = next(layer for layer in stack.layers if layer.name == "patches")
    kept = upgrades_of(json.loads(house.blobs.read(layer.evidence["upgrades"])))
    assert kept == {"Upgrade": an_update(*house.pending)}
    assert list(stack.upgrades.values()) == [{"Upgrade": an_update(*house.pending)}]


def test_stack_when_there_is_nothing_to_upgrade_then_there_is_no_layer(house: House) -> None:
    stack = house.stack(ONE, PATCHES)
    assert "patches" not in house.names(stack)
    assert house.progress.states["patches"] == "skipped"
    assert stack.plan.layers[2].is_empty


def test_stack_when_the_same_upgrades_are_found_again_then_their_layer_is_reused(
    house: House,
) -> None:
    house.pending = (an_upgrade("bash"),)
    house.stack(PATCHES, ONE)
    assert house.stack(PATCHES, ONE).built == ()
    house.pending = (an_upgrade("bash"), an_upgrade("curl"))
    assert house.stack(PATCHES, ONE).built == ("patches", "one", "finish")


def test_stack_when_upgrades_are_known_then_apt_is_not_asked(house: House) -> None:
    house.pending = (an_upgrade("bash"),)
    known = house.stack(PATCHES).upgrades
    house.roots.scripts.clear()
    again = house.stack(ingredients=replace(given(PATCHES), known_upgrades=known))
    assert again.built == ()
    assert house.roots.scripts == []


def test_stack_when_a_layer_below_is_made_anew_then_known_upgrades_are_asked_for_again(
    house: House,
) -> None:
    house.pending = (an_upgrade("bash"),)
    known = house.stack(PATCHES).upgrades
    house.layers.forget(house.layers.named("debian:bookworm"))
    house.roots.base["/etc/release"] = a_file("with the new bash")
    house.pending = ()
    stack = house.stack(ingredients=replace(given(PATCHES), known_upgrades=known))
    assert "patches" not in house.names(stack)
    assert list(stack.upgrades.values()) == [{"Upgrade": an_update()}]


def test_stack_when_apt_did_something_else_then_nothing_is_kept(house: House) -> None:
    house.pending = (an_upgrade("bash", new="5.2-2"), an_upgrade("curl", new="8-1"))
    house.installed = (an_upgrade("bash", new="5.2-2"), an_upgrade("curl", new="8-2"))
    with pytest.raises(UpgradeDiverged) as failure:
        house.stack(ONE, PATCHES)
    assert failure.value.context == "Not at the planned version: curl 8-1"
    assert "patches" not in house.roots.sealed


def test_stack_when_apt_cannot_say_then_the_component_failed(house: House) -> None:
    house.failing = "apt-get -s"
    with pytest.raises(ComponentFailed, match="Step Upgrade"):
        house.stack(PATCHES)


def test_initramfs_when_a_later_component_leaves_its_inputs_alone_then_is_reused(
    house: House,
) -> None:
    house.stack(ONE)
    assert "initramfs" not in house.stack(TWO).built


def test_initramfs_when_made_then_what_the_finish_writes_is_none_of_its_inputs(
    house: House,
) -> None:
    house.stack(ONE, TWO)
    (root,) = [r for r in house.roots.made if any("mkinitramfs" in s.text for s in r.scripts)]
    assert "finish" not in {layer.name for layer in root.stack}


@pytest.mark.parametrize("path", ["/usr/bin/busybox", f"/usr/lib/modules/{RELEASE}/ext4.ko"])
def test_initramfs_when_one_of_its_inputs_changes_then_is_made_anew(
    house: House, path: str
) -> None:
    house.stack(ONE)
    house.layers.forget(house.layers.named("debian:bookworm"))
    house.roots.base[path] = a_file("newer")
    assert "initramfs" in house.stack(ONE).built


def test_initramfs_when_its_list_of_inputs_is_lost_then_is_made_anew(house: House) -> None:
    house.stack(ONE)
    house.blobs.contents.clear()
    assert house.stack(ONE).built[0] == "initramfs"


def test_initramfs_when_only_a_tar_is_wanted_then_there_is_none(house: House) -> None:
    stack = house.stack(ingredients=given(ONE, artifacts=(ArtifactFormat.TAR,)))
    assert house.names(stack) == ["debian:bookworm", "one", "finish"]


def test_initramfs_when_there_is_no_kernel_then_no_disk_can_be_made(house: House) -> None:
    del house.roots.base[f"/boot/vmlinuz-{RELEASE}"]
    with pytest.raises(NoKernel):
        house.stack(ONE)


def test_initramfs_when_its_tool_fails_then_says_so(house: House) -> None:
    house.failing = 'mkinitramfs "$@" -o'
    with pytest.raises(FinishFailed, match="initramfs could not be made: exit status 1"):
        house.stack(ONE)


def test_finish_when_the_image_has_its_own_keyring_then_it_is_written(house: House) -> None:
    repository = Repository(url="http://own.example.org", suites=("x",), keyring="/keys/own.gpg")
    ingredients = replace(
        given(ONE, repositories=(repository,)), keyrings={"/keys/own.gpg": a_digest("ring")}
    )
    Stacking(house.layers, house.blobs, house.clock, some_means()).stack(
        StackRequest(ingredients=ingredients, keyrings={"/keys/own.gpg": b"ring"}),
        house.roots,
        house.progress,
    )
    (keyring,) = [s for s in house.roots.scripts if s.stdin == b"ring"]
    assert "> /etc/apt/keyrings/imagebuilder-0.gpg" in keyring.text
    finish = next(s for s in house.roots.scripts if "debian.sources" in s.text)
    assert "Signed-By: /etc/apt/keyrings/imagebuilder-0.gpg" in finish.text


def test_finish_when_it_fails_then_it_is_not_published(house: House) -> None:
    house.failing = "machine-id"
    with pytest.raises(FinishFailed, match="finish layer"):
        house.stack(ONE)
    assert "finish" not in house.roots.sealed


def child_of(layers: Sequence[Layer], *components: Component) -> Ingredients:
    parent = PlannedParent(
        asked="image:base",
        identity="base",
        contents=tuple(layer.content for layer in layers),
    )
    return replace(given(*components), parent=parent)


def test_stack_when_the_parent_is_an_image_then_its_layers_are_below(house: House) -> None:
    base = house.stack(ONE).layers[:2]
    stack = house.stack(ingredients=child_of(base, TWO))
    assert stack.layers[:2] == base
    assert stack.built == ("two", "finish")


def rows(house: House, ingredients: Ingredients, after: datetime | None = None) -> list[object]:
    request = StackRequest(ingredients=ingredients, rebuild_before=after)
    preview = Stacking(house.layers, house.blobs, house.clock, some_means()).preview(request)
    return [(row.name, row.is_cached, row.why) for row in preview]


def test_preview_then_says_what_is_cached_and_why_the_rest_is_not(house: House) -> None:
    house.stack(ONE)
    sealed = list(house.roots.sealed)
    assert rows(house, given(ONE, TWO, PATCHES)) == [
        ("debian:bookworm", True, ""),
        ("one", True, ""),
        ("two", False, "never built"),
        ("patches", False, "the layer below is made first"),
    ]
    assert house.roots.sealed == sealed


def test_preview_when_upgrades_are_unknown_then_says_that_they_are_asked_first(
    house: House,
) -> None:
    house.stack(PATCHES)
    assert rows(house, given(PATCHES))[1] == ("patches", False, "what to upgrade is asked first")


def test_preview_when_there_is_nothing_to_upgrade_then_says_so(house: House) -> None:
    known = house.stack(PATCHES, ONE).upgrades
    previewed = rows(house, replace(given(PATCHES, ONE), known_upgrades=known))
    assert previewed[1:] == [("patches", True, "nothing to upgrade"), ("one", True, "")]


def test_preview_when_refreshed_then_nothing_is_cached(house: House) -> None:
    house.stack(ONE)
    house.clock.advance(1)
    previewed = rows(house, given(ONE), house.clock.now())
    assert previewed[0] == ("debian:bookworm", False, "too old")
