"""Versions made again over fakes: what is taken from the record, and what is said of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from imagebuilder.domain.bill import (
    BilledPackage,
    Contents,
    RecordedBill,
    Release,
    contents_document,
)
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.rebuild import (
    LayoutLost,
    NotAsRecorded,
    PackagesGone,
    PinnedPackages,
    Rebuild,
    RecipeNotKnown,
)
from imagebuilder.ports.locks import STORE_LOCK
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.building.stacking import Stacking
from imagebuilder.services.pipelines.rebuilding import (
    Bench,
    Memory,
    Rebuilding,
    RebuildRequest,
    RebuildShop,
)
from tests.build import a_digest, an_upgrade
from tests.fakes.archives import FakePackageFiles
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.building import FakeLayerStore, FakeRoots, FakeWorkshop
from tests.fakes.machine import Answer
from tests.house import BASE, NGINX, WEB, House, a_component_text, a_recipe_text
from tests.means import some_means

BASH = ("bash", "5.2-1", "amd64")


@dataclass(slots=True)
class Shop:
    """A house, and what is made again beside it."""

    house: House
    packages: FakePackageFiles = field(default_factory=FakePackageFiles)
    pinned: list[PinnedPackages] = field(default_factory=list)
    roots: list[FakeRoots] = field(default_factory=list)

    @contextmanager
    def bench(self, pinned: PinnedPackages) -> Iterator[Bench]:
        house, layers, blobs = self.house, FakeLayerStore(), FakeBlobStore()
        # What it borrows is found by content, and nothing by its key.
        layers.files, layers.manifests = set(house.layers.files), dict(house.layers.manifests)
        layers.records = dict(house.layers.records)
        roots = FakeRoots(layers, house.clock, house._answer, house.roots.base)
        self.pinned.append(pinned)
        self.roots.append(roots)
        yield Bench(
            stacking=Stacking(layers, blobs, house.clock, some_means(source=house.values)),
            workshop=FakeWorkshop(roots),
            layers=layers,
            blobs=blobs,
        )

    @property
    def rebuilding(self) -> Rebuilding:
        house = self.house
        memory = Memory(
            versions=house.versions,
            runs=house.runs,
            layers=house.layers,
            blobs=house.blobs,
            archives=house.archives,
            packages=self.packages,
        )
        shop = RebuildShop(
            bench=self.bench, disks=house.disks, locks=house.locks, clock=house.clock
        )
        return Rebuilding(Authoring(house.documents), house.planning, memory, shop)

    def check(self, reference: str, path: str | None = WEB, **asked: bool) -> Rebuild:
        request = RebuildRequest(reference=reference, recipe_path=path, **asked)
        try:
            return self.rebuilding.check(request, self.house.progress)
        finally:
            assert self.house.disks.open_count == 0
            assert self.house.locks.shared.get(STORE_LOCK, []) == []

    @property
    def scripts(self) -> list[str]:
        return [script.text for script in self.roots[-1].scripts]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    house = House(tmp_path)
    house.packages = "ii |bash|5.2-1|amd64|bash|5.2-1\n"
    house.archives.digests[BASH] = a_digest("bash")
    # Made without a disk it has no initramfs, which the child would take over.
    house.documents.documents[BASE] += "artifacts: [tar]\n"
    house.built(BASE)
    return Shop(house)


def test_rebuild_when_nothing_is_otherwise_then_is_equal_and_records_nothing(shop: Shop) -> None:
    version = shop.house.built()
    keys, blobs = dict(shop.house.layers.keys), set(shop.house.blobs.digests())

    found = shop.check("web")

    assert found.is_equal
    assert found.reference == version.reference
    assert found.compared == ("disk", *(a.format for a in version.artifacts))
    assert shop.house.layers.keys == keys
    assert set(shop.house.blobs.digests()) == blobs
    assert len(shop.house.versions.versions) == 2


def test_rebuild_then_every_layer_of_the_version_is_made_and_none_of_its_parent(
    shop: Shop,
) -> None:
    shop.house.built()

    shop.check("web")

    assert shop.roots[-1].sealed == ["nginx", "finish", "initramfs"] or set(
        shop.roots[-1].sealed
    ) == {"nginx", "finish", "initramfs"}


def test_rebuild_when_a_step_leaves_something_else_then_its_file_is_named(shop: Shop) -> None:
    shop.house.built()
    shop.house.roots.base["/etc/odd"] = shop.house.roots.base["/usr/bin/busybox"]

    found = shop.check("base", BASE)

    assert [(each.path, each.what) for each in found.files] == [("/etc/odd", ("extra",))]


def test_rebuild_of_files_only_then_no_disk_is_made(shop: Shop) -> None:
    shop.house.built()
    before = len(shop.house.disks.requests)

    found = shop.check("web", is_of_files_only=True)

    assert (found.is_equal, found.compared) == (True, ())
    assert len(shop.house.disks.requests) == before


def test_rebuild_when_upgrades_were_recorded_then_these_are_done_and_nothing_is_asked(
    shop: Shop,
) -> None:
    upgrade = an_upgrade("bash")
    shop.house.pending = (upgrade,)
    key = (upgrade.name, upgrade.new_version, upgrade.architecture)
    shop.house.archives.digests[key] = a_digest("newer bash")
    shop.house.documents.documents[BASE] += "description: again\n"
    shop.house.built(BASE, refresh=True)

    found = shop.check("base", BASE)

    assert found.is_equal
    assert not any("apt-get -s" in text for text in shop.scripts)
    assert any("bash" in text and "install" in text for text in shop.scripts)


def test_rebuild_when_the_parent_has_a_newer_version_then_is_on_the_recorded_one(
    shop: Shop,
) -> None:
    shop.house.built()
    shop.house.documents.documents[BASE] += "description: newer\n"
    shop.house.pending = (an_upgrade("dash"),)
    newer = shop.house.built(BASE, refresh=True)

    assert newer.reference == "base@1.0.0/2"
    assert shop.check("web@1.0.0/1").is_equal


def test_rebuild_when_the_disk_followed_another_then_follows_it_again(shop: Shop) -> None:
    first = shop.house.built()
    shop.house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    second = shop.house.built()

    found = shop.check("web")

    assert second.plan["follows"] == str(first.disk_digest)  # type: ignore[index,call-overload]  # JSON
    (predecessor,) = {
        r.predecessor and r.predecessor.disk_digest for r in shop.house.disks.requests[-1:]
    }
    assert (found.is_equal, predecessor) == (True, first.disk_digest)


def test_rebuild_when_the_disk_it_followed_is_gone_then_is_refused_unless_of_files(
    shop: Shop,
) -> None:
    first = shop.house.built()
    shop.house.documents.documents[NGINX] = a_component_text("nginx", command="other")
    shop.house.built()
    for artifact in first.artifacts:
        del shop.house.blobs.contents[artifact.digest]

    with pytest.raises(LayoutLost, match="laid out"):
        shop.check("web")
    assert shop.check("web", is_of_files_only=True).is_equal


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        (WEB, a_recipe_text("web", "image:base@1.x", more="description: new\n"), "recipe web"),
        (NGINX, a_component_text("nginx", command="other"), "component nginx"),
    ],
    ids=["recipe", "component"],
)
def test_rebuild_when_a_document_is_another_then_is_refused_and_it_is_named(
    shop: Shop, path: str, text: str, named: str
) -> None:
    shop.house.built()
    shop.house.documents.documents[path] = text

    with pytest.raises(NotAsRecorded) as refused:
        shop.check("web")

    assert named in refused.value.context
    assert shop.roots == []


def test_rebuild_when_a_parameter_was_set_from_outside_then_is_set_again(shop: Shop) -> None:
    shop.house.documents.documents[NGINX] = (
        "name: nginx\nversion: 1.0.0\nschemaVersion: 1.0\n"
        "parameters: [{word: {type: string, default: a}}]\nphases:\n"
        "  - {name: build, steps: [{name: Do, action: ExecuteBash,"
        " inputs: {commands: ['say {{ word }}']}}]}\n"
    )
    shop.house.built(overrides={"nginx.word": "b"})

    assert shop.check("web").is_equal
    assert any("say b" in text for text in shop.scripts)


def test_rebuild_when_archives_are_others_then_is_refused(shop: Shop) -> None:
    shop.house.built()
    shop.house.sources.url = "http://other.example.org/debian"

    with pytest.raises(NotAsRecorded, match="cannot be built again"):
        shop.check("web")


def test_rebuild_when_nobody_says_where_the_recipe_is_then_is_refused(shop: Shop) -> None:
    shop.house.built()

    with pytest.raises(RecipeNotKnown):
        shop.check("web", None)


def test_rebuild_of_a_copy_then_what_was_built_is_made(shop: Shop) -> None:
    version = shop.house.built()
    copy = replace(
        version,
        id=VersionId("version-copy"),
        run_id=RunId("run-copy"),
        image=version.image.__class__("shop"),
        copied_from=version.id,
    )
    shop.house.versions.add(copy)

    assert shop.check("shop").reference == version.reference


class TestPackages:
    def test_rebuild_then_packages_are_held_at_the_recorded_versions(self, shop: Shop) -> None:
        shop.check("base", BASE)

        assert shop.pinned == [PinnedPackages(versions=(BASH,))]

    def test_rebuild_when_an_archive_has_a_package_no_more_then_the_cached_one_is_taken(
        self, shop: Shop
    ) -> None:
        shop.house.archives.digests.clear()
        shop.packages.digests.add(a_digest("bash"))

        shop.check("base", BASE)

        assert shop.pinned[0].kept == {BASH: a_digest("bash")}

    def test_rebuild_when_a_package_is_nowhere_then_is_refused_and_it_is_named(
        self, shop: Shop
    ) -> None:
        shop.house.archives.digests.clear()

        with pytest.raises(PackagesGone) as refused:
            shop.check("base", BASE)

        assert "bash=5.2-1" in refused.value.context

    def test_rebuild_when_an_archive_has_other_bytes_under_a_version_then_they_do_not_count(
        self, shop: Shop
    ) -> None:
        shop.house.archives.digests[BASH] = a_digest("other")

        with pytest.raises(PackagesGone):
            shop.check("base", BASE)

    def test_rebuild_when_no_signed_list_ever_told_of_a_package_then_a_component_brings_it(
        self, shop: Shop
    ) -> None:
        version = self.billed(shop, None)
        shop.house.archives.digests.clear()

        assert shop.check(version.reference, BASE).is_equal

    def test_rebuild_when_the_parent_brings_a_package_then_no_archive_is_asked_for_it(
        self, shop: Shop
    ) -> None:
        shop.house.built()
        shop.house.archives.digests.clear()

        assert shop.check("web").is_equal

    def billed(self, shop: Shop, digest: Digest | None) -> ImageVersion:
        """Record the base once more, with a bill that tells that of its package."""
        (version,) = shop.house.versions.versions
        packages = tuple(BilledPackage(package=p, archive=digest) for p in version.packages)
        contents = Contents(release=Release(), packages=packages)
        document = shop.house.blobs.put(canonical_json(contents_document(contents)))
        shop.house.versions.versions.remove(version)
        again = replace(version, bill=RecordedBill(release="unknown", document=document))
        shop.house.versions.add(again)
        return again


def test_rebuild_when_a_step_fails_then_says_so_and_nothing_stays_open(shop: Shop) -> None:
    shop.house.built()
    shop.house.fails["install"] = Answer(exit_status=1)

    with pytest.raises(Exception, match="ended with exit status 1"):
        shop.check("web")

    assert shop.roots[-1].open == set()
