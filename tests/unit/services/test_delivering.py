"""What was made at a target is on record at once, whatever becomes of the rest of its step."""

from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from imagebuilder.domain.distribution import (
    DeliveryState,
    DistributionIncomplete,
    PlacementState,
)
from imagebuilder.ports.targets import PlacingFailed
from imagebuilder.services.distributing.inspecting import Inspecting
from tests.carried import Port

DONE, FAILED = DeliveryState.DONE, DeliveryState.FAILED
TWO = {"fake:one": None, "fake:two": None}


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


def failing(times: int = 1) -> dict[str, list[BaseException]]:
    return {"fake:one": [PlacingFailed("fake:one", "PutParameter", "It is denied.")] * times}


def test_distribute_when_a_target_fails_once_it_was_made_then_it_is_kept_half_done(
    port: Port,
) -> None:
    port.carrier.late = failing()
    version = port.record()

    with pytest.raises(DistributionIncomplete):
        port.distribute()

    (placement,) = port.standing(version)
    assert ("fake:one", placement.external_id) in port.carrier.held
    assert placement.state is PlacementState.HALF_DONE
    assert placement.distribution_id == port.last.id
    assert placement.traits["pointer"] == "to be set"
    (aim,) = Inspecting(port.desk).aims("web")
    assert (aim.step.state, aim.placement) == (FAILED, None)
    assert Inspecting(port.desk).check("web") == []


def test_retry_when_it_was_made_before_then_its_placement_is_done_and_was_told_of_once(
    port: Port,
) -> None:
    port.carrier.late = failing()
    version = port.record()
    with pytest.raises(DistributionIncomplete):
        port.distribute()
    (half_done,) = port.standing(version)

    port.retry()

    (placement,) = port.standing(version)
    assert placement == replace(
        half_done, is_half_done=False, traits={"token": half_done.traits["token"]}
    )
    assert placement.state is PlacementState.PLACED
    told = [entry.action for entry in port.audit.entries(AuditQuery())]
    assert told.count(AuditAction.PLACEMENT_ADDED) == 1
    assert AuditAction.PLACEMENT_CHANGED not in told


def test_retry_when_it_fails_again_then_what_an_earlier_try_may_have_set_stays_known(
    port: Port,
) -> None:
    port.carrier.late = failing(times=2)
    version = port.record()
    with pytest.raises(DistributionIncomplete):
        port.distribute()
    (half_done,) = port.standing(version)
    port.placements.change(replace(half_done, traits={**half_done.traits, "parameter": "/web"}))

    with pytest.raises(DistributionIncomplete):
        port.retry()

    (placement,) = port.standing(version)
    assert placement.traits["parameter"] == "/web"


def test_distribute_when_the_process_is_killed_once_it_was_made_then_it_is_on_record(
    port: Port,
) -> None:
    version = port.record()
    port.carrier.late = {"fake:one": [KeyboardInterrupt()]}

    with pytest.raises(KeyboardInterrupt):
        port.distribute()

    (placement,) = port.standing(version)
    assert placement.state is PlacementState.HALF_DONE
    assert port.states() == {"fake:one": DeliveryState.RUNNING}


def test_distribute_when_what_is_there_is_brought_on_and_that_fails_then_it_stays_as_it_was(
    port: Port,
) -> None:
    version = port.record()
    port.distribute()
    (before,) = port.standing(version)
    port.carrier.regions = TWO
    port.carrier.late = failing()

    with pytest.raises(DistributionIncomplete):
        port.distribute()

    assert before in port.standing(version)
    assert port.states() == {"fake:one": FAILED, "fake:two": DONE}
