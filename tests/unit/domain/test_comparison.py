from dataclasses import replace

from imagebuilder.domain.comparison import VersionDiff, compared
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.file_changes import ChangeKind
from imagebuilder.domain.package import PackageChange
from imagebuilder.domain.recipe import ArtifactFormat
from tests.build import (
    a_digest,
    a_document,
    a_layer,
    a_package,
    a_parent,
    a_report,
    a_version,
    an_artifact,
)


def _compared(field: str, old: object, new: object) -> VersionDiff:
    return compared(
        a_version("web@1.0.0/1", **{field: old}), a_version("web@1.0.0/2", **{field: new})
    )


def test_compared_when_contents_are_the_same_then_is_empty() -> None:
    assert compared(a_version("web@1.0.0/1"), a_version("web@1.0.0/2")).is_empty


def test_components_when_one_line_changed_then_only_that_one_is_named() -> None:
    root, old = a_layer("root"), a_layer("nginx", key="k1", content="c1")
    new = replace(old, key=a_digest("k2"), content=a_digest("c2"), component_digest=a_digest("new"))

    diff = _compared("layers", (root, old), (root, new))

    (component,) = diff.components
    assert (component.name, component.kind) == ("nginx", ChangeKind.CHANGED)
    assert (component.old, component.new) == (old, new)
    assert [layer.name for layer in diff.layers] == ["nginx"]
    assert not diff.is_empty


def test_components_when_parameters_changed_then_component_is_named() -> None:
    old = a_layer(parameters={"workers": "1"})

    diff = _compared("layers", (old,), (replace(old, parameters={"workers": "2"}),))

    assert [change.name for change in diff.components] == ["nginx"]
    assert diff.layers == ()


def test_layers_when_rebuilt_on_another_parent_then_layer_but_not_component_changed() -> None:
    diff = _compared("layers", (a_layer(content="c1"),), (a_layer(content="c2"),))

    assert diff.components == ()
    assert [layer.name for layer in diff.layers] == ["nginx"]


def test_layers_when_it_is_no_component_then_is_not_among_components() -> None:
    plain = replace(a_layer("parent"), component_digest=None, component_version="")

    diff = _compared("layers", (), (plain,))

    assert diff.components == ()
    assert [(layer.name, layer.kind) for layer in diff.layers] == [("parent", ChangeKind.ADDED)]


def test_layers_when_a_component_occurs_twice_then_each_is_told_apart() -> None:
    once, again = a_layer("nginx", content="c1"), a_layer("nginx", content="c2")

    diff = _compared("layers", (once, again), (once, replace(again, content=a_digest("c3"))))

    assert [change.name for change in diff.layers] == ["nginx #2"]


def test_layers_when_added_and_removed_then_new_order_first_and_removed_last() -> None:
    diff = _compared(
        "layers", (a_layer("a"), a_layer("b")), (a_layer("d"), a_layer("c"), a_layer("b"))
    )

    assert [(change.name, change.kind.value) for change in diff.layers] == [
        ("d", "added"),
        ("c", "added"),
        ("a", "removed"),
    ]


def test_documents_when_text_changed_then_both_texts_are_at_hand() -> None:
    diff = _compared("documents", (a_document(text="a: 1"),), (a_document(text="a: 2"),))

    (change,) = diff.documents
    assert change.name == "recipe debian-web"
    assert change.old is not None
    assert change.new is not None
    assert (change.old.text, change.new.text) == ("a: 1", "a: 2")


def test_packages_when_moved_then_are_named_with_both_versions() -> None:
    diff = _compared("packages", (a_package("nginx", "1"),), (a_package("nginx", "2"),))

    assert diff.packages == (
        PackageChange(name="nginx", architecture="amd64", old_version="1", new_version="2"),
    )


def test_tests_when_only_their_duration_changed_then_are_not_named() -> None:
    report = a_report(test_page=Outcome.PASSED)
    slower = replace(report, results=(replace(report.results[0], seconds=9.0),), seconds=9.0)

    assert _compared("reports", (report,), (slower,)).is_empty


def test_tests_when_outcome_or_stage_changed_then_are_named_with_their_stage() -> None:
    old = (a_report(Stage.OFFLINE, test_a=Outcome.PASSED, test_b=Outcome.PASSED),)
    new = (
        a_report(Stage.OFFLINE, test_a=Outcome.SKIPPED),
        a_report(Stage.BOOTED, test_b=Outcome.PASSED),
    )

    diff = _compared("reports", old, new)

    assert [(change.name, change.kind.value) for change in diff.tests] == [
        ("offline test_a", "changed"),
        ("booted test_b", "added"),
        ("offline test_b", "removed"),
    ]


def test_artifacts_when_size_changed_then_both_sizes_are_at_hand() -> None:
    old = an_artifact(ArtifactFormat.QCOW2, seed="1", size_bytes=10)
    new = an_artifact(ArtifactFormat.QCOW2, seed="2", size_bytes=20)

    (change,) = _compared("artifacts", (old,), (new,)).artifacts

    assert (change.name, change.old, change.new) == ("qcow2", old, new)


def test_parent_when_moved_then_both_edges_are_at_hand() -> None:
    old, new = a_parent("version-1"), a_parent("version-2")

    diff = _compared("parent", old, new)

    assert diff.parent is not None
    assert (diff.parent.old, diff.parent.new) == (old, new)
    assert not diff.is_empty


def test_indexes_when_one_moved_then_its_address_is_named() -> None:
    diff = _compared("indexes", {"a": a_digest("1"), "b": a_digest("1")}, {"a": a_digest("2")})

    assert [(change.name, change.kind.value) for change in diff.indexes] == [
        ("a", "changed"),
        ("b", "removed"),
    ]
