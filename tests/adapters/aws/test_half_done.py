"""What was cut off halfway, or looks like ours and is not: nothing stays shared, kept or taken."""

import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.calls import CallRefused
from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.aws.images.admission import Admission
from imagebuilder.adapters.aws.images.firmware import boot_mode, firmware_of
from imagebuilder.adapters.aws.images.keys import Keys
from imagebuilder.domain.target import Access, Delivery
from imagebuilder.ports.targets import Placed, TargetRefused
from tests.aws_double import Double
from tests.aws_double.refusals import Refusal
from tests.aws_double.serving import HOME, REGION
from tests.build import a_placement
from tests.clouds import AT_HOME, Route, a_disk, a_role_of, aws_places, calls_to

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
HOME_KEY = f"aws:{HOME}/{REGION}"
SHARE_KEY = f"aws:{OTHER}/{REGION}"
SHARED = {"delivery": Delivery.SHARE, "access": Access()}
DENIED = Refusal("UnauthorizedOperation", "You may not.", status=403)
CHANGES = ["ModifyImageAttribute", "ModifySnapshotAttribute"]


def a_route(double: Double, folder: Path, *accounts: str, **more: Any) -> Route:
    return Route(
        carrier=AwsCarrier(calls_to(double)),
        places=aws_places(*accounts, **more),
        disk=a_disk(folder / "raw", {0: b"boot"}),
        scratch=folder,
    )


def withdraw(route: Route, key: str = HOME_KEY, *, delete: bool = False) -> None:
    route.carrier.withdraw(route.target(key), route.placed[key], delete=delete)


def assert_nobody_has_leave(double: Double) -> None:
    assert {one for it in double.world.images.by_id.values() for one in it.permissions} == set()
    assert {one for it in double.world.snapshots.by_id.values() for one in it.shared} == set()


@pytest.mark.parametrize("change", CHANGES)
def test_withdraw_when_a_share_was_cut_off_then_nobody_keeps_the_snapshots(
    double: Double, tmp_path: Path, change: str
) -> None:
    route = a_route(double, tmp_path, OTHER, **SHARED)
    route.place(route.target(HOME_KEY))
    double.faults.refuse(change, DENIED)
    with pytest.raises(TargetRefused):
        route.place(route.target(SHARE_KEY))
    withdraw(route)
    assert_nobody_has_leave(double)


@pytest.mark.parametrize("change", CHANGES)
def test_withdraw_when_it_was_cut_off_itself_then_nobody_keeps_the_snapshots(
    double: Double, tmp_path: Path, change: str
) -> None:
    route = a_route(double, tmp_path, OTHER, **SHARED)
    route.place_all()
    double.faults.refuse(change, DENIED)
    with pytest.raises(TargetRefused):
        withdraw(route)
    withdraw(route)
    assert_nobody_has_leave(double)


@pytest.mark.parametrize("cut_off", ["ssm:PutParameter", "ssm:GetParameter"])
def test_place_when_a_pointer_is_refused_then_what_was_told_of_is_enough_to_withdraw_it(
    double: Double, tmp_path: Path, cut_off: str
) -> None:
    route = a_route(double, tmp_path, HOME, parameter="/golden/web", access=Access())
    target, told = route.target(HOME_KEY), list[Placed]()
    double.faults.refuse(cut_off.partition(":")[2], DENIED, times=2)
    with pytest.raises(TargetRefused, match=cut_off):
        route.carrier.place(
            target, replace(route.shipment(target), on_made=told.append), lambda _: None
        )
    (image,) = double.world.images.by_id.values()
    assert {placed.external_id for placed in told} == {image.id}
    assert all(placed.traits["tag:imagebuilder:version-id"] for placed in told)
    assert told[-1].traits["snapshot"] == image.snapshots[0]
    assert told[-1].traits["parameter"] == "/golden/web"

    placement = a_placement(
        route.version.id, target=HOME_KEY, external_id=image.id, traits=told[-1].traits
    )
    with nullcontext() if cut_off == "ssm:PutParameter" else pytest.raises(TargetRefused):
        route.carrier.withdraw(target, placement, delete=False)

    assert image.state == "disabled"


def test_place_when_it_is_cut_off_while_a_copy_is_pending_then_that_was_told_of(
    double: Double, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    route = a_route(double, tmp_path, OTHER)
    route.place(route.target(HOME_KEY))
    target, told = route.target(f"aws:{OTHER}/{REGION}"), list[Placed]()
    double.world.images.pending_looks = 3

    def cut(placed: Placed) -> None:
        told.append(placed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        route.carrier.place(target, replace(route.shipment(target), on_made=cut), lambda _: None)

    (copy,) = told
    assert double.world.images.by_id[copy.external_id].state == "pending"
    assert copy.traits["tag:imagebuilder:version-id"] == route.version.id


def test_withdraw_when_deleting_was_cut_off_then_the_snapshot_goes_with_the_next_try(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    route.place_all()
    double.faults.refuse("DeleteSnapshot", DENIED)
    with pytest.raises(TargetRefused, match="ec2:DeleteSnapshot"):
        withdraw(route, delete=True)
    withdraw(route, delete=True)
    withdraw(route, delete=True)
    assert double.world.snapshots.by_id == {}


def test_withdraw_when_the_snapshot_left_over_has_lost_our_tag_then_it_stays(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    snapshot = route.placed[HOME_KEY].traits["snapshot"]
    ec2 = double.client("ec2")
    ec2.deregister_image(ImageId=image)
    ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": "imagebuilder:version-id"}])
    withdraw(route, delete=True)
    assert list(double.world.snapshots.by_id) == [snapshot]


def test_withdraw_when_another_image_stands_on_the_snapshot_then_only_ours_is_gone(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    route.place_all()
    snapshot = route.placed[HOME_KEY].traits["snapshot"]
    theirs = double.client("ec2").register_image(
        Name="theirs",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]
    withdraw(route, delete=True)
    assert list(double.world.images.by_id) == [theirs]
    assert list(double.world.snapshots.by_id) == [snapshot]


def test_place_when_a_copy_by_hand_has_our_tags_then_it_is_not_taken_for_ours(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    ec2 = double.client("ec2")
    copy = ec2.copy_image(
        Name="a copy", SourceImageId=image, SourceRegion=REGION, CopyImageTags=True
    )["ImageId"]
    assert list(route.place_all().values()) == [image]
    ec2.deregister_image(ImageId=image)
    assert copy not in route.place_all().values()
    assert copy in double.world.images.by_id


def test_admit_when_one_account_is_refused_then_the_others_are_let_in(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    admission = Admission(calls_to(double))
    with pytest.raises(CallRefused):
        admission.admit(AT_HOME, image, "1")
    admission.admit(AT_HOME, image, OTHER)
    assert double.world.images.by_id[image].permissions == {("UserId", OTHER)}


def test_admit_when_an_account_is_refused_with_others_at_once_then_only_it_is(
    double: Double, tmp_path: Path
) -> None:
    route = a_route(double, tmp_path)
    (image,) = route.place_all().values()
    admission = Admission(calls_to(double))
    accounts = ["1", *(f"{number}" * 12 for number in range(2, 6))]
    hold = double.faults.hold("DescribeImages")
    with ThreadPoolExecutor(5) as pool:
        admitted = [pool.submit(admission.admit, AT_HOME, image, who) for who in accounts]
        double.faults.release(hold)
    assert [type(one.exception()) for one in admitted] == [CallRefused, *[type(None)] * 4]


def test_of_snapshots_when_there_are_none_then_aws_is_not_asked_for_all_that_it_has(
    double: Double,
) -> None:
    assert Keys(calls_to(double)).of_snapshots(AT_HOME, []) == ""
    assert double.log.count("DescribeSnapshots") == 0


@pytest.mark.parametrize("start", [1 << 50, 1 << 54, (1 << 64) - 1])
def test_firmware_of_when_the_table_is_said_to_be_far_away_then_none_is_found(
    tmp_path: Path, start: int
) -> None:
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", start, 128, 128)
    (tmp_path / "raw").write_bytes(bytes(512) + header.ljust(4096, b"\0"))
    assert boot_mode(firmware_of(tmp_path / "raw")) == "legacy-bios"
