"""Two who change the same channel or version at once, each with connections of their own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier

import pytest

from imagebuilder.adapters.sql.audit import SqlAuditLog
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.channels import SqlChannelStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
from imagebuilder.adapters.sql.placements import SqlPlacementStore
from imagebuilder.adapters.sql.standings import SqlStandingStore
from imagebuilder.adapters.sql.waivers import SqlWaiverStore
from imagebuilder.adapters.system.clock import RandomIds, SystemClock
from imagebuilder.domain.audit import AuditQuery
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName, RunId, VersionId
from imagebuilder.domain.standing import AlreadyRevoked, NotRevoked
from imagebuilder.ports.channels import ChannelMoved
from imagebuilder.ports.transactions import Transactions
from imagebuilder.services.cataloguing import Cataloguing, Records
from imagebuilder.services.gating import GateDesk, Gating, KnownVulnerabilities
from imagebuilder.services.promoting import MoveOrder, Promoting, Switchboard
from imagebuilder.services.revoking import Register, RevocationOrder, Revoking
from tests.build import a_draft, a_version
from tests.catalogues import STABLE, WEB
from tests.databases import DATABASES, FreshLocation

WRITERS = 4
VERSIONS = [a_version(f"web@1.0.0/{number}") for number in range(1, WRITERS + 1)]


class Desk:
    """Somebody with connections of their own to the catalogue."""

    def __init__(self, database: Database, transactions: Transactions | None = None) -> None:
        self.database, self.clock = database, SystemClock()
        self.channels, self.audit = SqlChannelStore(database), SqlAuditLog(database)
        self.versions, self.standings = SqlVersionStore(database), SqlStandingStore(database)
        self.transactions = transactions or database

    @property
    def gating(self) -> Gating:
        desk = GateDesk(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            pipelines=SqlPipelineStore(self.database),
            waivers=SqlWaiverStore(self.database),
            clock=self.clock,
            vulnerabilities=lambda _: KnownVulnerabilities(),
        )
        return Gating(desk)

    @property
    def promoting(self) -> Promoting:
        board = Switchboard(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            audit=self.audit,
            transactions=self.transactions,
            clock=self.clock,
            gating=self.gating,
        )
        return Promoting(board, "ann")

    @property
    def cataloguing(self) -> Cataloguing:
        records = Records(versions=self.versions, audit=self.audit, transactions=self.transactions)
        return Cataloguing(records, self.clock, RandomIds(self.clock), "ann")

    @property
    def revoking(self) -> Revoking:
        register = Register(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            placements=SqlPlacementStore(self.database),
            audit=self.audit,
            transactions=self.transactions,
            clock=self.clock,
            ids=RandomIds(self.clock),
        )
        return Revoking(register, "ann")


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> str | Path:
    return fresh_location(request.param)


@pytest.fixture
def desks(location: str | Path) -> Iterator[list[Desk]]:
    with ExitStack() as opened:
        made = [Desk(opened.enter_context(open_database(location))) for _ in range(WRITERS)]
        for version in VERSIONS:
            made[0].versions.add(version)
        yield made


def all_at_once(changes: list[Callable[[], object]]) -> list[ImageBuilderError | None]:
    """Give how each of some changes ended that begin together."""
    barrier = Barrier(len(changes))

    def ended(change: Callable[[], object]) -> ImageBuilderError | None:
        barrier.wait(timeout=30)
        try:
            change()
        except ImageBuilderError as error:
            return error
        return None

    with ThreadPoolExecutor(len(changes)) as threads:
        return list(threads.map(ended, changes))


def test_channel_when_many_move_it_at_once_then_each_move_is_kept_or_told_as_a_conflict(
    desks: list[Desk],
) -> None:
    def setting(desk: Desk, reference: str) -> Callable[[], object]:
        return lambda: desk.promoting.set(reference, STABLE, MoveOrder())

    ended = all_at_once([setting(d, v.reference) for d, v in zip(desks, VERSIONS, strict=True)] * 3)

    moves = desks[0].channels.moves(WEB, STABLE, desks[0].clock.now())
    assert moves
    assert all(isinstance(error, ChannelMoved) for error in ended if error is not None)
    assert [move.old for move in moves] == [None, *(move.new for move in moves[:-1])]
    assert len(desks[0].audit.entries(AuditQuery())) == len(moves)


def test_set_when_somebody_moves_the_channel_meanwhile_then_one_wins(desks: list[Desk]) -> None:
    winner, database = desks[0], desks[1].database

    class AfterTheWinner:
        @contextmanager
        def together(self) -> Iterator[None]:
            winner.promoting.set(VERSIONS[0].reference, STABLE, MoveOrder())
            with database.together():
                yield

    loser = Desk(database, AfterTheWinner())

    with pytest.raises(ChannelMoved) as caught:
        loser.promoting.set(VERSIONS[1].reference, STABLE, MoveOrder())

    assert caught.value.context == "It was at no version and is at web@1.0.0/1 now."
    assert winner.channels.channel(WEB, STABLE, winner.clock.now()).version_id == VERSIONS[0].id
    assert len(winner.audit.entries(AuditQuery())) == 1


def test_version_when_many_revoke_it_at_once_then_one_does(desks: list[Desk]) -> None:
    reference = VERSIONS[0].reference

    def revoking(desk: Desk) -> Callable[[], object]:
        return lambda: desk.revoking.revoke(reference, RevocationOrder(message="bad"))

    ended = all_at_once([revoking(desk) for desk in desks])

    assert sorted(type(error) is AlreadyRevoked for error in ended) == [False, True, True, True]
    assert len(desks[0].standings.revocations(VersionId(VERSIONS[0].id))) == 1


def test_run_when_many_record_it_at_once_then_it_has_one_version(desks: list[Desk]) -> None:
    draft = a_draft("shop", "1.0.x", run_id=RunId("run-of-many"))
    given: list[VersionId] = []

    def recording(desk: Desk) -> Callable[[], object]:
        return lambda: given.append(desk.cataloguing.record(draft).id)

    ended = all_at_once([recording(desk) for desk in desks] * 3)

    assert ended == [None] * 3 * WRITERS
    assert len(set(given)) == 1
    shops = desks[0].versions.summaries(ImageName("shop"))
    assert [version.reference for version in shops] == ["shop@1.0.0/1"]
    assert len(desks[0].audit.entries(AuditQuery())) == 1


def test_version_when_many_restore_it_at_once_then_one_does(desks: list[Desk]) -> None:
    reference = VERSIONS[0].reference
    desks[0].revoking.revoke(reference, RevocationOrder(message="bad"))

    def restoring(desk: Desk) -> Callable[[], object]:
        return lambda: desk.revoking.restore(reference, "good")

    ended = all_at_once([restoring(desk) for desk in desks])

    assert sorted(type(error) is NotRevoked for error in ended) == [False, True, True, True]
    assert len(desks[0].audit.entries(AuditQuery())) == 2
