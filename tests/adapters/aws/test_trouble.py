"""Whatever goes wrong on the way: all is there after a retry, nothing twice, nothing left over."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.accounts import Accounts, Entrance
from imagebuilder.adapters.aws.calls import Calls, Patience
from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.targets import PlacingFailed
from tests.aws_double import Double
from tests.aws_double.faults import Fault, Target
from tests.aws_double.serving import HOME, REGION
from tests.clouds import SECRETS, Route, a_disk, a_role_of, aws_places, calls_to, no_pause

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
FAR = "us-west-2"
DISK = {index: bytes([index]) for index in range(1, 20)}
FORKED = multiprocessing.get_context("fork")
"""The double stays in the parent, and what the child needs is imported there already."""


class _MortalCalls(Calls):
    """Calls of a process that is killed right behind one of them."""

    def __init__(self, accounts: Accounts, last: str) -> None:
        super().__init__(accounts, SystemClock(), pause=no_pause)
        self._last = last

    def call(
        self, entrance: Entrance, operation: str, *patience: Patience, **parameters: Any
    ) -> Any:
        answer = super().call(entrance, operation, *patience, **parameters)
        if operation == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def a_route(double: Double, folder: Path, calls: Calls | None = None) -> Route:
    return Route(
        carrier=AwsCarrier(calls or calls_to(double)),
        places=aws_places(HOME, OTHER, regions=(REGION, FAR), parameter="/golden/web",
                          launch_template="web", deprecate_after_seconds=86400),
        disk=a_disk(folder / "raw", DISK),
        scratch=folder,
    )  # fmt: skip


@pytest.fixture
def placed_once(double: Double) -> Double:
    """Give a double with all that a route needs."""
    a_role_of(double, OTHER)
    for account in (HOME, OTHER):
        for region in (REGION, FAR):
            double.client("ec2", account, region).create_launch_template(
                LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"}
            )
    return double


def check(double: Double, placed: Mapping[str, str]) -> None:
    """Hold what there is to what was placed: four images, a snapshot each, one template version."""
    images = double.world.images.by_id
    assert sorted(images) == sorted(placed.values())
    assert len(placed) == 4
    snapshots = [snapshot for image in images.values() for snapshot in image.snapshots]
    assert sorted(snapshots) == sorted(double.world.snapshots.by_id)
    for account in (HOME, OTHER):
        for region in (REGION, FAR):
            ec2 = double.client("ec2", account, region)
            versions = ec2.describe_launch_template_versions(LaunchTemplateName="web")
            assert len(versions["LaunchTemplateVersions"]) == 2


_OFTEN = ("ebs:PutSnapshotBlock", "ec2:RegisterImage", "ec2:CopyImage")
_SELDOM = (
    "ebs:StartSnapshot", "ebs:CompleteSnapshot", "ec2:ModifySnapshotAttribute",
    "ec2:ModifyImageAttribute", "ec2:EnableImageDeprecation", "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyLaunchTemplate", "ssm:PutParameter",
)  # fmt: skip


@pytest.mark.parametrize(
    "operation", [*_OFTEN, *(pytest.param(name, marks=pytest.mark.crash) for name in _SELDOM)]
)
def test_placed_when_a_process_was_killed_behind_a_call_then_the_next_one_goes_on(
    placed_once: Double, tmp_path: Path, operation: str
) -> None:
    double = placed_once

    def work() -> None:
        accounts = Accounts(SECRETS.__getitem__, endpoint=double.endpoint)
        a_route(double, tmp_path, _MortalCalls(accounts, operation)).place_all()

    process = FORKED.Process(target=work)
    process.start()
    process.join(50)
    assert process.exitcode == -signal.SIGKILL
    check(double, a_route(double, tmp_path).place_all())
    assert double.log.count("CopyImage", outcome="ok") <= 4


@pytest.mark.parametrize("seed", [1, 2])
def test_placed_when_a_tenth_of_all_calls_goes_wrong_then_all_is_there_once(
    placed_once: Double, tmp_path: Path, seed: int
) -> None:
    double = placed_once
    double.faults.throttle(seed=seed)
    double.faults.cut(percent=5)
    double.faults.server_errors(percent=5, seed=seed)
    placed = a_route(double, tmp_path).place_all()
    double.faults.clear()
    check(double, placed)


@pytest.mark.parametrize(
    "operation",
    ["StartSnapshot", "CompleteSnapshot", "RegisterImage", "CopyImage"],
)
def test_placed_when_answers_are_lost_then_all_is_there_once(
    placed_once: Double, tmp_path: Path, operation: str
) -> None:
    double = placed_once
    double.faults.cut_after(operation, times=2)
    check(double, a_route(double, tmp_path).place_all())


def test_placed_when_credentials_expire_on_the_way_then_they_are_renewed(
    placed_once: Double, tmp_path: Path
) -> None:
    double = placed_once
    double.faults.add(Fault(kind="expired", target=Target(account=OTHER), percent=20, times=20))
    check(double, a_route(double, tmp_path).place_all())


def test_placed_when_a_region_was_down_then_what_is_missing_comes_with_the_retry(
    placed_once: Double, tmp_path: Path
) -> None:
    double = placed_once
    down = double.faults.region_down(FAR)
    route = a_route(double, tmp_path)
    for target in route.targets:
        if target.where["region"] == FAR:
            with pytest.raises(TargetUnavailable, match=target.key):
                route.place(target)
        else:
            route.place(target)
    double.faults.remove(down)
    check(double, route.place_all())
    assert double.log.count("RegisterImage") == 1


def test_placed_when_images_are_seen_late_then_they_are_waited_for(
    placed_once: Double, tmp_path: Path
) -> None:
    double = placed_once
    double.faults.hidden_image_calls = 3
    check(double, a_route(double, tmp_path).place_all())


def test_placed_when_a_copy_fails_then_it_is_cleared_away_and_the_retry_makes_another(
    placed_once: Double, tmp_path: Path
) -> None:
    double = placed_once
    route = a_route(double, tmp_path)
    home, copy, *_ = route.targets
    route.place(home)
    double.world.images.pending_looks = 5
    failing = _FailingCopies(double)
    route.carrier = AwsCarrier(failing)
    with pytest.raises(PlacingFailed, match="ec2:CopyImage") as failed:
        route.place(copy)
    assert "no key" in failed.value.context
    assert len(double.world.images.by_id) == 1
    check(double, a_route(double, tmp_path).place_all())


class _FailingCopies(Calls):
    """Calls after which a copy is going to fail."""

    def __init__(self, double: Double) -> None:
        accounts = Accounts(SECRETS.__getitem__, endpoint=double.endpoint)
        super().__init__(accounts, SystemClock(), pause=no_pause)
        self._double = double

    def call(
        self, entrance: Entrance, operation: str, *patience: Patience, **parameters: Any
    ) -> Any:
        answer = super().call(entrance, operation, *patience, **parameters)
        if operation == "ec2:CopyImage":
            self._double.world.images.by_id[answer["ImageId"]].will_fail = "no key"
        return answer
