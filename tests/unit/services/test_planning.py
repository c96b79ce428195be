"""What a recipe's names stand for today, and whether there is anything to build."""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from imagebuilder.documents.problems import InvalidDocument
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.need import ReasonKind
from imagebuilder.domain.recipe import Repository, RootfsParent
from imagebuilder.ports.building import MirrorUnreachable, SignatureRefused
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.services.authoring import Authoring
from tests.build import a_digest, a_layer, an_upgrade
from tests.fakes.archives import SECURITY, an_index
from tests.fakes.inspection import a_report
from tests.house import BASE, NGINX, PATCHES, WEB, House, a_component_text, a_recipe_text

DEBIAN = Repository(url="http://deb.example.org/debian", suites=("bookworm",))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def built(house: House) -> House:
    """Give a house where the web image, and so its parent, was built."""
    house.built()
    return house


def recipe(house: House, parent: str, more: str = "", components: str = "[nginx]") -> None:
    house.documents.documents[WEB] = a_recipe_text("web", parent, components, more)


def test_prepare_when_it_was_never_built_then_says_so(house: House) -> None:
    assert house.prepare(BASE).reason == "it was never built"


def test_prepare_when_nothing_changed_then_there_is_no_reason(built: House) -> None:
    for path in (BASE, WEB):
        prepared = built.prepare(path)
        assert prepared.is_unchanged
        assert prepared.before is not None


def test_prepare_when_no_component_upgrades_then_no_archive_is_asked(built: House) -> None:
    built.sources.asked = 0
    built.prepare(WEB)
    assert built.sources.asked == 0


def reason(house: House, path: str = WEB, **asked: Any) -> str:
    return house.prepare(path, **asked).reason


def test_reason_when_refreshed_then_that_was_asked_for(built: House) -> None:
    assert reason(built, refresh=True) == "a build from scratch was asked for"


def test_reason_when_archives_changed_then_upgrades_must_be_asked_for(built: House) -> None:
    built.sources.day = "tuesday"
    assert reason(built, BASE) == (
        "the package archives changed: what is new in them, only apt in the image can tell"
    )
    assert reason(built, WEB) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {NGINX: a_component_text("nginx", command="other")},
            "component changed: nginx 1.0.0 does not do the same",
        ),
        (
            {NGINX: a_component_text("nginx", command="other").replace("1.0.0", "1.1.0")},
            "component changed: nginx 1.0.0 to 1.1.0",
        ),
        (
            {WEB: a_recipe_text("web", "image:base@1.x", "[nginx, patches]")},
            "its recipe changed: component patches was added",
        ),
        (
            {WEB: a_recipe_text("web", "image:base@1.x", "[]")},
            "its recipe changed: component nginx was taken out",
        ),
        (
            {WEB: a_recipe_text("web", "image:base@1.x", "[nginx, nginx]")},
            "its recipe changed",
        ),
        (
            {WEB: a_recipe_text("web", "image:base@1.x", more="disk: {size: 9GiB}\n")},
            "its recipe changed: disk",
        ),
        (
            {WEB: a_recipe_text("web", "image:base@1.x", more="artifacts: [raw]\n")},
            "its recipe changed: artifacts",
        ),
        (
            {WEB: a_recipe_text("web", "image:base")},
            "its recipe changed: parent",
        ),
        (
            {
                WEB: a_recipe_text("web", "image:base@1.x", more="tests: [test_a.py]\n"),
                "/w/recipes/test_a.py": "def test_a(): ...",
            },
            "its tests changed: test_a.py",
        ),
    ],
    ids=[
        *("component", "component-version", "added", "taken-out", "twice", "disk", "artifacts"),
        *("parent", "tests"),
    ],
)
def test_reason_when_what_people_wrote_changed_then_says_what(
    built: House, change: dict[str, str], told: str
) -> None:
    built.documents.documents.update(change)
    assert reason(built) == told


def test_reason_when_archives_and_parameters_of_the_recipe_changed_then_says_what(
    built: House,
) -> None:
    text = a_component_text("nginx") + "parameters: [{workers: {type: string, default: '1'}}]\n"
    built.documents.documents[NGINX] = text
    built.built()
    own = "repositories: [{url: 'http://own.example.org', suites: [x]}]\n"
    built.documents.documents[WEB] = a_recipe_text("web", "image:base@1.x", more=own)
    prepared = built.prepare(overrides={"nginx.workers": "2"})
    assert prepared.reason == "its recipe changed: parameters of nginx, repositories"


def test_reason_when_only_words_changed_then_there_is_none(built: House) -> None:
    built.documents.documents[WEB] += "description: Other words.\n"
    built.documents.documents[NGINX] += "description: Other words.\n"
    assert reason(built) == ""


@pytest.mark.parametrize("version", ["1.1.x", "2.0.0", "1.0.7"])
def test_reason_when_the_recipe_asks_for_another_version_then_says_so(
    built: House, version: str
) -> None:
    text = built.documents.documents[WEB]
    built.documents.documents[WEB] = text.replace("1.0.x", version)
    assert reason(built) == f"its recipe changed: it asks for version {version}"


def test_reason_when_the_recipe_fixes_the_version_there_is_then_there_is_none(
    built: House,
) -> None:
    text = built.documents.documents[WEB]
    built.documents.documents[WEB] = text.replace("1.0.x", "1.0.0")
    assert reason(built) == ""


def test_reason_when_the_parent_image_was_built_anew_then_says_so(built: House) -> None:
    built.documents.documents[BASE] = a_recipe_text("base", "debian:bookworm", "[nginx]")
    built.built(BASE)
    assert reason(built) == "its parent image:base@1.x was base@1.0.0/1 and is base@1.0.1/1"


def test_reason_when_the_parent_was_built_anew_to_the_same_layers_then_there_is_none(
    built: House,
) -> None:
    built.documents.documents[BASE] += "artifacts: [raw]\n"
    built.built(BASE)
    assert reason(built) == ""


def test_reason_when_the_tools_rules_changed_then_what_it_is_built_from_did(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagebuilder.domain.resolution.BUILDER_MODE", "another-1")
    assert reason(built) == "what it is built from changed"


def test_reason_when_a_file_is_gone_then_says_so(built: House) -> None:
    built.blobs.contents.clear()
    (found,) = built.prepare().reasons
    assert found.text == "its files are not in the store any more"
    assert found.kind is ReasonKind.FILES_MISSING


def test_reason_when_a_layer_is_gone_then_says_so_and_nothing_is_followed(built: House) -> None:
    built.layers.forget(built.layers.named("nginx"))
    prepared = built.prepare()
    assert prepared.reason == "its layers are not in the store any more"
    assert prepared.plan.follows is None


@pytest.mark.parametrize(
    ("days", "expected"), [(6, ""), (8, "its layers are older than max_age allows")]
)
def test_reason_when_layers_may_only_be_so_old_then_says_when_they_are(
    house: House, days: int, expected: str
) -> None:
    house.documents.documents[WEB] += "max_age: 7d\n"
    house.built()
    house.clock.advance(days * 86400)
    assert reason(house) == expected


def test_reason_when_only_the_parents_layers_are_old_then_there_is_none(house: House) -> None:
    house.built(BASE)
    house.clock.advance(30 * 86400)
    house.documents.documents[WEB] += "max_age: 7d\n"
    house.built()
    assert reason(house) == ""


def test_reason_when_an_age_is_set_and_a_layer_is_damaged_then_says_so(house: House) -> None:
    house.documents.documents[WEB] += "max_age: 7d\n"
    house.built()
    house.layers.damaged.add(house.layers.named("nginx").content)
    assert reason(house) == "Layer nginx is damaged."


def test_prepare_when_there_is_a_version_before_then_its_layout_is_followed(built: House) -> None:
    before = built.versions.newest(built.prepare().recipe.name)
    assert before is not None
    assert built.prepare().plan.follows == before.disk_digest


def test_prepare_when_the_parent_is_a_suite_then_its_archives_are_those_of_the_machine(
    house: House,
) -> None:
    prepared = house.prepare(BASE)
    assert prepared.archives == (DEBIAN,)
    assert prepared.plan.parent.suite == "bookworm"
    assert prepared.plan.repositories == (DEBIAN,)


def test_prepare_when_the_suite_has_a_mirror_and_keyring_then_they_are_used_and_count(
    house: House,
) -> None:
    house.documents.documents["/w/recipes/own.gpg"] = "ring 1"
    parent = (
        "{from: debian:bookworm, mirror: 'http://m.example.org/{snapshot}', "
        "snapshot: 20260101T000000Z, keyring: own.gpg}"
    )
    recipe(house, parent)
    first = house.prepare()
    (archive,) = first.archives
    assert archive.url == "http://m.example.org/20260101T000000Z"
    assert archive.keyring == "/w/recipes/own.gpg"
    assert first.plan.repositories[0].keyring is None
    house.documents.documents["/w/recipes/own.gpg"] = "ring 2"
    assert house.prepare().plan.parent.identity != first.plan.parent.identity


def test_prepare_when_the_parent_is_a_file_then_its_bytes_are_its_identity(house: House) -> None:
    house.documents.documents["/w/recipes/root.tar"] = "tar"
    recipe(house, "rootfs:root.tar")
    first = house.prepare()
    assert first.archives == ()
    assert first.plan.parent.source == RootfsParent(path="/w/recipes/root.tar")
    house.documents.documents["/w/recipes/root.tar"] = "another tar"
    assert house.prepare().plan.parent.identity != first.plan.parent.identity


def test_prepare_when_the_parent_is_an_image_then_its_layers_but_its_own_are_reused(
    built: House,
) -> None:
    parent = built.versions.versions[0]
    prepared = built.prepare()
    assert [layer.name for layer in parent.layers] == ["debian:bookworm", "finish", "initramfs"]
    assert prepared.plan.parent.contents == (parent.layers[0].content,)
    assert prepared.plan.parent.version_id == parent.id
    assert prepared.archives == (DEBIAN,)
    assert [layer.name for layer in prepared.plan.layers] == ["nginx", "finish"]


def test_prepare_when_a_parents_component_is_called_as_an_own_layer_then_it_is_reused(
    built: House,
) -> None:
    bottom, *own = built.versions.versions[0].layers
    named_so = replace(a_layer("finish"), content=a_digest("a component"))
    built.versions.versions[0] = replace(
        built.versions.versions[0], layers=(bottom, named_so, *own)
    )
    contents = built.prepare().plan.parent.contents
    assert contents == (bottom.content, named_so.content)


def test_prepare_when_the_parent_image_was_never_built_then_it_is_not_found(house: House) -> None:
    with pytest.raises(VersionNotFound):
        house.prepare(WEB)


OWN = "repositories: [{url: 'http://own.example.org', suites: [x], keyring: own.gpg}]\n"


def test_prepare_when_the_image_has_its_own_archives_then_their_keyrings_are_located_and_count(
    built: House,
) -> None:
    built.documents.documents["/w/recipes/own.gpg"] = "ring 1"
    built.documents.documents[WEB] += OWN
    first = built.prepare()
    own = Repository(url="http://own.example.org", suites=("x",), keyring="/w/recipes/own.gpg")
    assert first.archives == (DEBIAN, own)
    assert first.plan.repositories == (own,)
    assert first.keyrings == {"/w/recipes/own.gpg": b"ring 1"}
    assert first.ingredients.keyrings == {"/w/recipes/own.gpg": Digest.of_bytes(b"ring 1")}
    built.documents.documents["/w/recipes/own.gpg"] = "ring 2"
    second = built.prepare()
    assert second.plan.layers[-1].key != first.plan.layers[-1].key
    assert second.plan.layers[0].key == first.plan.layers[0].key


def test_prepare_when_a_keyring_is_missing_then_says_which(built: House) -> None:
    built.documents.documents[WEB] += OWN
    with pytest.raises(DocumentUnreadable, match=r"own\.gpg"):
        built.prepare()


def test_prepare_when_tests_are_named_then_they_are_located_and_count(built: House) -> None:
    built.documents.documents["/w/recipes/tests/test_a.py"] = "def test_a(): ..."
    built.documents.documents[WEB] += "tests: [tests]\n"
    first = built.prepare()
    assert [entry.path for entry in first.tests] == [PurePosixPath("/w/recipes/tests")]
    built.documents.documents["/w/recipes/tests/test_a.py"] = "def test_b(): ..."
    assert built.prepare().plan.content_digest != first.plan.content_digest


def test_prepare_when_a_marker_is_unknown_then_nothing_is_built_and_its_place_is_told(
    built: House,
) -> None:
    text = "import pytest\n@pytest.mark.bootd\ndef test_a(): ..."
    built.documents.documents["/w/recipes/tests/test_a.py"] = text
    built.documents.documents[WEB] += "tests: [tests]\n"
    with pytest.raises(InvalidDocument) as caught:
        built.prepare()
    (problem,) = caught.value.problems
    assert str(problem.origin) == "/w/recipes/tests/test_a.py:2:2"
    assert problem.hint == "Did you mean booted?"


def test_prepare_when_how_tests_run_changes_then_that_counts_too(built: House) -> None:
    built.documents.documents["/w/recipes/tests/test_a.py"] = "def test_a(): ..."
    recipe = built.documents.documents[WEB]
    prepared = []
    for written in ("tests", "{path: tests}", "{path: tests, variables: {port: 80}}"):
        built.documents.documents[WEB] = f"{recipe}tests: [{written}]\n"
        prepared.append(built.prepare())
    plain, same, other = prepared
    assert same.plan.tests == plain.plan.tests != other.plan.tests
    assert other.tests[0].variables == {"port": 80}


def test_prepare_when_scans_are_asked_for_then_there_is_something_to_build(built: House) -> None:
    before = built.prepare().plan
    built.documents.documents[WEB] += "compliance: {profile: cis, fail_on: high}\n"

    asked = built.prepare()

    assert asked.reason == "its recipe changed: compliance"
    assert [layer.key for layer in asked.plan.layers] == [layer.key for layer in before.layers]
    assert asked.plan.content_digest != before.content_digest


def test_prepare_when_own_controls_changed_then_there_is_something_to_build(built: House) -> None:
    built.documents.documents["/w/recipes/own/test_a.py"] = "def test_a(): ..."
    built.controls.reports[Stage.OFFLINE] = a_report(Stage.OFFLINE)
    built.documents.documents[WEB] += "compliance: {controls: own}\n"
    built.built()
    assert built.prepare().is_unchanged

    built.documents.documents["/w/recipes/own/test_a.py"] = "def test_b(): ..."

    changed = built.prepare()
    assert changed.reason == "its tests changed: own"
    assert changed.controls == {"own": PurePosixPath("/w/recipes/own")}
    assert PurePosixPath("/w/recipes/own") in Authoring(built.documents).used_paths(WEB)


def test_prepare_when_own_controls_are_missing_then_says_which(built: House) -> None:
    built.documents.documents[WEB] += "compliance: {controls: own}\n"
    with pytest.raises(DocumentUnreadable, match="own"):
        built.prepare()


def test_prepare_when_archives_are_as_before_then_the_answers_of_before_are_taken(
    house: House,
) -> None:
    house.pending = (an_upgrade("bash"),)
    house.built(BASE)
    prepared = house.prepare(BASE)
    assert prepared.plan.open_question is None
    assert [u for layer in prepared.plan.layers if layer.upgrades for u in layer.upgrades.values()]
    assert prepared.reason == ""


def test_prepare_when_refreshed_then_answers_of_before_are_not_taken(house: House) -> None:
    house.built(BASE)
    assert house.prepare(BASE, refresh=True).plan.open_question is not None


def test_prepare_when_no_archive_answers_then_that_is_told(built: House) -> None:
    built.sources.fails = MirrorUnreachable("http://deb.example.org/debian", "no route")
    with pytest.raises(MirrorUnreachable):
        built.prepare(BASE)
    assert built.prepare(WEB).is_unchanged


def test_prepare_then_all_documents_are_kept_once(built: House) -> None:
    built.documents.documents[WEB] = a_recipe_text("web", "image:base", "[nginx, patches, nginx]")
    documents = built.prepare().documents
    assert [(d.kind, d.name) for d in documents] == [
        ("recipe", "web"),
        ("component", "nginx"),
        ("component", "patches"),
    ]
    assert documents[2].text == built.documents.documents[PATCHES]


GROUND = "@@ architecture amd64\nii |bash|1|amd64|bash|1\n@@ preferences\n@@ end\n"


@pytest.fixture
def asked(house: House) -> House:
    """Give a house whose base image was asked on Monday, and has what UpdateOS was asked of."""
    house.ground = GROUND
    house.packages = "ii |bash|1|amd64|bash|1\nii |nginx|1|amd64|nginx|1\n"
    house.archives.indexes = [an_index(bash="1", nginx="1")]
    house.built(BASE)
    house.sources.day = "tuesday"
    return house


def test_reason_when_archives_changed_and_have_nothing_for_it_then_there_is_none(
    asked: House,
) -> None:
    # What was installed after UpdateOS is not what that upgrades.
    asked.archives.indexes = [an_index(bash="1", nginx="2", new="7")]
    prepared = asked.prepare(BASE)
    assert prepared.is_unchanged
    assert prepared.indexes != asked.versions.versions[0].indexes
    assert asked.build(BASE).is_unchanged


def test_reason_when_archives_have_updates_then_names_them(asked: House) -> None:
    asked.archives.indexes += [an_index(SECURITY, bash="2")]
    (found,) = asked.prepare(BASE).reasons
    assert found.kind is ReasonKind.SECURITY_UPDATES
    assert found.text == "1 security update: bash 1 to 2"


def test_reason_when_archives_are_the_same_then_no_list_is_read(asked: House) -> None:
    asked.sources.day = "monday"
    asked.archives.asked = 0
    assert asked.prepare(BASE).is_unchanged
    assert asked.archives.asked == 0


def test_prepare_when_nothing_new_was_found_then_the_next_version_keeps_what_was_asked(
    asked: House,
) -> None:
    asked.documents.documents[BASE] += "artifacts: [raw]\n"
    asked.built(BASE)
    asked.sources.day = "wednesday"
    assert asked.prepare(BASE).is_unchanged
    asked.archives.indexes = [an_index(bash="3")]
    assert reason(asked, BASE) == "1 update: bash 1 to 3"


def test_prepare_when_a_list_of_packages_cannot_be_trusted_then_that_is_told(
    asked: House,
) -> None:
    asked.archives.fails = SignatureRefused("http://deb.example.org/debian", "BADSIG")
    with pytest.raises(SignatureRefused):
        asked.prepare(BASE)


def test_reason_when_a_pipeline_allows_less_age_then_that_counts(house: House) -> None:
    house.documents.documents[WEB] += "max_age: 7d\n"
    house.built()
    house.clock.advance(3 * 86400)
    assert house.prepare(max_age_seconds=4 * 86400).is_unchanged
    (found,) = house.prepare(max_age_seconds=2 * 86400).reasons
    assert found.kind is ReasonKind.MAX_AGE
    assert house.prepare(max_age_seconds=9 * 86400).plan.max_age_seconds == 7 * 86400
