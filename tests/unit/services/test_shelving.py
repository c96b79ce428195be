"""Versions put on shelves."""

import json
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any

import pytest

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import FolderPlace, S3Place, Target, TargetUnavailable
from imagebuilder.formats.simplestreams import INDEX_PATH, PRODUCTS_PATH
from imagebuilder.formats.sums import sums_bytes, sums_of
from imagebuilder.ports.targets import FormatUnavailable, TargetRefused
from imagebuilder.services.shelving import Shelving
from tests.build import SOME_DAY
from tests.fakes.shelves import FakeShelf
from tests.shipments import BUNDLE, a_shipment, the_placement, the_target

QCOW2 = "web/web_1.2.0-3.qcow2"
RAW = "web/web_1.2.0-3.raw"
BOTH = FolderPlace(path="/srv", formats=(ArtifactFormat.QCOW2, ArtifactFormat.RAW))


def _digest_of(file: PurePath) -> Digest:
    return Digest.of_bytes(Path(file).read_bytes())


@pytest.fixture
def shelf() -> FakeShelf:
    return FakeShelf()


@pytest.fixture
def shelving(shelf: FakeShelf) -> Shelving:
    return Shelving(lambda _: shelf, _digest_of)


def a_target(shelving: Shelving, place: FolderPlace | None = None) -> Target:
    return the_target(shelving, place or FolderPlace(path="/srv"))


def placed(shelving: Shelving, tmp_path: Path, **more: Any) -> Any:
    target, shipment = a_target(shelving), a_shipment(tmp_path, **more)
    return the_placement(target, shipment, shelving.place(target, shipment, lambda _: None))


def streamed(shelf: FakeShelf) -> dict[str, dict[str, Any]]:
    """Give the newest version's items of the one product, as a reader finds them."""
    (entry,) = json.loads(shelf.contents[INDEX_PATH])["index"].values()
    products = json.loads(shelf.contents[entry["path"]])["products"]
    (key,) = entry["products"]
    versions = products[key]["versions"]
    found: dict[str, dict[str, Any]] = versions[max(versions)]["items"]
    return found


@pytest.mark.parametrize(
    ("place", "key"),
    [
        (FolderPlace(path="/srv"), "folder:/srv"),
        (S3Place(bucket="b", prefix="/p/"), "s3:b/p"),
        (S3Place(bucket="b"), "s3:b"),
    ],
)
def test_targets_then_an_entry_is_one(place: Any, key: str, shelving: Shelving) -> None:
    assert the_target(shelving, place).key == key


def test_place_then_sums_bundle_and_index_tell_of_the_file(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    shipment, moved = a_shipment(tmp_path), list[int]()

    result = shelving.place(a_target(shelving), shipment, moved.append)

    (artifact,) = shipment.version.artifacts
    assert result.external_id == QCOW2
    assert sorted(shelf.contents) == sorted(
        [QCOW2, f"{QCOW2}.sigstore.jsonl", "web/SHA256SUMS", INDEX_PATH, PRODUCTS_PATH]
    )
    assert sums_of(shelf.contents["web/SHA256SUMS"]) == {
        "web_1.2.0-3.qcow2": artifact.digest,
        "web_1.2.0-3.qcow2.sigstore.jsonl": Digest.of_bytes(BUNDLE),
    }
    item = streamed(shelf)["disk-kvm.img"]
    assert (item["path"], item["sha256"]) == (QCOW2, artifact.digest.hex)
    assert item["size"] == artifact.size_bytes == sum(moved)


def test_place_when_raw_is_no_artifact_then_it_is_had_of_the_disk(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    result = shelving.place(a_target(shelving, BOTH), a_shipment(tmp_path), lambda _: None)

    assert shelf.contents[RAW] == b"a disk"
    assert result.traits[RAW] == str(Digest.of_bytes(b"a disk"))
    assert streamed(shelf).keys() == {"disk-kvm.img", "disk.raw"}
    assert streamed(shelf)["disk.raw"]["size"] == len(b"a disk")


def test_place_again_then_nothing_is_put_twice(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    first = placed(shelving, tmp_path)
    before = dict(shelf.contents)
    shelf.acts.clear()

    again = placed(shelving, tmp_path)

    assert again == first
    assert shelf.contents == before
    assert not [act for act in shelf.acts if act.startswith("puts")]


@pytest.mark.parametrize("cut", [QCOW2, "web/SHA256SUMS", PRODUCTS_PATH, INDEX_PATH])
def test_place_when_it_was_cut_off_then_the_next_one_ends_as_if_it_was_not(
    cut: str, shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    whole = FakeShelf()
    placed(Shelving(lambda _: whole, _digest_of), tmp_path)
    shelf.troubles[cut] = TargetUnavailable("fake", "to write", "cut off")
    with pytest.raises(TargetUnavailable):
        placed(shelving, tmp_path)

    placed(shelving, tmp_path)

    assert shelf.contents == whole.contents


def test_place_when_it_is_damaged_there_then_it_is_mended(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placement = placed(shelving, tmp_path)
    shelf.contents[QCOW2] = b"rot"

    assert [d.what for d in shelving.drifts(a_target(shelving), placement)] == [QCOW2]
    placed(shelving, tmp_path)

    assert not shelving.drifts(a_target(shelving), placement)


def test_place_when_another_ones_file_is_there_then_it_is_left_alone(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    shelf.contents[QCOW2] = b"theirs"

    with pytest.raises(TargetRefused) as refused:
        placed(shelving, tmp_path)

    assert QCOW2 in refused.value.message
    assert shelf.contents == {QCOW2: b"theirs"}


@pytest.mark.parametrize("path", ["web/SHA256SUMS", PRODUCTS_PATH, INDEX_PATH])
def test_place_when_a_text_is_broken_then_says_which_and_leaves_it(
    path: str, shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    shelf.contents[path] = b"<html>"

    with pytest.raises(TargetRefused) as refused:
        placed(shelving, tmp_path)

    assert path in refused.value.message
    assert shelf.contents[path] == b"<html>"


def test_place_when_a_format_was_not_built_then_is_refused(
    shelving: Shelving, tmp_path: Path
) -> None:
    target = a_target(shelving, FolderPlace(path="/srv", formats=(ArtifactFormat.VMDK,)))
    shipment = a_shipment(tmp_path)

    (objection,) = shelving.hindrances(target, shipment.version)
    with pytest.raises(FormatUnavailable):
        shelving.place(target, shipment, lambda _: None)

    assert "vmdk" in objection.reason


def test_place_of_a_second_version_then_both_are_told_of_and_the_newest_is_last(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placed(shelving, tmp_path, reference="web@1.2.0/9")
    later = SOME_DAY + timedelta(days=1)
    placed(shelving, tmp_path, reference="web@1.2.0/10", created_at=later, content=b"new")

    assert streamed(shelf)["disk-kvm.img"]["path"] == "web/web_1.2.0-10.qcow2"
    assert len(sums_of(shelf.contents["web/SHA256SUMS"])) == 4


def test_place_when_another_writer_is_at_it_then_the_index_tells_of_both(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    other = Shelving(lambda _: shelf, _digest_of)
    shelf.meanwhile[INDEX_PATH] = lambda: placed(other, tmp_path, reference="db@1.0.0/1")

    placed(shelving, tmp_path)

    (entry,) = json.loads(shelf.contents[INDEX_PATH])["index"].values()
    assert entry["products"] == ["db:amd64", "web:amd64"]


def test_place_when_another_index_is_there_then_it_stays(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    theirs = {"format": "index:1.0", "index": {"theirs": {"path": "streams/v1/theirs.json"}}}
    shelf.contents[INDEX_PATH] = json.dumps(theirs).encode()

    placement = placed(shelving, tmp_path)
    assert len(json.loads(shelf.contents[INDEX_PATH])["index"]) == 2
    shelving.withdraw(a_target(shelving), placement, delete=True)

    assert json.loads(shelf.contents[INDEX_PATH]) == theirs


def test_withdraw_then_it_is_told_of_no_more_before_it_is_gone(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placed(shelving, tmp_path, reference="web@1.2.0/2")
    before = dict(shelf.contents)
    placement = placed(shelving, tmp_path, created_at=SOME_DAY + timedelta(days=1))
    shelf.acts.clear()

    shelving.withdraw(a_target(shelving), placement, delete=False)
    acts = list(shelf.acts)
    shelving.withdraw(a_target(shelving), placement, delete=True)

    assert shelf.contents == before
    told = [acts.index(f"writes {path}") for path in (PRODUCTS_PATH, INDEX_PATH, "web/SHA256SUMS")]
    assert told == sorted(told)
    assert max(told) < acts.index(f"removes {QCOW2}")


def test_withdraw_when_it_was_damaged_then_it_is_taken_away_too(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placement = placed(shelving, tmp_path)
    shelf.contents[QCOW2] = b"rot"

    shelving.withdraw(a_target(shelving), placement, delete=True)

    assert shelf.contents == {}


def test_withdraw_when_something_else_lies_there_and_is_told_of_then_that_stays(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placement = placed(shelving, tmp_path)
    shelf.contents[QCOW2] = b"theirs"
    theirs = {PurePath(QCOW2).name: Digest.of_bytes(b"theirs")}
    shelf.contents["web/SHA256SUMS"] = sums_bytes(theirs)

    with pytest.raises(TargetRefused):
        shelving.withdraw(a_target(shelving), placement, delete=True)

    assert shelf.contents[QCOW2] == b"theirs"


def test_withdraw_when_it_was_only_told_of_then_is_refused(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    shipment, target = a_shipment(tmp_path), a_target(shelving)
    result = shelving.place(target, shipment, lambda _: None)
    placement = the_placement(target, shipment, type(result)(external_id=QCOW2))

    with pytest.raises(TargetRefused):
        shelving.withdraw(target, placement, delete=True)

    assert QCOW2 in shelf.contents


def test_drifts_when_files_and_lines_are_gone_then_tells_each(
    shelving: Shelving, shelf: FakeShelf, tmp_path: Path
) -> None:
    placement = placed(shelving, tmp_path, bundle=b"")
    assert not shelving.drifts(a_target(shelving), placement)
    for path in (QCOW2, "web/SHA256SUMS", PRODUCTS_PATH):
        del shelf.contents[path]

    drifts = shelving.drifts(a_target(shelving), placement)

    assert [(d.what, d.found) for d in drifts] == [
        (QCOW2, "nothing"),
        (f"{QCOW2} in SHA256SUMS", "nothing"),
        (f"{QCOW2} in {PRODUCTS_PATH}", "nothing"),
    ]


def test_place_and_withdraw_when_there_is_a_key_then_the_signature_is_of_the_sums_as_they_are(
    shelf: FakeShelf, tmp_path: Path
) -> None:
    signed, sums = "web/SHA256SUMS.gpg", "web/SHA256SUMS"
    shelving = Shelving(lambda _: shelf, _digest_of, lambda content: b"signed: " + content)
    first = placed(shelving, tmp_path)
    # Another writer adds a version just while the signature is written.
    shelf.meanwhile[signed] = lambda: placed(shelving, tmp_path, reference="web@1.2.0/5")
    second = placed(shelving, tmp_path, reference="web@1.2.0/4")
    assert len(sums_of(shelf.contents[sums])) == 6
    assert shelf.contents[signed] == b"signed: " + shelf.contents[sums]

    shelving.withdraw(a_target(shelving), second, delete=True)
    assert shelf.contents[signed] == b"signed: " + shelf.contents[sums]
    assert not shelving.drifts(a_target(shelving), first)


def test_withdraw_of_the_last_version_then_no_signature_is_left(
    shelf: FakeShelf, tmp_path: Path
) -> None:
    shelving = Shelving(lambda _: shelf, _digest_of, lambda content: b"signed: " + content)
    placement = placed(shelving, tmp_path)

    shelving.withdraw(a_target(shelving), placement, delete=True)

    assert shelf.contents == {}


def test_place_when_the_list_is_another_whenever_it_is_read_then_it_ends(
    tmp_path: Path,
) -> None:
    class Restless(FakeShelf):
        def read(self, path: str) -> bytes:
            found = super().read(path)
            self.contents[path] = found + b" " if found else found
            return found

    shelf = Restless()

    with pytest.raises(TargetUnavailable, match="SHA256SUMS"):
        placed(Shelving(lambda _: shelf, _digest_of), tmp_path)
