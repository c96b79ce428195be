"""WebDownload, S3Download and S3Upload, over a fake web and this machine's own shell."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imagebuilder.domain.component import ActionName, Network
from imagebuilder.domain.digest import Canonical
from imagebuilder.services.provisioning.downloading import LARGEST_COUNT
from imagebuilder.services.provisioning.transferring import Transferring, transfer_actions
from tests.actions import Bench
from tests.fakes.clock import FakeClock
from tests.fakes.transfers import FakeObjectStore, FakeWebFetcher

URL = "https://example.org/pkg/tool%20a.deb?x=1"
CONTENT = b"\x7fELF\0\xff\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass(slots=True)
class World:
    bench: Bench
    web: FakeWebFetcher
    objects: FakeObjectStore


def world_in(folder: Path, network: Network = Network.FULL) -> World:
    @contextmanager
    def scratch() -> Iterator[Path]:
        with TemporaryDirectory() as path:
            yield Path(path)

    web, objects = FakeWebFetcher({URL: CONTENT}), FakeObjectStore()
    means = Transferring(
        web=web, objects=objects, scratch=scratch, clock=FakeClock(), largest_bytes=1000
    )
    return World(Bench(folder, transfer_actions(means), network), web, objects)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path)


def item(**inputs: Canonical) -> Canonical:
    return inputs


@pytest.mark.parametrize("network", [Network.NONE, Network.PACKAGES])
@pytest.mark.parametrize(
    "action", [ActionName.WEB_DOWNLOAD, ActionName.S3_DOWNLOAD, ActionName.S3_UPLOAD]
)
def test_transfer_when_the_component_reaches_not_so_far_then_says_what_to_declare(
    tmp_path: Path, network: Network, action: ActionName
) -> None:
    world = world_in(tmp_path, network)
    said = world.bench.refused(action, item(source=URL, destination="d/"))
    assert said.endswith("Declare network: full in the component.\n")
    assert (world.web.asked, world.bench.machine.count) == ([], 0)


def test_web_download_when_the_destination_is_a_name_then_has_it(world: World) -> None:
    done = world.bench.done(ActionName.WEB_DOWNLOAD, item(source=URL, destination="new/deep/it's"))
    assert (world.bench.folder / "new/deep/it's").read_bytes() == CONTENT
    assert done.outputs == ({"destination": "./new/deep/it's"},)
    assert world.bench.lines == ["./new/deep/it's was downloaded"]


def test_web_download_when_the_destination_is_a_folder_then_keeps_the_name_of_the_address(
    world: World,
) -> None:
    items = [item(source=URL, destination=f"{n}/") for n in "ab"]
    done = world.bench.done(ActionName.WEB_DOWNLOAD, *items)
    assert [o["destination"] for o in done.outputs] == ["./a/tool a.deb", "./b/tool a.deb"]
    assert (world.bench.folder / "b/tool a.deb").read_bytes() == CONTENT


@pytest.mark.parametrize("end", ["", "/", "/..", "/%2e%2e", "/a/%2F", "/a%00b"])
def test_web_download_when_the_address_ends_with_no_name_then_fails_before_anything(
    world: World, end: str
) -> None:
    url = f"https://example.org{end}"
    said = world.bench.refused(ActionName.WEB_DOWNLOAD, item(source=url, destination="d/"))
    assert said == "The source ends with no name, so the destination needs one.\n"
    assert world.web.asked == []


def test_web_download_when_it_is_there_and_may_not_be_overwritten_then_fails(world: World) -> None:
    (world.bench.folder / "f").write_text("old")
    inputs = item(source=URL, destination="f", overwrite=False)
    assert world.bench.refused(ActionName.WEB_DOWNLOAD, inputs) == "./f is there already.\n"
    assert (world.bench.folder / "f").read_text() == "old"
    assert world.web.asked == []


@pytest.mark.parametrize("algorithm", ["SHA256", "sha-256"])
def test_web_download_when_the_file_has_that_checksum_then_is_not_fetched_again(
    world: World, algorithm: str
) -> None:
    (world.bench.folder / "f").write_bytes(CONTENT)
    inputs = item(source=URL, destination="f", checksum=DIGEST.upper(), algorithm=algorithm)
    done = world.bench.done(ActionName.WEB_DOWNLOAD, inputs)
    assert world.web.asked == []
    assert done.outputs == ({"destination": "./f"},)


def test_web_download_when_the_file_has_another_checksum_then_is_fetched_with_it(
    world: World,
) -> None:
    (world.bench.folder / "f").write_bytes(b"old")
    inputs = item(source=URL, destination="f", checksum=DIGEST, algorithm="SHA256")
    world.bench.done(ActionName.WEB_DOWNLOAD, inputs)
    assert (world.bench.folder / "f").read_bytes() == CONTENT
    (source,) = world.web.asked
    assert source.checksum is not None
    assert (source.checksum.algorithm, source.checksum.digest) == ("sha256", DIGEST)


@pytest.mark.parametrize(
    ("checksum", "algorithm", "reason"),
    [
        (DIGEST, None, "go together"),
        (None, "SHA256", "go together"),
        (DIGEST, "CRC32", "known are MD5"),
        (DIGEST, "MD5", "has 32 digits"),
        ("g" * 64, "SHA256", "has 64 digits"),
    ],
)
def test_web_download_when_the_checksum_is_none_then_fails_before_anything(
    world: World, checksum: str | None, algorithm: str | None, reason: str
) -> None:
    inputs = item(source=URL, destination="f", checksum=checksum, algorithm=algorithm)
    assert reason in world.bench.refused(ActionName.WEB_DOWNLOAD, inputs)
    assert world.web.asked == []


def test_web_download_when_it_cannot_be_had_then_says_why_and_leaves_what_was_there(
    world: World,
) -> None:
    (world.bench.folder / "f").write_text("old")
    inputs = item(source="https://example.org/none", destination="f")
    said = world.bench.refused(ActionName.WEB_DOWNLOAD, inputs)
    assert "https://example.org/none was not transferred. It answers 404." in said
    assert (world.bench.folder / "f").read_text() == "old"


def test_web_download_when_certificates_are_to_be_ignored_then_is_told_so(world: World) -> None:
    inputs = item(source=URL, destination="f", ignoreCertificateErrors=True)
    world.bench.done(ActionName.WEB_DOWNLOAD, inputs)
    assert world.web.asked[0].ignores_certificate


@pytest.mark.parametrize("action", [ActionName.WEB_DOWNLOAD, ActionName.S3_DOWNLOAD])
def test_download_when_the_destination_is_a_folder_without_a_slash_then_fails(
    world: World, action: ActionName
) -> None:
    (world.bench.folder / "d").mkdir()
    world.objects.objects["b", "k"] = b"x"
    source = URL if action is ActionName.WEB_DOWNLOAD else "s3://b/k"
    assert "end it with /" in world.bench.refused(action, item(source=source, destination="d"))


def test_s3_download_then_the_object_is_there(world: World) -> None:
    world.objects.objects["b", "p/k.bin"] = CONTENT
    world.bench.done(
        ActionName.S3_DOWNLOAD,
        item(source="s3://b/p/k.bin", destination=f"{world.bench.folder}/new"),
        item(source="s3://b/p/k.bin", destination=f"{world.bench.folder}/"),
    )
    for name in ("new", "k.bin"):
        assert (world.bench.folder / name).read_bytes() == CONTENT


@pytest.mark.parametrize("source", ["s3://b/p/*", "s3://b/p/"])
def test_s3_download_when_it_is_a_prefix_then_all_below_it_is_there(
    world: World, source: str
) -> None:
    for key in ("p/a", "p/sub/$(id) b", "p/sub/", "px", "q"):
        world.objects.objects["b", key] = key.encode()
    (world.bench.folder / "d").mkdir()
    world.bench.done(ActionName.S3_DOWNLOAD, item(source=source, destination="d"))
    found = {str(p.relative_to(world.bench.folder)) for p in world.bench.folder.rglob("*")}
    assert found == {"d", "d/a", "d/sub", "d/sub/$(id) b"}


@pytest.mark.parametrize(
    ("source", "destination"), [("s3://b/k", "none/f"), ("s3://b/k", "none/"), ("s3://b/*", "none")]
)
def test_s3_download_when_the_folder_is_missing_then_fails(
    world: World, source: str, destination: str
) -> None:
    world.objects.objects["b", "k"] = b"x"
    said = world.bench.refused(ActionName.S3_DOWNLOAD, item(source=source, destination=destination))
    assert said == "There is no folder ./none.\n"


def test_s3_download_when_there_are_too_many_objects_then_none_is_taken(world: World) -> None:
    for number in range(LARGEST_COUNT + 1):
        world.objects.objects["b", f"p/{number}"] = b""
    inputs = item(source="s3://b/p/*", destination=str(world.bench.folder))
    said = world.bench.refused(ActionName.S3_DOWNLOAD, inputs)
    assert said == "There are more than 1000 objects below p/; none was taken.\n"
    assert list(world.bench.folder.iterdir()) == []


@pytest.mark.parametrize("key", ["p/../../etc/passwd", "p//x", "p/./x", "p/a/../b"])
def test_s3_download_when_a_key_is_no_path_below_then_fails_before_anything(
    world: World, key: str
) -> None:
    world.objects.objects["b", key] = b"x"
    world.objects.objects["b", "p/a0"] = b"x"
    inputs = item(source="s3://b/p/*", destination=str(world.bench.folder))
    assert "is no path below a folder" in world.bench.refused(ActionName.S3_DOWNLOAD, inputs)
    assert list(world.bench.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("https://b/k", "is no object's address"),
        ("s3://b", "is no object's address"),
        ("s3://b/p*", "not all of its last part"),
        ("s3://b/*/k", "not all of its last part"),
        ("s3://b/none", "404"),
        ("s3://b/none/*", "There are no objects below none/"),
    ],
)
def test_s3_download_when_there_is_no_such_object_then_fails(
    world: World, source: str, reason: str
) -> None:
    inputs = item(source=source, destination=f"{world.bench.folder}/")
    assert reason in world.bench.refused(ActionName.S3_DOWNLOAD, inputs)


def test_s3_download_when_it_is_there_and_may_not_be_overwritten_then_fails(world: World) -> None:
    world.objects.objects["b", "k"] = b"new"
    (world.bench.folder / "k").write_text("old")
    inputs = item(source="s3://b/k", destination="k", overwrite=False)
    assert world.bench.refused(ActionName.S3_DOWNLOAD, inputs) == "./k is there already.\n"
    assert (world.bench.folder / "k").read_text() == "old"


def test_s3_when_the_owner_is_another_then_fails(world: World) -> None:
    world.objects.objects["b", "k"] = b"x"
    owned = item(source="s3://b/k", destination="k", expectedBucketOwner="999999999999")
    assert "403" in world.bench.refused(ActionName.S3_DOWNLOAD, owned)
    ours = item(source="s3://b/k", destination="k", expectedBucketOwner=world.objects.account)
    world.bench.done(ActionName.S3_DOWNLOAD, ours)


@pytest.mark.parametrize(
    ("destination", "key"), [("s3://b/p/new", "p/new"), ("s3://b/p/", "p/f"), ("s3://b/", "f")]
)
def test_s3_upload_then_the_object_is_there(world: World, destination: str, key: str) -> None:
    (world.bench.folder / "f").write_bytes(CONTENT)
    world.bench.done(ActionName.S3_UPLOAD, item(source="f", destination=destination))
    assert world.objects.objects == {("b", key): CONTENT}


@pytest.mark.parametrize("destination", ["s3://b/p", "s3://b/p/", "s3://b/p/*"])
@pytest.mark.parametrize("recurse", [None, "false", "true"])
def test_s3_upload_when_the_source_has_a_star_then_all_that_fit_are_there(
    world: World, destination: str, recurse: str | None
) -> None:
    (world.bench.folder / "d/sub").mkdir(parents=True)
    for name in ("d/a.log", "d/[b].log", "d/c.txt", "d/sub/d.log"):
        (world.bench.folder / name).write_text(name)
    inputs = item(source="d/*.log", destination=destination, recurse=recurse)
    world.bench.done(ActionName.S3_UPLOAD, inputs)
    expected = {("b", "p/a.log"), ("b", "p/[b].log")}
    assert set(world.objects.objects) == expected | (
        {("b", "p/sub/d.log")} if recurse == "true" else set()
    )


@pytest.mark.parametrize("source", ["none", "*.none", "d"])
def test_s3_upload_when_there_is_no_file_then_fails(world: World, source: str) -> None:
    (world.bench.folder / "d").mkdir()
    said = world.bench.refused(ActionName.S3_UPLOAD, item(source=source, destination="s3://b/"))
    assert said == f"There is no file ./{source}.\n"


def test_s3_upload_when_the_file_is_larger_than_may_be_then_fails(world: World) -> None:
    (world.bench.folder / "f").write_bytes(b"x" * 1001)
    said = world.bench.refused(ActionName.S3_UPLOAD, item(source="f", destination="s3://b/"))
    assert said == "./f is larger than the 1000 bytes allowed.\n"
    assert world.objects.objects == {}
