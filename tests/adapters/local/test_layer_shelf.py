"""Layers leave a real store's folder so that nothing points to what is gone."""

from pathlib import Path

import pytest

from imagebuilder.adapters.local import manifest
from imagebuilder.adapters.local.layer_shelf import FileLayerShelf
from imagebuilder.adapters.local.layers import FileLayerStore
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.layer import Layer
from imagebuilder.ports.building import LayerMissing
from tests.build import SOME_DAY, a_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "layers"


def kept(folder: Path, text: str, *, key: str = "", evidence: Digest | None = None) -> Layer:
    """Keep a layer with one file, found by its key."""
    store = FileLayerStore(folder, "boot")
    tree = folder.parent / f"tree-{text}"
    tree.mkdir()
    (tree / "file").write_text(text)
    scanned = manifest.scan(tree)
    layer = Layer(
        key=a_digest(key or text),
        content=Digest.of_bytes(manifest.written(scanned)),
        parent_content=None,
        name=text,
        created_at=SOME_DAY,
        size_bytes=len(text),
        evidence={"listing": evidence} if evidence else {},
    )
    store.adopt(tree, layer, scanned)
    store.publish(layer)
    store.settle()
    return layer


def test_stored_tells_each_layer_and_the_blobs_that_speak_of_it(folder: Path) -> None:
    layer = kept(folder, "one", evidence=a_digest("listing"))

    (found,) = FileLayerShelf(folder).stored()

    assert (found.content, found.name, found.size_bytes) == (layer.content, "one", 3)
    assert found.blobs == {a_digest("listing")}


def test_remove_takes_tree_and_key_and_leaves_what_is_written_of_the_files(folder: Path) -> None:
    gone, stays = kept(folder, "gone"), kept(folder, "stays")

    size_bytes = FileLayerShelf(folder).remove({gone.content})

    store = FileLayerStore(folder, "boot")
    assert size_bytes == len("gone")
    assert store.find(gone.key, ()).reason == "never built"
    assert store.find(stays.key, ()).layer == stays
    assert "/file" in store.tree([gone.content])
    with pytest.raises(LayerMissing):
        store.get(gone.content)


def test_remove_takes_every_key_that_leads_to_the_content(folder: Path) -> None:
    layer = kept(folder, "same")
    other = Layer(
        key=a_digest("other key"),
        content=layer.content,
        parent_content=None,
        name="same",
        created_at=SOME_DAY,
        size_bytes=4,
    )
    store = FileLayerStore(folder, "boot")
    store.publish(other)
    store.settle()

    FileLayerShelf(folder).remove({layer.content})

    assert list((folder / "keys").iterdir()) == []


@pytest.mark.parametrize("part", ["keys", "record", "tree"])
def test_remove_when_it_was_ended_in_the_middle_is_finished_by_the_next(
    folder: Path, part: str
) -> None:
    layer = kept(folder, "gone")
    parts = {
        "keys": folder / "keys" / layer.key.hex,
        "record": folder / "manifests" / f"{layer.content.hex}.layer",
    }
    for name, path in parts.items():
        path.unlink()
        if name == part:
            break

    FileLayerShelf(folder).remove({layer.content})

    store = FileLayerStore(folder, "boot")
    assert not store.has(layer.content)
    assert store.find(layer.key, ()).layer is None
    assert FileLayerShelf(folder).stored() == []


def test_layer_when_made_again_after_it_was_removed_is_found(folder: Path) -> None:
    layer = kept(folder, "back")
    FileLayerShelf(folder).remove({layer.content})

    again = kept(folder, "back") if not (folder.parent / "tree-back").exists() else layer

    assert FileLayerStore(folder, "boot").find(again.key, ()).layer == again
