"""The order in which a disk is made, and that it does not depend on what is cached."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagebuilder.domain.layer import Layer, LayerTree
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.resolution import Ingredients, resolve
from imagebuilder.ports.disks import Predecessor
from imagebuilder.services.building.assembling import Assembling, Assembly
from tests.build import SOME_DAY, a_digest, a_planned_parent, a_recipe
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.building import FakeLayerStore, FakeRoots, a_file
from tests.fakes.clock import FakeClock
from tests.fakes.disks import FakeDisks
from tests.fakes.progress import FakeProgress


@dataclass
class Site:
    """Three layers over fakes; `predecessor` is the disk there is to follow."""

    folder: Path
    layers: FakeLayerStore = field(default_factory=FakeLayerStore)
    blobs: FakeBlobStore = field(default_factory=FakeBlobStore)
    progress: FakeProgress = field(default_factory=FakeProgress)
    predecessor: Predecessor | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        self.disks = FakeDisks(self.folder)
        self.stack = tuple(self._kept(name) for name in ("debian:bookworm", "finish", "initramfs"))

    def _kept(self, name: str) -> Layer:
        layer = Layer(
            key=a_digest(f"key of {name}"),
            content=a_digest(name),
            parent_content=None,
            name=name,
            created_at=SOME_DAY,
            size_bytes=1,
        )
        self.layers.adopt(layer, LayerTree(entries={f"/{name}": a_file(name)}))
        return layer

    def assembling(self, held: ExitStack, formats: Sequence[str] = ("qcow2",)) -> Assembling:
        assembly = Assembly(
            disks=self.disks,
            layers=self.layers,
            blobs=self.blobs,
            progress=self.progress,
            predecessor=self._predecessor,
        )
        recipe = a_recipe(artifacts=tuple(map(ArtifactFormat, formats)))
        plan = resolve(Ingredients(recipe=recipe, components=[], parent=a_planned_parent()))
        return Assembling(assembly, plan, FakeRoots(self.layers, FakeClock()), held)

    def _predecessor(self) -> Predecessor | None:
        self.asked += 1
        return self.predecessor

    @property
    def laid_out(self) -> list[list[str]]:
        """What each request to the disk builder held."""
        return [sorted(request.tree) for request in self.disks.requests]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


ALL = ["/debian:bookworm", "/finish", "/initramfs"]


def test_disk_when_a_draft_was_made_then_only_the_initramfs_is_added(site: Site) -> None:
    with ExitStack() as held:
        assembling = site.assembling(held)
        assembling.draft(site.stack[:2])
        assert site.laid_out == [ALL[:2]]
        assembling.disk(site.stack)
    assert site.laid_out == [ALL[:2], ALL]


def test_disk_when_no_draft_was_made_then_it_is_the_same_disk(site: Site) -> None:
    with ExitStack() as held:
        drafted = site.assembling(held)
        drafted.draft(site.stack[:2])
        one = drafted.disk(site.stack)
        other = site.assembling(held).disk(site.stack)
        assert one is not None
        assert other is not None
        assert one.digest == other.digest
    assert site.laid_out == [ALL[:2], ALL, ALL[:2], ALL]


def test_draft_when_a_disk_is_followed_then_none_is_made(site: Site) -> None:
    site.predecessor = Predecessor(
        disk_digest=a_digest("before"), tree={}, artifact=site.folder / "before.qcow2"
    )
    with ExitStack() as held:
        assembling = site.assembling(held)
        assembling.draft(site.stack[:2])
        disk = assembling.disk(site.stack)
    assert site.laid_out == [ALL]
    assert disk is not None
    assert disk.predecessor == site.predecessor
    assert site.asked == 1


def test_disk_when_only_a_tar_file_is_wanted_then_there_is_none(site: Site) -> None:
    with ExitStack() as held:
        assert site.assembling(held, ["tar"]).disk(site.stack) is None
    assert site.laid_out == []


def test_artifacts_when_made_then_each_is_kept_in_its_format(site: Site) -> None:
    with ExitStack() as held:
        assembling = site.assembling(held, ["qcow2", "raw"])
        disk = assembling.disk(site.stack)
        made = assembling.artifacts(site.stack, disk)
    assert [artifact.format for artifact in made] == ["qcow2", "raw"]
    assert all(site.blobs.has(artifact.digest, artifact.size_bytes) for artifact in made)
    assert site.disks.open_count == 0
