"""Versions are taken from their targets; what could not be is overdue until it is."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.audit import Act, AuditAction, AuditQuery
from imagebuilder.domain.distribution import (
    DeliveryState,
    DistributionIncomplete,
    Failure,
    PlacementsInUse,
    WithdrawalIncomplete,
)
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.target import TargetUnavailable, TargetUnknown
from imagebuilder.ports.targets import Drift, PlacingFailed, Usage
from imagebuilder.services.distributing.inspecting import Inspecting
from imagebuilder.services.distributing.withdrawing import Withdrawing
from tests.build import SOME_DAY, a_parent, a_placement, a_revocation
from tests.carried import Port

TWO = {"fake:one": None, "fake:two": None}
LENT = {"fake:home": None, "fake:copy": "fake:home", "fake:b": "fake:home"}
DONE, WITHDRAWN = DeliveryState.DONE, DeliveryState.WITHDRAWN


@pytest.fixture
def port(tmp_path: Path) -> Port:
    port = Port(tmp_path)
    port.carrier.regions = TWO
    return port


@pytest.fixture
def version(port: Port) -> ImageVersion:
    """Give a version that is at both targets."""
    version = port.record()
    port.distribute()
    return version


def out_of_reach(port: Port, target: str) -> None:
    port.carrier.troubles = {target: [TargetUnavailable(target, "DisableImage", "It is down.")]}


def test_withdraw_then_nothing_stands_and_all_is_on_record(
    port: Port, version: ImageVersion
) -> None:
    withdrawing = Withdrawing(port.desk)

    gone = withdrawing.withdraw(withdrawing.reach("web"), delete=False, why="old")

    assert port.carrier.held == {}
    assert port.carrier.deleted == []
    assert port.standing(version) == []
    assert [(p.target, p.is_deleted) for p in gone] == [("fake:one", False), ("fake:two", False)]
    assert port.states() == {"fake:one": WITHDRAWN, "fake:two": WITHDRAWN}
    entries = port.audit.entries(AuditQuery(action=AuditAction.PLACEMENT_WITHDRAWN))
    assert [(entry.act.actor, entry.act.why) for entry in entries] == [("ann", "old")] * 2


@pytest.mark.parametrize("cut_off", [PlacingFailed("fake:one", "Put", "No."), KeyboardInterrupt()])
def test_overdue_when_it_was_cut_off_half_done_then_it_is_withdrawn_like_any(
    port: Port, cut_off: BaseException
) -> None:
    port.carrier.regions = {"fake:one": None}
    version = port.record()
    port.carrier.late = {"fake:one": [cut_off]}
    with pytest.raises((DistributionIncomplete, KeyboardInterrupt)):
        port.distribute()
    port.standings.revoke(a_revocation(version.id))
    withdrawing = Withdrawing(port.desk)

    withdrawing.catch_up(withdrawing.overdue())

    assert port.carrier.held == {}
    assert port.standing(version) == []
    assert port.states() == {"fake:one": WITHDRAWN}
    assert withdrawing.overdue() == []


def test_withdraw_from_one_target_then_the_other_keeps_it(
    port: Port, version: ImageVersion
) -> None:
    withdrawing = Withdrawing(port.desk)

    withdrawing.withdraw(withdrawing.reach("web", ["*:two"]), delete=True)

    assert port.carrier.deleted == ["fake:two"]
    assert [p.target for p in port.standing(version)] == ["fake:one"]
    assert port.retry()[0].wanted == frozenset()


def test_distribute_when_it_was_withdrawn_then_it_comes_back_under_another_token(
    port: Port, version: ImageVersion
) -> None:
    before = {p.external_id for p in port.standing(version)}
    withdrawing = Withdrawing(port.desk)
    withdrawing.withdraw(withdrawing.reach("web"), delete=True)

    port.distribute()

    standing = port.standing(version)
    assert len(standing) == 2
    assert before.isdisjoint(p.external_id for p in standing)


def test_distribute_when_somebody_said_it_is_gone_then_it_comes_back_under_another_token(
    port: Port, version: ImageVersion
) -> None:
    old = port.standing(version)[0]
    port.placements.change(replace(old, withdrawn=Act(actor="bob", at=SOME_DAY)))
    aims = Inspecting(port.desk).aims("web")
    assert [aim.step.state for aim in aims] == [WITHDRAWN, DONE]
    assert port.retry()[0].wanted == frozenset()

    port.distribute()

    (new, *_) = [p for p in port.standing(version) if p.target == old.target]
    assert new.external_id != old.external_id


def test_reach_then_tells_uses_launches_descendants_and_what_we_were_only_told_of(
    port: Port, version: ImageVersion
) -> None:
    child = port.record("app@1.0.0/1", parent=a_parent(version.id))
    below = a_placement(child.id, target="elsewhere", external_id="below")
    told = a_placement(version.id, target="elsewhere", external_id="told")
    port.placements.add(below)
    port.placements.add(told)
    port.carrier.used = {"fake:two": Usage(what="instance i-1", since=SOME_DAY)}

    reach = Withdrawing(port.desk).reach("web")

    assert [c.placement.target for c in reach.carried] == ["fake:one", "fake:two"]
    assert reach.uses == ((), (Usage(what="instance i-1", since=SOME_DAY),))
    assert reach.told == (told,)
    assert reach.descendants == (("app@1.0.0/1", below),)
    assert reach.launched_at is None


def test_withdraw_when_it_is_to_be_deleted_and_in_use_then_nothing_is_done(
    port: Port, version: ImageVersion
) -> None:
    port.carrier.used = {"fake:two": Usage(what="instance i-1")}
    withdrawing = Withdrawing(port.desk)

    with pytest.raises(PlacementsInUse, match="1 placement cannot be deleted") as caught:
        withdrawing.withdraw(withdrawing.reach("web"), delete=True)

    assert "fake:two" in caught.value.context
    assert "instance i-1" in caught.value.context
    assert len(port.standing(version)) == 2


def test_withdraw_when_in_use_and_not_to_be_deleted_then_is_done(
    port: Port, version: ImageVersion
) -> None:
    port.carrier.used = {"fake:two": Usage(what="instance i-1")}
    withdrawing = Withdrawing(port.desk)

    withdrawing.withdraw(withdrawing.reach("web"), delete=False)

    assert port.standing(version) == []


def test_withdraw_when_a_target_does_not_answer_then_the_other_is_done_and_the_error_says_where(
    port: Port, version: ImageVersion
) -> None:
    out_of_reach(port, "fake:one")
    withdrawing = Withdrawing(port.desk)

    with pytest.raises(WithdrawalIncomplete, match="1 placement could not") as caught:
        withdrawing.withdraw(withdrawing.reach("web"), delete=False)

    assert "fake:one does not answer DisableImage. It is down." in caught.value.context
    assert [p.target for p in port.standing(version)] == ["fake:one"]
    step = port.step("fake:one")
    assert step.state is DONE
    assert step.failure is not None


def test_reach_when_a_target_is_unknown_then_names_where_it_is(
    port: Port, version: ImageVersion
) -> None:
    with pytest.raises(TargetUnknown, match="no target mars") as caught:
        Withdrawing(port.desk).reach("web", ["mars"])

    assert "fake:one, fake:two" in caught.value.context


def test_overdue_when_revoked_then_is_withdrawn_and_what_failed_stays_overdue(
    port: Port, version: ImageVersion
) -> None:
    port.standings.revoke(a_revocation(version.id))
    out_of_reach(port, "fake:one")
    withdrawing = Withdrawing(port.desk)
    with pytest.raises(WithdrawalIncomplete):
        withdrawing.catch_up(withdrawing.overdue())
    assert [c.placement.target for c, _ in withdrawing.overdue()] == ["fake:one"]

    withdrawing.catch_up(withdrawing.overdue("web@1.0.0/1"))

    assert withdrawing.overdue() == []
    assert port.standing(version) == []
    assert port.carrier.deleted == []


def test_overdue_when_a_revocation_is_to_come_then_nothing_is_yet(
    port: Port, version: ImageVersion
) -> None:
    later = SOME_DAY + timedelta(days=30)
    port.standings.revoke(a_revocation(version.id, in_force_at=later))
    withdrawing = Withdrawing(port.desk)
    assert withdrawing.overdue() == []

    port.clock.advance(31 * 86400)

    assert len(withdrawing.overdue()) == 2


def test_overdue_when_an_ancestor_is_revoked_then_its_descendants_go_too(port: Port) -> None:
    base = port.record("base@1.0.0/1")
    port.record("web@1.0.0/1", parent=a_parent(base.id))
    port.distribute("web")
    port.standings.revoke(a_revocation(base.id))

    found = Withdrawing(port.desk).overdue()

    assert [(c.reference, is_deleted) for c, is_deleted in found] == [("web@1.0.0/1", False)] * 2


def test_overdue_when_retention_deleted_it_then_it_is_deleted_but_for_what_is_in_use(
    port: Port, version: ImageVersion
) -> None:
    port.standings.set_lifecycle(version.id, Lifecycle.DELETED, SOME_DAY)
    port.carrier.used = {"fake:two": Usage(what="instance i-1")}
    withdrawing = Withdrawing(port.desk)

    with pytest.raises(WithdrawalIncomplete) as caught:
        withdrawing.catch_up(withdrawing.overdue())

    assert port.carrier.deleted == ["fake:one"]
    assert "in use" in caught.value.context


def test_overdue_when_a_leave_is_in_use_then_what_it_is_of_is_not_deleted(port: Port) -> None:
    port.carrier.regions, port.carrier.leaves = LENT, {"fake:b"}
    version = port.record()
    port.distribute()
    port.standings.set_lifecycle(version.id, Lifecycle.DELETED, SOME_DAY)
    port.carrier.used = {"fake:b": Usage(what="instance i-1")}
    withdrawing = Withdrawing(port.desk)

    with pytest.raises(WithdrawalIncomplete):
        withdrawing.catch_up(withdrawing.overdue())

    assert port.carrier.deleted == ["fake:copy"]
    port.carrier.used = {}
    withdrawing.catch_up(withdrawing.overdue())
    assert port.carrier.deleted == ["fake:copy", "fake:b", "fake:home"]


def test_withdraw_when_others_have_leave_to_use_it_then_they_lose_it_first(port: Port) -> None:
    port.carrier.regions = {"fake:home": None, "fake:far": "fake:home", "fake:b": "fake:far"}
    port.carrier.leaves = {"fake:b"}
    version = port.record()
    port.distribute()
    withdrawing = Withdrawing(port.desk)

    withdrawing.withdraw(withdrawing.reach("web", ["fake:far"], delete=True), delete=True)

    assert port.carrier.deleted == ["fake:b", "fake:far"]
    assert [p.target for p in port.standing(version)] == ["fake:home"]


def test_withdraw_when_who_has_leave_uses_it_then_nothing_is_deleted(port: Port) -> None:
    port.carrier.regions, port.carrier.leaves = LENT, {"fake:b"}
    version = port.record()
    port.distribute()
    port.carrier.used = {"fake:b": Usage(what="instance i-1")}
    withdrawing = Withdrawing(port.desk)

    with pytest.raises(PlacementsInUse):
        withdrawing.withdraw(withdrawing.reach("web", ["*:home"]), delete=True)

    assert len(port.standing(version)) == 3


def test_overdue_when_it_was_only_withdrawn_before_then_what_is_deleted_goes_whole(
    port: Port, version: ImageVersion
) -> None:
    withdrawing = Withdrawing(port.desk)
    withdrawing.withdraw(withdrawing.reach("web"), delete=False)
    port.standings.set_lifecycle(version.id, Lifecycle.DELETED, SOME_DAY)

    withdrawing.catch_up(withdrawing.overdue())

    assert sorted(port.carrier.deleted) == ["fake:one", "fake:two"]
    assert all(p.is_deleted for p in port.placements.all())
    assert withdrawing.overdue() == []


def test_overdue_when_only_told_of_then_stays(port: Port) -> None:
    version = port.record()
    port.placements.add(a_placement(version.id))
    port.standings.revoke(a_revocation(version.id))

    assert Withdrawing(port.desk).overdue() == []


def test_check_then_the_carrier_knows_who_has_it_from_each_target(port: Port) -> None:
    port.carrier.regions = {"fake:home": None, "fake:far": "fake:home", "fake:b": "fake:home"}
    port.record()
    port.distribute()

    Inspecting(port.desk).check("web", ["fake:home"])

    assert port.carrier.takers == {"fake:home": ["fake:far", "fake:b"]}


def test_check_then_tells_what_was_changed_and_where_nobody_could_look(
    port: Port, version: ImageVersion
) -> None:
    drift = Drift(what="tag team", wanted="web", found="db")
    port.carrier.changed = {"fake:two": drift}

    one, two = Inspecting(port.desk).check("web")

    assert (one.drifts, two.drifts) == ((), (drift,))


def test_check_when_a_target_does_not_answer_then_says_so_and_looks_at_the_others(
    port: Port, version: ImageVersion
) -> None:
    port.carrier.changed = {"fake:one": Drift(what="x", wanted="y", found="z")}
    down = TargetUnavailable("fake:two", "DescribeImages", "It is down.")
    port.carrier.silent = {"fake:two": down}

    one, two = Inspecting(port.desk).check(None)

    assert len(one.drifts) == 1
    assert two.failure == Failure.of(down)


def test_aims_then_tell_how_far_a_version_came(port: Port, version: ImageVersion) -> None:
    port.carrier.regions = {**TWO, "fake:three": None}
    port.distribute(without=("fake:three",))

    aims = Inspecting(port.desk).aims("web")

    assert {aim.step.target: aim.step.state for aim in aims} == {
        "fake:one": DONE,
        "fake:two": DONE,
        "fake:three": DeliveryState.WAITING,
    }
    assert [aim.placement is None for aim in aims] == [False, False, True]
