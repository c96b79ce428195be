"""What every WaiverStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.waivers import SqlWaiverStore
from imagebuilder.domain.audit import Act
from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.waiver import Accepted, Justification, WaiverAmbiguous, WaiverNotFound
from imagebuilder.ports.waivers import WaiverStore
from tests.build import SOME_DAY, a_waiver
from tests.databases import DATABASES, FreshLocation
from tests.fakes.waivers import FakeWaiverStore

REVOKED = Act(actor="eva", at=SOME_DAY + timedelta(hours=1), why="ü is mended")
RULE = Accepted(kind=FindingKind.CONTROL, id="rule_ü", within="cis@1.0")


@pytest.fixture(params=["fake", *DATABASES])
def waivers(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[WaiverStore]:
    if request.param == "fake":
        yield FakeWaiverStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlWaiverStore(database)


def test_waiver_when_kept_then_comes_back_as_it_was(waivers: WaiverStore) -> None:
    waiver = a_waiver(
        RULE,
        image="web-*",
        versions="1.x",
        reason="Two\nlines: ü",
        justification=Justification.MITIGATED,
    )

    waivers.add(waiver)

    assert waivers.find("waiver-1") == waiver
    assert waivers.all() == [waiver]


def test_waiver_when_revoked_then_stays_and_is_revoked_once(waivers: WaiverStore) -> None:
    waivers.add(a_waiver())

    assert waivers.revoke("waiver-1", REVOKED)
    assert not waivers.revoke("waiver-1", replace(REVOKED, actor="ann"))
    assert not waivers.revoke("waiver-2", REVOKED)
    assert waivers.find("waiver-1").revoked == REVOKED


def test_find_when_an_id_starts_so_then_gives_the_only_one(waivers: WaiverStore) -> None:
    for each in ("waiver-1", "waiver-12", "waiver-2_", "waiver-2x3"):
        waivers.add(a_waiver(id=each))

    assert waivers.find("waiver-1").id == "waiver-1"
    assert waivers.find("waiver-2_").id == "waiver-2_"
    assert waivers.find("waiver-2x").id == "waiver-2x3"
    with pytest.raises(WaiverAmbiguous):
        waivers.find("waiver-")
    for unknown in ("waiver-3", "", "%", "Waiver-12", "waiver-_"):
        with pytest.raises(WaiverNotFound):
            waivers.find(unknown)


def test_all_when_of_an_image_then_patterns_count(waivers: WaiverStore) -> None:
    for days, image in ((3, "web"), (2, "web-*"), (1, "w?b"), (4, "db")):
        waivers.add(a_waiver(id=image, image=image, days=days))

    assert [each.id for each in waivers.all(ImageName("web"))] == ["w?b", "web"]
    assert [each.id for each in waivers.all(ImageName("web-small"))] == ["web-*"]
    assert [each.id for each in waivers.all()] == ["w?b", "web-*", "web", "db"]
