"""Versions at an image service: one in memory, and the real Glance where it is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.web.glance_carrier import GlanceCarrier
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.target import GlancePlace, Target, TargetUnavailable
from imagebuilder.ports.targets import Placed, PlacingFailed, Shipment, TargetRefused
from tests.glances import CONSUMER, OWNER, POWERLESS, Glance, fake_glance, real_glance
from tests.listeners import free_port
from tests.shipments import a_shipment, the_placement, the_target, with_qcow2


@pytest.fixture(
    scope="module",
    params=["fake", pytest.param("real", marks=[pytest.mark.glance, pytest.mark.timeout(900)])],
)
def glance(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Glance]:
    if request.param == "fake":
        with fake_glance() as service:
            yield service
        return
    with real_glance(tmp_path_factory.mktemp("glance")) as service:
        yield service


@pytest.fixture
def carrier() -> GlanceCarrier:
    return GlanceCarrier(lambda reference: reference.partition(":")[2].encode())


@pytest.fixture
def shipment(request: pytest.FixtureRequest, tmp_path: Path) -> Shipment:
    """Give each test a version of its own, in a service that they share."""
    number = int(Digest.of_bytes(request.node.name.encode()).hex[:6], 16) + 1
    return with_qcow2(
        a_shipment(tmp_path, reference=f"web@1.2.0/{number}", formats=()), tmp_path, b"boot"
    )


def a_target(carrier: GlanceCarrier, glance: Glance, **more: Any) -> Target:
    values: dict[str, Any] = {"members": ("p2",), "token": f"env:{OWNER}"} | more
    return the_target(carrier, GlancePlace(endpoint=glance.url, **values))


def named(glance: Glance, shipment: Shipment) -> list[dict[str, Any]]:
    number = shipment.version.version
    name = f"web-{number.version}-{number.build}"
    return [image for image in glance.images() if image["name"] == name]


def test_place_then_the_owner_and_the_members_can_load_it_and_it_is_the_file(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target, moved = a_target(carrier, glance), list[int]()

    placed = carrier.place(target, shipment, moved.append)

    (artifact,) = shipment.version.artifacts
    (image,) = named(glance, shipment)
    assert placed.external_id == image["id"]
    assert (image["status"], image["disk_format"]) == ("active", "qcow2")
    assert image["imagebuilder_version"] == shipment.version.reference
    status, content = glance.ask(CONSUMER, "GET", f"images/{image['id']}/file")
    assert status == 200
    assert Digest.of_bytes(content) == artifact.digest
    assert sum(moved) == artifact.size_bytes
    assert not carrier.drifts(target, the_placement(target, shipment, placed))


def test_place_when_there_is_no_qcow2_file_then_the_raw_disk_is_brought(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment, tmp_path: Path
) -> None:
    raw = a_shipment(tmp_path, reference=shipment.version.reference, formats=(ArtifactFormat.VMDK,))

    placed = carrier.place(a_target(carrier, glance), raw, lambda _: None)

    (image,) = named(glance, shipment)
    assert image["disk_format"] == "raw"
    assert glance.ask(OWNER, "GET", f"images/{placed.external_id}/file")[1] == b"a disk"


def test_place_again_then_there_is_one_image_and_nothing_is_sent(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target, moved = a_target(carrier, glance), list[int]()
    first = carrier.place(target, shipment, lambda _: None)

    assert carrier.place(target, shipment, moved.append) == first
    assert moved == []
    assert len(named(glance, shipment)) == 1


def test_place_when_it_was_cut_off_before_its_upload_then_that_image_is_filled(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    begun = {
        "name": "begun",
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "shared",
        "imagebuilder_token": shipment.token,
    }
    assert glance.ask(OWNER, "POST", "images", begun)[0] == 201

    placed = carrier.place(a_target(carrier, glance), shipment, lambda _: None)

    (image,) = [i for i in glance.images() if i.get("imagebuilder_token") == shipment.token]
    assert (image["id"], image["status"]) == (placed.external_id, "active")


def test_place_then_tells_of_the_image_before_anybody_has_it(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    told, target = list[Placed](), a_target(carrier, glance)

    def cut(placed: Placed) -> None:
        told.append(placed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carrier.place(target, replace(shipment, on_made=cut), lambda _: None)

    (image,) = named(glance, shipment)
    assert glance.ask(CONSUMER, "GET", f"images/{image['id']}/file")[0] != 200
    assert told == [carrier.place(target, shipment, lambda _: None)]


def test_place_when_what_is_there_holds_something_else_then_says_so(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment, tmp_path: Path
) -> None:
    target = a_target(carrier, glance)
    carrier.place(target, shipment, lambda _: None)
    other = with_qcow2(shipment, tmp_path, b"another")

    with pytest.raises(PlacingFailed) as failed:
        carrier.place(target, other, lambda _: None)

    assert "sha512" in failed.value.context


def test_withdraw_then_nobody_can_load_it_and_delete_takes_it_away(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target = a_target(carrier, glance)
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))
    path = f"images/{placement.external_id}"

    carrier.withdraw(target, placement, delete=False)
    carrier.withdraw(target, placement, delete=False)

    assert named(glance, shipment) == []
    assert glance.ask(CONSUMER, "GET", path)[0] == 404
    drifts = {d.what: d.found for d in carrier.drifts(target, placement)}
    assert drifts == {"status": "deactivated", "os_hidden": "True", "share": "nothing"}

    carrier.withdraw(target, placement, delete=True)
    carrier.withdraw(target, placement, delete=True)

    assert glance.ask(OWNER, "GET", path)[0] == 404


def test_withdraw_when_the_role_may_not_deactivate_then_says_so_and_it_is_shared_no_more(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target = a_target(carrier, glance, token=f"env:{POWERLESS}")
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))

    with pytest.raises(TargetRefused) as refused:
        carrier.withdraw(target, placement, delete=False)

    assert "deactivate" in refused.value.hint
    assert glance.ask(CONSUMER, "GET", f"images/{placement.external_id}")[0] == 404


def test_drifts_when_somebody_renames_or_unshares_then_tell(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target = a_target(carrier, glance)
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))
    path = f"images/{placement.external_id}"
    glance.ask(OWNER, "PATCH", path, [{"op": "replace", "path": "/name", "value": "mine"}])
    glance.ask(OWNER, "DELETE", f"{path}/members/p2")

    drifts = [(d.what, d.found) for d in carrier.drifts(target, placement)]

    assert drifts == [("name", "mine"), ("share", "nothing")]


def test_hindrances_when_the_token_is_no_more_then_say_so_without_it(
    glance: Glance, carrier: GlanceCarrier, shipment: Shipment
) -> None:
    target = a_target(carrier, glance, token="env:outworn")

    (objection,) = carrier.hindrances(target, shipment.version)
    with pytest.raises(TargetRefused) as refused:
        carrier.place(target, shipment, lambda _: None)

    assert "401" in objection.reason
    assert "outworn" not in objection.reason + str(vars(refused.value))


def test_place_when_nobody_answers_then_is_unavailable(
    carrier: GlanceCarrier, shipment: Shipment
) -> None:
    silent = Glance(url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(TargetUnavailable):
        carrier.place(a_target(carrier, silent), shipment, lambda _: None)
