"""Image files fetched from a real registry."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from imagebuilder.adapters.web.registry_carrier import RegistryCarrier
from imagebuilder.adapters.web.registry_images import RegistryImages
from imagebuilder.domain.digest import DigestMismatch
from imagebuilder.domain.target import OciPlace
from imagebuilder.ports.foreign import RegistryImageRefused, RegistryReference
from tests.registries import PASSWORD, USER, RunningRegistry, is_installed, running_registry
from tests.shipments import a_shipment, the_target

pytestmark = pytest.mark.skipif(not is_installed(), reason="there is no docker-registry")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "home"


@pytest.fixture(scope="module")
def registry(home: Path) -> Iterator[RunningRegistry]:
    with running_registry(home) as running:
        yield running


def secret_of(reference: str) -> bytes:
    return {"env:REGISTRY": f"{USER}:{PASSWORD}".encode()}[reference]


@pytest.fixture
def images(tmp_path: Path) -> RegistryImages:
    @contextmanager
    def scratch() -> Iterator[Path]:
        folder = tmp_path / "fetching"
        folder.mkdir()
        yield folder
        (folder / "image").unlink(missing_ok=True)
        folder.rmdir()

    return RegistryImages(secret_of, scratch)


def asked(registry: RunningRegistry, what: str) -> RegistryReference:
    text = f"{registry.host}/{what}"
    return RegistryReference(text=text, credentials="env:REGISTRY", is_plain_http=True)


def push(registry: RunningRegistry, name: str, *layers: bytes) -> None:
    """Keep an image of a container, as any builder of them does."""
    headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
    base = f"http://{registry.host}/v2/{name}"
    told: list[dict[str, Any]] = []
    for number, content in enumerate((b"{}", *layers)):
        kind = "config.v1+json" if number == 0 else "layer.v1.tar"
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = urllib3.request("POST", f"{base}/blobs/uploads/", headers=headers)
        place = f"{begun.headers['Location']}&digest={digest}"
        assert urllib3.request("PUT", place, body=content, headers=headers).status == 201
        media_type = f"application/vnd.oci.image.{kind}"
        told.append({"mediaType": media_type, "digest": digest, "size": len(content)})
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": told[0], "layers": told[1:]}
    answer = urllib3.request(
        "PUT",
        f"{base}/manifests/latest",
        body=json.dumps(manifest).encode(),
        headers={**headers, "Content-Type": media_type},
    )
    assert answer.status == 201, answer.data


def test_fetch_of_what_we_brought_then_it_is_the_file_under_its_digest(
    registry: RunningRegistry, images: RegistryImages, tmp_path: Path
) -> None:
    carrier = RegistryCarrier(secret_of)
    place = OciPlace(
        repository=f"{registry.host}/ours", credentials="env:REGISTRY", is_plain_http=True
    )
    shipment = a_shipment(tmp_path)
    placed = carrier.place(the_target(carrier, place), shipment, lambda _: None)

    with images.fetched(asked(registry, "ours:1.2.0-3"), lambda _: None) as found:
        content = Path(found.file).read_bytes()
    digest = placed.external_id.partition("@")[2]
    with images.fetched(asked(registry, f"ours@{digest}"), lambda _: None) as again:
        assert Path(again.file).read_bytes() == content

    assert found.source == again.source == f"oci:{placed.external_id}"
    assert content == Path(shipment.file(shipment.version.artifacts[0])).read_bytes()


def test_fetch_of_a_container_of_one_layer_then_it_is_that_layer(
    registry: RunningRegistry, images: RegistryImages
) -> None:
    push(registry, "single", b"a tar file")

    with images.fetched(asked(registry, "single:latest"), lambda _: None) as found:
        assert Path(found.file).read_bytes() == b"a tar file"


def test_fetch_of_a_container_of_several_layers_then_is_refused(
    registry: RunningRegistry, images: RegistryImages
) -> None:
    push(registry, "several", b"one", b"two")

    with (
        pytest.raises(RegistryImageRefused) as refused,
        images.fetched(asked(registry, "several:latest"), lambda _: None),
    ):
        pass

    assert "several layers" in refused.value.context


def test_fetch_when_the_registry_gives_other_bytes_then_they_are_not_taken(
    registry: RunningRegistry, images: RegistryImages, home: Path
) -> None:
    content = b"what was pushed"
    push(registry, "damaged", content)
    hex_ = hashlib.sha256(content).hexdigest()
    (kept,) = home.glob(f"blobs/docker/registry/v2/blobs/sha256/{hex_[:2]}/{hex_}/data")
    kept.write_bytes(b"what was pushed?")

    with (
        pytest.raises(DigestMismatch),
        images.fetched(asked(registry, "damaged:latest"), lambda _: None),
    ):
        pass


@pytest.mark.parametrize("text", ["none:latest", "ours", "ours@sha256:12", "a b:c"])
def test_fetch_of_what_is_not_there_or_no_reference_then_says_how_to_write_one(
    text: str, registry: RunningRegistry, images: RegistryImages
) -> None:
    with (
        pytest.raises(RegistryImageRefused) as refused,
        images.fetched(asked(registry, text), lambda _: None),
    ):
        pass

    assert "host/name:tag" in refused.value.hint
