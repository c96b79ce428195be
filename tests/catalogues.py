"""Whole catalogues for tests: all their stores, in memory or in a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.channels import SqlChannelStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.standings import SqlStandingStore
from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import ChannelMove, MoveKind
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.standing import Revocation
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.standings import StandingStore
from imagebuilder.services.cataloguing import Cataloguing, Records
from tests.build import SOME_DAY, a_parent, a_version
from tests.databases import DATABASES, FreshLocation
from tests.fakes.audit import FakeAuditLog
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.channels import FakeChannelStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.standings import FakeStandingStore
from tests.fakes.transactions import FakeTransactions

CATALOGUES = ("fake", *DATABASES)
"""The kinds of catalogue, as parameters of a test or fixture."""

WEB, STABLE = ImageName("web"), ChannelName("stable")


def day(number: float) -> datetime:
    """Give a moment that many days after what `tests.build` makes was recorded."""
    return SOME_DAY + timedelta(days=number)


@dataclass(frozen=True)
class Catalogue:
    """The stores of one catalogue."""

    versions: VersionStore
    standings: StandingStore
    channels: ChannelStore

    def record(
        self, reference: str, *, on: ImageVersion | None = None, copy_of: ImageVersion | None = None
    ) -> ImageVersion:
        """Record a version, built on another one when that is given."""
        version = a_version(
            reference,
            parent=a_parent(on.id) if on else a_parent(),
            copied_from=copy_of.id if copy_of else None,
        )
        self.versions.add(version)
        return version

    def revoke(self, version: ImageVersion, at: datetime, **more: object) -> Revocation:
        """Say that a version is revoked from a moment on."""
        values: dict[str, object] = {
            "id": f"revocation-of-{version.reference}-{at.isoformat()}",
            "version_id": version.id,
            "in_force_at": at,
            "act": Act(actor="ann", at=min(at, day(0)), why="it leaks keys"),
        }
        revocation = Revocation(**(values | more))  # type: ignore[arg-type]
        self.standings.revoke(revocation)
        return revocation

    def move(
        self,
        version: ImageVersion | None,
        at: datetime,
        kind: MoveKind = MoveKind.SET,
        name: ChannelName = STABLE,
    ) -> ChannelMove:
        """Move a channel of web to a version, or unset it."""
        seen = self.channels.channel(WEB, name, at)
        move = ChannelMove(
            kind=kind,
            act=Act(actor="ben", at=at, why="it is good"),
            old=seen.version_id,
            new=version.id if version else None,
        )
        self.channels.add(seen, move)
        return move

    def meant(self, at: datetime, name: ChannelName = STABLE) -> VersionId | None:
        """Give what a channel of web means at a moment."""
        return self.channels.channel(WEB, name, at).version_id


def a_cataloguing(versions: VersionStore) -> Cataloguing:
    """Give the service that records in `versions`, its audit and transactions in memory."""
    records = Records(versions=versions, audit=FakeAuditLog(), transactions=FakeTransactions())
    return Cataloguing(records, FakeClock(), FakeIds(), "ann")


@contextmanager
def a_catalogue(kind: str, fresh_location: FreshLocation) -> Iterator[Catalogue]:
    """Give an empty catalogue of a kind."""
    if kind == "fake":
        versions = FakeVersionStore()
        standings = FakeStandingStore(versions)
        channels = FakeChannelStore(versions, standings)
        versions.standings, versions.channels = standings, channels
        yield Catalogue(versions, standings, channels)
        return
    with open_database(fresh_location(kind)) as database:
        yield Catalogue(
            SqlVersionStore(database), SqlStandingStore(database), SqlChannelStore(database)
        )
