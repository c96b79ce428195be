"""Versions at a registry: Debian's own, which has no list of referrers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from imagebuilder.adapters.web.registry import CHUNK_BYTES
from imagebuilder.adapters.web.registry_carrier import RegistryCarrier
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import OciPlace, Target, TargetUnavailable
from imagebuilder.formats.oci import EMPTY, IMAGE_TYPE, referrers_tag
from imagebuilder.formats.sigstore import MEDIA_TYPE
from imagebuilder.ports.targets import FormatUnavailable, Shipment, TargetRefused
from tests.listeners import free_port
from tests.registries import PASSWORD, USER, RunningRegistry, is_installed, running_registry
from tests.shipments import a_shipment, the_placement, the_target

pytestmark = pytest.mark.skipif(not is_installed(), reason="there is no docker-registry")

LARGE = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"and more"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry") / "home") as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Give each test a repository of its own."""
    return f"golden/{Digest.of_bytes(request.node.name.encode()).short}"


@pytest.fixture
def carrier() -> RegistryCarrier:
    return RegistryCarrier(
        lambda reference: {"env:REGISTRY": f"{USER}:{PASSWORD}".encode()}[reference]
    )


def a_target(carrier: RegistryCarrier, registry: RunningRegistry, name: str, **more: Any) -> Target:
    values: dict[str, Any] = {"credentials": "env:REGISTRY", "is_plain_http": True} | more
    return the_target(carrier, OciPlace(repository=f"{registry.host}/{name}", **values))


def fetched(registry: RunningRegistry, name: str, what: str) -> tuple[bytes, str]:
    """Give content of a repository and its type, as any client asks for it."""
    headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
    headers["Accept"] = (
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    )
    answer = urllib3.request("GET", f"http://{registry.host}/v2/{name}/{what}", headers=headers)
    assert answer.status == 200, answer.data
    return answer.data, answer.headers.get("Content-Type", "")


class Moved(Exception):
    """Raised where a test cuts off what moves bytes."""


def test_place_then_a_client_finds_files_by_tag_and_bundles_by_the_fallback_tag(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target = a_target(carrier, registry, name)
    shipment = a_shipment(tmp_path, content=LARGE, bundle=b'{"one": 1}\n{"two": 2}\n')
    moved: list[int] = []

    placed = carrier.place(target, shipment, moved.append)

    content, _ = fetched(registry, name, "manifests/1.2.0-3")
    manifest = json.loads(content)
    (artifact,) = shipment.version.artifacts
    (layer,) = manifest["layers"]
    assert placed.external_id == f"{registry.host}/{name}@{Digest.of_bytes(content)}"
    assert manifest["artifactType"] == IMAGE_TYPE
    assert manifest["config"]["digest"] == str(Digest.of_bytes(EMPTY))
    assert layer["annotations"] == {"org.opencontainers.image.title": "web_1.2.0-3.qcow2"}
    assert layer["digest"] == str(artifact.digest)
    file, _ = fetched(registry, name, f"blobs/{layer['digest']}")
    assert Digest.of_bytes(file) == artifact.digest
    assert sum(moved) == artifact.size_bytes

    listed = json.loads(
        fetched(registry, name, f"manifests/{referrers_tag(Digest.of_bytes(content))}")[0]
    )
    found = []
    for entry in listed["manifests"]:
        assert entry["artifactType"] == MEDIA_TYPE
        referrer = json.loads(fetched(registry, name, f"manifests/{entry['digest']}")[0])
        assert referrer["subject"]["digest"] == str(Digest.of_bytes(content))
        found.append(fetched(registry, name, f"blobs/{referrer['layers'][0]['digest']}")[0])
    assert found == [b'{"one": 1}', b'{"two": 2}']
    assert not carrier.drifts(target, the_placement(target, shipment, placed))


def test_place_again_then_it_is_the_same_and_nothing_is_sent(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target, shipment = a_target(carrier, registry, name), a_shipment(tmp_path)
    first = carrier.place(target, shipment, lambda _: None)
    moved: list[int] = []

    assert carrier.place(target, shipment, moved.append) == first
    assert moved == []


def test_place_when_an_upload_was_cut_off_then_only_the_rest_is_sent(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target, shipment = a_target(carrier, registry, name), a_shipment(tmp_path, content=LARGE)

    def cut(_: int) -> None:
        raise Moved

    with pytest.raises(Moved):
        carrier.place(target, shipment, cut)
    moved: list[int] = []
    placed = carrier.place(target, shipment, moved.append)

    assert sum(moved) == shipment.version.artifacts[0].size_bytes - CHUNK_BYTES
    assert not carrier.drifts(target, the_placement(target, shipment, placed))
    assert list(Path(shipment.scratch).iterdir()) == []


def test_place_when_the_registry_forgot_an_upload_then_it_begins_anew(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target, shipment = a_target(carrier, registry, name), a_shipment(tmp_path)
    (artifact,) = shipment.version.artifacts
    Path(shipment.scratch).mkdir()
    journal = Path(shipment.scratch) / f"oci-{artifact.digest.hex}.upload"
    journal.write_text(f"http://{registry.host}/v2/{name}/blobs/uploads/gone?_state=x")

    carrier.place(target, shipment, lambda _: None)

    assert registry.head(f"/v2/{name}/blobs/{artifact.digest}") == 200


def test_place_when_raw_was_not_built_then_it_is_had_of_the_disk(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target = a_target(carrier, registry, name, formats=(ArtifactFormat.RAW,))

    carrier.place(target, a_shipment(tmp_path), lambda _: None)

    (layer,) = json.loads(fetched(registry, name, "manifests/1.2.0-3")[0])["layers"]
    assert fetched(registry, name, f"blobs/{layer['digest']}")[0] == b"a disk"


def test_place_when_the_tag_is_on_something_of_others_then_it_stays(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    theirs = a_shipment(tmp_path, reference="db@1.0.0/1")
    carrier.place(a_target(carrier, registry, name, tag="latest"), theirs, lambda _: None)
    before = fetched(registry, name, "manifests/latest")

    with pytest.raises(TargetRefused) as refused:
        carrier.place(
            a_target(carrier, registry, name, tag="latest"), a_shipment(tmp_path), lambda _: None
        )

    assert "latest" in refused.value.message
    assert fetched(registry, name, "manifests/latest") == before


def test_a_tag_that_moves_on_to_our_next_version_is_no_drift_and_outlives_the_older(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target = a_target(carrier, registry, name, tag="latest")
    old, new = (a_shipment(tmp_path, reference=f"web@1.2.0/{build}") for build in (3, 4))
    first = the_placement(target, old, carrier.place(target, old, lambda _: None))
    second = the_placement(target, new, carrier.place(target, new, lambda _: None))

    assert not carrier.drifts(target, first)
    carrier.withdraw(target, first, delete=True)

    assert not carrier.drifts(target, second)
    assert [d.what for d in carrier.drifts(target, first)] == ["manifest"]


def test_withdraw_then_nobody_can_pull_it_and_again_is_no_error(
    registry: RunningRegistry, carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    target, shipment = a_target(carrier, registry, name), a_shipment(tmp_path)
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))
    digest = placement.external_id.rpartition("@")[2]

    carrier.withdraw(target, placement, delete=False)
    carrier.withdraw(target, placement, delete=False)

    for what in (digest, "1.2.0-3", referrers_tag(Digest.parse(digest))):
        assert registry.head(f"/v2/{name}/manifests/{what}") == 404
    assert [d.found for d in carrier.drifts(target, placement)] == ["nothing"]


def test_withdraw_when_the_registry_deletes_nothing_then_says_what_to_allow(
    carrier: RegistryCarrier, name: str, tmp_path: Path
) -> None:
    with running_registry(tmp_path / "home", deletes=False) as lasting:
        target, shipment = a_target(carrier, lasting, name), a_shipment(tmp_path)
        placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))

        with pytest.raises(TargetRefused) as refused:
            carrier.withdraw(target, placement, delete=True)

    assert "storage.delete.enabled" in refused.value.hint


@pytest.mark.parametrize("credentials", ["", "env:WRONG"])
def test_hindrances_when_we_are_not_let_in_then_say_so_without_the_password(
    credentials: str, registry: RunningRegistry, name: str, tmp_path: Path
) -> None:
    carrier = RegistryCarrier(lambda _: b"eva:not-the-password")
    target = a_target(carrier, registry, name, credentials=credentials)
    shipment: Shipment = a_shipment(tmp_path)

    (objection,) = carrier.hindrances(target, shipment.version)
    with pytest.raises(TargetRefused) as refused:
        carrier.place(target, shipment, lambda _: None)

    assert "credentials" in objection.remedy
    assert "not-the-password" not in objection.reason + str(vars(refused.value))


def test_place_when_a_format_is_lacking_then_is_refused_before_anybody_is_asked(
    carrier: RegistryCarrier, tmp_path: Path
) -> None:
    silent = RunningRegistry(host=f"127.0.0.1:{free_port()}")
    target = a_target(carrier, silent, "web", formats=(ArtifactFormat.VHD,))

    with pytest.raises(FormatUnavailable):
        carrier.place(target, a_shipment(tmp_path), lambda _: None)


def test_place_when_nobody_answers_then_is_unavailable(
    carrier: RegistryCarrier, tmp_path: Path
) -> None:
    silent = RunningRegistry(host=f"127.0.0.1:{free_port()}")

    with pytest.raises(TargetUnavailable):
        carrier.place(a_target(carrier, silent, "web"), a_shipment(tmp_path), lambda _: None)
