from dataclasses import replace
from datetime import timedelta

import pytest

from imagebuilder.domain.comparison import NoVersionBefore, SameVersionTwice
from imagebuilder.domain.file_changes import PathPattern
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ReferenceMalformed, VersionNotFound
from imagebuilder.domain.layer import Entry, LayerTree
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import upgrades_document
from imagebuilder.services.comparing import Comparing
from tests.build import (
    SOME_DAY,
    a_layer,
    a_package,
    a_parent,
    a_version,
    an_entry,
    an_update,
    an_upgrade,
)
from tests.fakes.building import FakeLayerStore
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock


@pytest.fixture(name="versions")
def _versions() -> FakeVersionStore:
    return FakeVersionStore()


@pytest.fixture(name="layers")
def _layers() -> FakeLayerStore:
    return FakeLayerStore()


@pytest.fixture(name="comparing")
def _comparing(versions: FakeVersionStore, layers: FakeLayerStore) -> Comparing:
    return Comparing(versions, layers, FakeClock())


def _know(layers: FakeLayerStore, name: str, content: str, **entries: Entry) -> None:
    layer = a_layer(name, content=content)
    tree = {f"/{path}": entry for path, entry in entries.items()}
    layers.manifests[layer.content] = LayerTree(entries=tree)


def _plan(*upgrades: Upgrade) -> dict[str, object]:
    return {"upgrades": {"question": upgrades_document({"Update": an_update(*upgrades)})}}


def test_diff_when_two_are_named_then_goes_from_the_first_to_the_second(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1", packages=(a_package("nginx", "1"),)))
    versions.add(a_version("web@1.0.0/2", packages=(a_package("nginx", "2"),)))

    change = comparing.diff("web@1.0.0/2", "web@1.0.0/1").packages[0]

    assert (change.old_version, change.new_version) == ("2", "1")


def test_diff_when_one_is_named_then_compares_with_what_was_recorded_before_it(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    for reference in ("web@2.0.0/1", "other@1.0.0/1", "web@1.0.0/1", "web@2.0.1/1"):
        versions.add(a_version(reference))

    diff = comparing.diff("web@1.0.0/1")

    assert (diff.old.reference, diff.new.reference) == ("web@2.0.0/1", "web@1.0.0/1")


def test_diff_when_the_first_is_named_alone_then_says_there_is_none_before(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))

    with pytest.raises(NoVersionBefore, match=r"web@1\.0\.0/1"):
        comparing.diff("web")


def test_diff_when_both_references_mean_the_same_then_is_refused(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1", id=VersionId("version-7")))

    with pytest.raises(SameVersionTwice, match=r"web@1\.0\.0/1"):
        comparing.diff("web@1.x", "version-7")


@pytest.mark.parametrize("pair", [("web", "gone"), ("gone", "web")])
def test_diff_when_a_reference_is_unknown_then_says_so(
    comparing: Comparing, versions: FakeVersionStore, pair: tuple[str, str]
) -> None:
    versions.add(a_version("web@1.0.0/1"))

    with pytest.raises(VersionNotFound, match="gone"):
        comparing.diff(*pair)


def test_diff_when_a_reference_is_malformed_then_says_so(comparing: Comparing) -> None:
    with pytest.raises(ReferenceMalformed):
        comparing.diff("web@", "web")


def test_diff_when_versions_are_of_two_images_or_the_wrong_way_round_then_says_so(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("base@1.0.0/1", created_at=SOME_DAY + timedelta(days=1)))

    there, back = comparing.diff("web", "base"), comparing.diff("base", "web")

    assert (there.is_across_images, there.is_backwards) == (True, False)
    assert (back.is_across_images, back.is_backwards) == (True, True)


def test_files_when_layers_differ_then_are_told_of_the_merged_trees(
    comparing: Comparing, versions: FakeVersionStore, layers: FakeLayerStore
) -> None:
    _know(layers, "root", "root", a=an_entry(), b=an_entry())
    _know(layers, "nginx", "one", b=an_entry(mode=0o600), c=an_entry())
    _know(layers, "nginx", "two", b=an_entry(), d=an_entry())
    root = a_layer("root", content="root")
    versions.add(a_version("web@1.0.0/1", layers=(root, a_layer(content="one"))))
    versions.add(a_version("web@1.0.0/2", layers=(root, a_layer(content="two"))))

    files = comparing.diff("web").files

    assert files is not None
    assert [c.path for c in files.by_path] == ["/b", "/c", "/d"]
    wanted = comparing.diff("web", wanted=None).files
    assert wanted == files
    narrowed = comparing.diff("web", wanted=PathPattern.parse("/b")).files
    assert narrowed is not None
    assert [c.path for c in narrowed.by_path] == ["/b"]


def test_files_when_layers_are_the_same_then_no_manifest_is_needed(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("web@1.0.0/2"))

    diff = comparing.diff("web")

    assert diff.files is not None
    assert (diff.files.is_empty, diff.without_files) == (True, ())


def test_files_when_a_manifest_is_gone_then_the_rest_is_told_all_the_same(
    comparing: Comparing, versions: FakeVersionStore, layers: FakeLayerStore
) -> None:
    _know(layers, "nginx", "two", d=an_entry())
    versions.add(a_version("web@1.0.0/1", layers=(a_layer(content="one"),), packages=()))
    versions.add(a_version("web@1.0.0/2", layers=(a_layer(content="two"),)))

    diff = comparing.diff("web")

    assert diff.files is None
    assert diff.without_files == ("web@1.0.0/1",)
    assert len(diff.packages) == 2


def test_security_updates_when_recorded_with_the_parent_image_then_are_told_of_the_child(
    comparing: Comparing, versions: FakeVersionStore
) -> None:
    upgrade = replace(an_upgrade(), is_security=True, cves=("CVE-2025-1",))
    versions.add(a_version("base@1.0.0/1", id=VersionId("base-2"), plan=_plan(upgrade)))
    old, new = a_package("openssl", "3.0.15-1"), a_package("openssl", "3.0.16-1")
    versions.add(a_version("web@1.0.0/1", packages=(old,)))
    versions.add(a_version("web@1.0.0/2", packages=(new,), parent=a_parent("base-2")))

    (update,) = comparing.diff("web").security

    assert (update.change.name, update.cves) == ("openssl", ("CVE-2025-1",))


def test_diff_when_the_parent_moved_on_then_names_both_as_people_do(
    versions: FakeVersionStore, comparing: Comparing
) -> None:
    for build in (1, 2):
        base, web = f"base@1.0.0/{build}", f"web@1.0.0/{build}"
        versions.add(a_version(base, id=VersionId(f"base-{build}")))
        edge = a_parent(f"base-{build}", asked="image:base@1.x")
        versions.add(a_version(web, id=VersionId(f"web-{build}"), parent=edge))

    diff = comparing.diff("web@1.0.0/1", "web@1.0.0/2")

    assert diff.parent is not None
    old, new = diff.parent.old, diff.parent.new
    assert old is not None
    assert new is not None
    assert (diff.parent_text(old, new), diff.parent_text(new, old)) == (
        "base@1.0.0/1",
        "base@1.0.0/2",
    )
