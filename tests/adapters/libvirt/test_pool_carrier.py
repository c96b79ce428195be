"""Versions in a storage pool of a real libvirt daemon."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.libvirt.pool_carrier import PoolCarrier
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.target import LibvirtPlace, Target, TargetUnavailable
from imagebuilder.ports.targets import Shipment, TargetRefused
from tests.libvirts import RunningLibvirt, is_installed, running_libvirt
from tests.shipments import a_shipment, the_placement, the_target, with_qcow2

pytestmark = [
    pytest.mark.skipif(not is_installed(), reason="there is no libvirtd, or no virsh"),
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="there is no qemu-img"),
]

NAME = "web-1.2.0-3"


@pytest.fixture(scope="module")
def libvirt() -> Iterator[RunningLibvirt]:
    with running_libvirt() as running:
        yield running


@pytest.fixture
def pool(request: pytest.FixtureRequest, libvirt: RunningLibvirt) -> Path:
    """Give each test a pool of its own."""
    return libvirt.made_pool(Digest.of_bytes(request.node.name.encode()).short)


@pytest.fixture
def carrier() -> PoolCarrier:
    return PoolCarrier(SystemCommandRunner(SystemClock()))


@pytest.fixture
def target(carrier: PoolCarrier, libvirt: RunningLibvirt, pool: Path) -> Target:
    return the_target(carrier, LibvirtPlace(uri=libvirt.uri, pool=pool.name))


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    """Give a version whose only artifact is a real qcow2 file."""
    return with_qcow2(a_shipment(tmp_path, formats=()), tmp_path, b"boot")


def test_place_then_the_pool_has_a_qcow2_volume_of_the_same_bytes(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    moved: list[int] = []

    placed = carrier.place(target, shipment, moved.append)

    (artifact,) = shipment.version.artifacts
    assert placed.external_id == NAME
    assert Digest.of_bytes((pool / NAME).read_bytes()) == artifact.digest
    assert "<format type='qcow2'/>" in libvirt.virsh("vol-dumpxml", NAME, "--pool", pool.name)
    assert sum(moved) == artifact.size_bytes
    assert not carrier.drifts(target, the_placement(target, shipment, placed))
    assert list(Path(shipment.scratch).iterdir()) == []


def test_place_again_then_nothing_is_sent(
    carrier: PoolCarrier, target: Target, shipment: Shipment
) -> None:
    first = carrier.place(target, shipment, lambda _: None)
    moved: list[int] = []

    assert carrier.place(target, shipment, moved.append) == first
    assert moved == []


def test_place_when_it_was_cut_off_then_what_was_half_filled_is_replaced(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path
) -> None:
    carrier.place(target, shipment, lambda _: None)
    whole = (pool / NAME).read_bytes()
    (pool / NAME).write_bytes(whole[:1000])
    mark = Path(shipment.scratch) / f"libvirt-{Digest.of_bytes(NAME.encode()).short}"
    mark.touch()

    carrier.place(target, shipment, lambda _: None)

    assert (pool / NAME).read_bytes() == whole
    assert not mark.exists()


def test_place_when_another_ones_volume_has_the_name_then_it_stays(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    libvirt.virsh("vol-create-as", pool.name, NAME, "4096B", "--format", "raw")

    with pytest.raises(TargetRefused):
        carrier.place(target, shipment, lambda _: None)

    assert (pool / NAME).read_bytes() == bytes(4096)


def test_drifts_when_a_machine_wrote_to_it_then_tells_and_withdrawing_leaves_it(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))
    with (pool / NAME).open("ab") as volume:
        volume.write(b"somebody's work")
    libvirt.virsh("pool-refresh", pool.name)

    drifts = carrier.drifts(target, placement)
    with pytest.raises(TargetRefused):
        carrier.withdraw(target, placement, delete=True)

    assert {d.what for d in drifts} == {
        f"changed-at of volume {NAME}",
        f"size-bytes of volume {NAME}",
    }
    assert (pool / NAME).exists()


def test_withdraw_then_it_is_gone_and_again_is_no_error(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path
) -> None:
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))

    carrier.withdraw(target, placement, delete=False)
    carrier.withdraw(target, placement, delete=False)

    assert not (pool / NAME).exists()
    assert [d.found for d in carrier.drifts(target, placement)] == ["nothing"]


def test_usages_then_tell_overlays_and_their_machines_and_nothing_is_deleted(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    placement = the_placement(target, shipment, carrier.place(target, shipment, lambda _: None))
    upon = ("--backing-vol", NAME, "--backing-vol-format", "qcow2", "--format", "qcow2")
    libvirt.virsh("vol-create-as", pool.name, "overlay", "8M", *upon)
    machine = pool.parent / f"{pool.name}.xml"
    disk = (
        f"<disk type='file'><source file='{pool}/overlay'/><target dev='vda' bus='virtio'/></disk>"
    )
    machine.write_text(
        f"<domain type='qemu'><name>{pool.name}</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64'>hvm</type></os><devices>{disk}</devices></domain>"
    )
    libvirt.virsh("define", str(machine))

    used = [usage.what for usage in carrier.usages(target, placement)]
    with pytest.raises(TargetRefused) as refused:
        carrier.withdraw(target, placement, delete=True)

    assert used == [f"machine {pool.name}", "volume overlay, which is backed by it"]
    assert pool.name in refused.value.context
    assert (pool / NAME).exists()


def test_hindrances_when_the_pool_is_not_there_or_not_active_then_say_so(
    carrier: PoolCarrier, target: Target, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    assert not carrier.hindrances(target, shipment.version)
    libvirt.virsh("pool-destroy", pool.name)
    other = the_target(carrier, LibvirtPlace(uri=libvirt.uri, pool="none"))

    (inactive,) = carrier.hindrances(target, shipment.version)
    (absent,) = carrier.hindrances(other, shipment.version)

    assert "not active" in inactive.reason
    assert "no storage pool with matching name 'none'" in absent.reason


def test_place_when_no_daemon_answers_then_is_unavailable(
    carrier: PoolCarrier, shipment: Shipment, tmp_path: Path
) -> None:
    uri = f"qemu+unix:///session?socket={tmp_path}/none"

    with pytest.raises(TargetUnavailable):
        carrier.place(
            the_target(carrier, LibvirtPlace(uri=uri, pool="p")), shipment, lambda _: None
        )


def test_a_volume_whose_name_begins_with_dashes_is_no_option_and_is_placed_and_withdrawn(
    carrier: PoolCarrier, shipment: Shipment, pool: Path, libvirt: RunningLibvirt
) -> None:
    place = LibvirtPlace(uri=libvirt.uri, pool=pool.name, volume="--help")
    target = the_target(carrier, place)

    placed = carrier.place(target, shipment, lambda _: None)
    was_there = (pool / "--help").exists()
    carrier.withdraw(target, the_placement(target, shipment, placed), delete=True)

    assert was_there
    assert not (pool / "--help").exists()
