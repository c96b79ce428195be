"""Versions come to all targets of a document, whatever goes wrong at some of them on the way."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from imagebuilder.domain.distribution import (
    DeliveryHindered,
    DeliveryState,
    DistributionIncomplete,
    DistributionNotFound,
    TargetTwice,
)
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.promotion import DistributionRefused
from imagebuilder.domain.target import (
    Target,
    TargetKindUnsupported,
    TargetUnavailable,
    TargetUnknown,
)
from imagebuilder.ports.locks import InProgress
from imagebuilder.ports.targets import OnBytes, Placed, PlacingFailed, Shipment
from imagebuilder.services.distributing.distributing import Choice, Distributing
from tests.build import a_placement, a_revocation
from tests.carried import EVERYWHERE, PATH, Port
from tests.fakes.targets import FakeCarrier

DONE, FAILED, WAITING = DeliveryState.DONE, DeliveryState.FAILED, DeliveryState.WAITING
TWO = {"fake:one": None, "fake:two": None}
CHAIN = {"fake:home": None, "fake:far": "fake:home"}


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


def failing(*targets: str) -> dict[str, list[ImageBuilderError]]:
    return {target: [PlacingFailed(target, "CopyImage", "It is full.")] for target in targets}


def out_of_reach(target: str, times: int) -> list[ImageBuilderError]:
    return [TargetUnavailable(target, "CopyImage", "It timed out.")] * times


def test_distribute_then_the_version_is_at_every_target_and_that_is_on_record(port: Port) -> None:
    port.carrier.regions = TWO
    version = port.record()

    done = port.distribute()

    assert port.states() == {"fake:one": DONE, "fake:two": DONE}
    assert done.distribution == port.last
    assert done.distribution.is_whole
    placed = port.standing(version)
    assert [p.target for p in placed] == ["fake:one", "fake:two"]
    assert {(p.target, p.external_id) for p in placed} == set(port.carrier.held)
    assert placed[0].placed.why == "released"
    assert placed[0].distribution_id == port.last.id
    assert placed[0].traits == {"token": placed[0].external_id.removeprefix("fake-")}


def test_distribute_then_the_audit_tells_of_it_and_of_each_placement(port: Port) -> None:
    port.record()

    port.distribute()

    entries = port.audit.entries(AuditQuery())
    assert [entry.action for entry in entries] == [
        AuditAction.PLACEMENT_ADDED,
        AuditAction.DISTRIBUTION_BEGUN,
    ]
    assert entries[1].after == {"name": "everywhere", "targets": 1}
    assert {entry.act.actor for entry in entries} == {"ann"}


def test_distribute_when_done_before_then_nothing_is_carried_again(port: Port) -> None:
    port.record()
    port.distribute()

    again = port.distribute()

    assert again.wanted == frozenset()
    assert len(port.carrier.shipments) == 1
    assert len(port.distributions.kept) == 1


def test_distribute_when_a_target_fails_then_the_others_are_done_and_the_error_says_why(
    port: Port,
) -> None:
    port.carrier.regions = TWO
    port.carrier.troubles = failing("fake:one")
    version = port.record()

    with pytest.raises(DistributionIncomplete, match="did not come to 1 target of 2") as caught:
        port.distribute()

    assert port.states() == {"fake:one": FAILED, "fake:two": DONE}
    assert caught.value.context == "fake:one: CopyImage failed. It is full."
    assert "distribute web@1.0.0/1 --retry" in caught.value.hint
    assert [p.target for p in port.standing(version)] == ["fake:two"]
    failure = port.step("fake:one").failure
    assert failure is not None
    assert failure.code == "placing-failed"


def test_retry_when_a_target_failed_then_does_only_that_one(port: Port) -> None:
    port.carrier.regions = TWO
    port.carrier.troubles = failing("fake:one")
    port.record()
    with pytest.raises(DistributionIncomplete):
        port.distribute()
    port.documents.documents.clear()

    (done,) = port.retry()

    assert done.wanted == {"fake:one"}
    assert port.states() == {"fake:one": DONE, "fake:two": DONE}
    assert [key for key, _ in port.carrier.shipments].count("fake:two") == 1
    assert port.step("fake:one").attempts == 2
    assert port.step("fake:one").failure is None


def test_retry_when_the_process_was_killed_then_what_was_begun_is_done_with_the_same_token(
    port: Port,
) -> None:
    port.carrier.regions = TWO
    port.record()
    port.carrier.troubles = {"fake:two": [KeyboardInterrupt()]}  # type: ignore[list-item]  # more than errors
    with pytest.raises(KeyboardInterrupt):
        port.distribute()
    assert port.states()["fake:two"] is DeliveryState.RUNNING

    port.retry()

    tokens = {s.token for key, s in port.carrier.shipments if key == "fake:two"}
    assert port.states() == {"fake:one": DONE, "fake:two": DONE}
    assert len(tokens) == 1
    assert len({key for key, _ in port.carrier.held}) == 2


def test_retry_when_nothing_was_ever_distributed_then_says_so(port: Port) -> None:
    port.record()

    with pytest.raises(DistributionNotFound, match=r"no distribution of web@1\.0\.0/1"):
        port.retry()


def test_distribute_when_a_target_does_not_answer_at_first_then_it_is_tried_again(
    port: Port,
) -> None:
    port.carrier.troubles = {"fake:one": out_of_reach("fake:one", 1)}
    port.record()

    port.distribute()

    assert port.step("fake:one").attempts == 2
    assert port.progress.troubles == [("fake:one", "fake:one does not answer CopyImage.")]


def test_distribute_when_a_target_never_answers_then_it_is_left_after_a_few_tries(
    port: Port,
) -> None:
    port.carrier.troubles = {"fake:one": out_of_reach("fake:one", 9)}
    port.record()

    with pytest.raises(DistributionIncomplete, match="1 target of 1"):
        port.distribute()

    assert (port.states()["fake:one"], port.step("fake:one").attempts) == (FAILED, port.attempts)


def test_distribute_when_a_gate_is_against_it_then_nothing_is_begun(port: Port) -> None:
    version = port.record()
    port.standings.revoke(a_revocation(version.id))

    with pytest.raises(DistributionRefused):
        port.distribute()

    assert port.distributions.kept == {}
    assert port.carrier.shipments == []


def test_distribute_when_one_target_is_hindered_then_nothing_is_begun_and_the_fix_is_named(
    port: Port,
) -> None:
    port.carrier.regions = TWO
    port.carrier.objections = {
        "fake:two": Objection(reason="Its key gives no grant.", remedy="Grant kms:CreateGrant")
    }
    port.record()

    with pytest.raises(DeliveryHindered, match="cannot be put at 1 target") as caught:
        port.distribute()

    assert caught.value.context == "fake:two: Its key gives no grant."
    assert "Grant kms:CreateGrant" in caught.value.hint
    assert "--without fake:two" in caught.value.hint
    assert port.distributions.kept == {}
    assert port.carrier.shipments == []


def test_distribute_when_the_hindered_target_is_left_out_then_the_others_are_done(
    port: Port,
) -> None:
    port.carrier.regions = TWO
    port.carrier.objections = {"fake:two": Objection(reason="No grant.", remedy="Grant it")}
    port.record()

    done = port.distribute(without=("fake:two",))

    assert done.wanted == {"fake:one"}
    assert port.states() == {"fake:one": DONE, "fake:two": WAITING}


def test_distribute_when_only_one_is_asked_for_then_it_comes_with_what_it_comes_after(
    port: Port,
) -> None:
    port.carrier.regions = {**CHAIN, "fake:other": None}
    port.record()

    port.distribute(only=("fake:f*",))

    assert port.states() == {"fake:home": DONE, "fake:far": DONE, "fake:other": WAITING}


def test_distribute_when_an_unknown_target_is_asked_for_then_names_those_there_are(
    port: Port,
) -> None:
    port.record()

    with pytest.raises(TargetUnknown, match="no target mars") as caught:
        port.distribute(only=("mars",))

    assert "fakes, fake:one" in caught.value.context


def test_distribute_when_a_target_comes_after_another_then_is_given_its_placement(
    port: Port,
) -> None:
    port.carrier.regions = CHAIN
    port.record()

    port.distribute()

    sources = {key: shipment.source for key, shipment in port.carrier.shipments}
    assert list(sources) == ["fake:home", "fake:far"]
    assert sources["fake:home"] is None
    assert (
        sources["fake:far"] == port.placements.kept["fake:home", port.step("fake:home").external_id]
    )


def test_distribute_when_it_was_made_where_it_is_wanted_then_only_what_goes_with_it_is_done(
    port: Port,
) -> None:
    port.carrier.regions = CHAIN
    version = port.record(plan={"there": [["fake:home", "ami-1"]]})
    port.placements.add(a_placement(version.id, target="fake:home"))

    port.distribute()

    there = {key: shipment.there for key, shipment in port.carrier.shipments}
    assert there == {"fake:home": "ami-1", "fake:far": ""}
    assert port.states() == {"fake:home": DONE, "fake:far": DONE}
    assert port.step("fake:home").external_id == "ami-1"
    (kept,) = (each for each in port.standing(version) if each.target == "fake:home")
    assert kept.distribution_id == port.last.id


def test_distribute_when_it_was_made_where_nobody_asks_for_it_then_goes_on_from_there(
    port: Port,
) -> None:
    port.carrier.regions, port.carrier.implied = CHAIN, {"fakes": {"fake:home"}}
    version = port.record(plan={"there": [["fake:home", "ami-1"]]})
    made = a_placement(version.id, target="fake:home")
    port.placements.add(made)

    port.distribute()

    ((key, shipment),) = port.carrier.shipments
    assert key == "fake:far"
    assert shipment.source == replace(made, distribution_id=port.last.id)
    assert port.states() == {"fake:home": DONE, "fake:far": DONE}
    assert port.step("fake:home").external_id == "ami-1"


def test_distribute_when_the_first_of_a_chain_fails_then_the_next_is_not_begun(port: Port) -> None:
    port.carrier.regions = CHAIN
    port.carrier.troubles = failing("fake:home")
    port.record()

    with pytest.raises(DistributionIncomplete, match="2 targets of 2") as caught:
        port.distribute()

    assert port.states() == {"fake:home": FAILED, "fake:far": WAITING}
    assert "1 target not begun." in caught.value.context


def test_distribute_when_more_fail_than_are_tolerated_then_no_further_one_is_begun(
    port: Port,
) -> None:
    keys = [f"fake:{number:02}" for number in range(40)]
    port.carrier.regions = dict.fromkeys(keys)
    port.carrier.troubles = failing(*keys)
    port.documents.documents[PATH] = EVERYWHERE + "tolerated_failures: 0\n"
    port.record()

    with pytest.raises(DistributionIncomplete) as caught:
        port.distribute()

    begun = [state for state in port.states().values() if state is not WAITING]
    assert 1 <= len(begun) < len(keys)
    assert "not begun" in caught.value.context


def test_distribute_when_an_earlier_version_is_there_then_its_disk_can_be_kept_from(
    port: Port,
) -> None:
    old = port.record("web@1.0.0/1")
    port.distribute("web@1.0.0/1")
    port.record("web@1.0.0/2")

    port.distribute("web@1.0.0/2")

    _, shipment = port.carrier.shipments[-1]
    assert shipment.forerunner is not None
    assert shipment.forerunner.placement == port.standing(old)[0]
    assert shipment.forerunner.disk_digest == old.disk_digest


@dataclass
class ReadingCarrier(FakeCarrier):
    """Reads all that it may take of a version."""

    seen: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        with shipment.disk() as disk:
            file = shipment.file(shipment.version.artifacts[0])
            read = Path(disk).read_bytes(), Path(file).read_bytes(), shipment.bundle
        self.seen.append(read)
        return super().place(target, shipment, on_bytes)


def test_distribute_when_many_take_the_disk_then_it_is_fetched_once_and_given_back(
    port: Port,
) -> None:
    port.bundle = b"signed\n"
    carrier = port.carrier = ReadingCarrier(regions=TWO)
    port.record()

    port.distribute()

    disk = b"web@1.0.0/1"
    assert carrier.seen == [(disk, disk + b"qcow2", b"signed\n")] * 2
    assert len(port.disks.recalls) == 1


def test_distribute_when_done_then_its_scratch_is_dropped_and_that_of_failures_stays(
    port: Port,
) -> None:
    port.carrier.regions = TWO
    port.carrier.troubles = failing("fake:two")
    port.record()

    with pytest.raises(DistributionIncomplete):
        port.distribute()

    tokens = {key: shipment.token for key, shipment in port.carrier.shipments}
    assert port.scratch.dropped == [tokens["fake:one"]]
    assert port.scratch.there == {tokens["fake:two"]}


def test_distribute_when_the_document_names_more_since_then_another_distribution_begins(
    port: Port,
) -> None:
    version = port.record()
    port.distribute()
    port.carrier.regions = TWO

    port.distribute()

    assert len(port.distributions.kept) == 2
    assert port.states() == {"fake:one": DONE, "fake:two": DONE}
    assert len(port.standing(version)) == 2


def test_distribute_when_the_id_is_another_version_s_then_that_target_failed(port: Port) -> None:
    port.record()
    other = port.record("base@1.0.0/1")
    port.distribute()
    taken = port.step("fake:one").external_id
    port.placements.kept["fake:one", taken] = a_placement(
        other.id, target="fake:one", external_id=taken
    )
    port.carrier.regions = TWO

    with pytest.raises(DistributionIncomplete) as caught:
        port.distribute()

    assert f"{taken} at fake:one is a placement already." in caught.value.context


def test_distribute_when_two_entries_mean_one_target_then_both_are_named(port: Port) -> None:
    port.documents.documents[PATH] = EVERYWHERE + "  - {name: again, folder: {path: /srv/x}}\n"
    port.record()

    with pytest.raises(TargetTwice, match="fakes and again both stand for fake:one"):
        port.distribute()


@pytest.mark.parametrize(("implied", "kept"), [("fakes", "again"), ("again", "fakes")])
def test_distribute_when_an_entry_only_implies_a_target_then_the_one_that_asks_for_it_is_kept(
    port: Port, implied: str, kept: str
) -> None:
    port.documents.documents[PATH] = EVERYWHERE + "  - {name: again, folder: {path: /srv/x}}\n"
    port.carrier.implied = {implied: {"fake:one"}}
    port.record()

    port.distribute()

    assert [target for target, _ in port.carrier.shipments] == ["fake:one"]
    assert port.step("fake:one").entry == kept


def test_distribute_when_both_entries_only_imply_a_target_then_it_is_the_first_ones(
    port: Port,
) -> None:
    port.documents.documents[PATH] = EVERYWHERE + "  - {name: again, folder: {path: /srv/x}}\n"
    port.carrier.implied = {"fakes": {"fake:one"}, "again": {"fake:one"}}
    port.record()

    port.distribute()

    assert port.step("fake:one").entry == "fakes"


def test_distribute_when_nothing_carries_to_such_a_place_then_says_what_is_supported(
    port: Port,
) -> None:
    port.documents.documents[PATH] = EVERYWHERE.replace(
        "folder: {path: /srv/images}", "s3: {bucket: abc}"
    )
    port.record()

    with pytest.raises(TargetKindUnsupported, match="kind s3") as caught:
        port.distribute()

    assert "Supported are folder." in caught.value.context


def test_distribute_when_somebody_does_just_that_then_is_refused(port: Port) -> None:
    version = port.record()
    port.locks.held[f"distribution everywhere of {version.id}"] = "process 7"

    with pytest.raises(InProgress, match="is already being worked on"):
        port.distribute()


def test_rehearse_then_a_target_is_told_of_those_that_are_to_have_it_from_there(port: Port) -> None:
    port.carrier.regions = {"fake:home": None, "fake:far": "fake:home", "fake:b": "fake:far"}
    port.carrier.regions |= {"fake:c": "fake:home"}
    port.record()

    Distributing(port.desk).rehearse("web", PATH, Choice(without=("fake:c",)))

    told = {"fake:home": ["fake:far", "fake:b"], "fake:far": ["fake:b"], "fake:b": []}
    assert port.carrier.awaiting == told


def test_rehearse_then_tells_all_and_keeps_nothing(port: Port) -> None:
    port.carrier.regions = TWO
    port.carrier.objections = {"fake:two": Objection(reason="No grant.", remedy="Grant it")}
    port.record()

    said = Distributing(port.desk).rehearse("web", PATH, Choice())

    assert said.wanted == {"fake:one", "fake:two"}
    assert list(said.hindrances) == ["fake:two"]
    assert port.distributions.kept == {}
    assert port.carrier.shipments == []


def test_distribute_when_it_is_revoked_on_the_way_then_it_goes_no_further_and_is_withdrawn(
    port: Port,
) -> None:
    version = port.record()
    port.carrier = RevokingCarrier(regions=CHAIN, port=port, version_id=version.id)

    with pytest.raises(DistributionRefused):
        port.distribute()

    assert port.states() == {"fake:home": DeliveryState.WITHDRAWN, "fake:far": WAITING}
    assert port.standing(version) == []
    assert port.carrier.held == {}


def test_distribute_when_it_is_revoked_while_the_last_target_gets_it_then_is_withdrawn_there(
    port: Port,
) -> None:
    version = port.record()
    port.carrier = RevokingCarrier(port=port, version_id=version.id)

    with pytest.raises(DistributionRefused):
        port.distribute()

    assert port.standing(version) == []


@dataclass
class RevokingCarrier(FakeCarrier):
    """Sees that a version is revoked while it is brought to its first target."""

    port: Port | None = None
    version_id: str = ""

    def place(self, target: Target, shipment: Shipment, on_bytes: OnBytes) -> Placed:
        assert self.port is not None
        self.port.standings.revoke(a_revocation(self.version_id))
        return super().place(target, shipment, on_bytes)


def test_distribute_then_progress_is_told_of_each_target(port: Port) -> None:
    port.record()

    port.distribute()

    assert port.progress.states == [("fake:one", "running"), ("fake:one", "done")]
    assert port.progress.bytes_moved == {"fake:one": 1}
