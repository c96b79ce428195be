"""What every AuditLog keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta, timezone

import pytest

from imagebuilder.adapters.sql.audit import SqlAuditLog
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.domain.audit import Act, AuditAction, AuditEntry, AuditQuery
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.audit import AuditLog
from tests.build import SOME_DAY
from tests.databases import DATABASES, FreshLocation
from tests.fakes.audit import FakeAuditLog

FAR_EAST = timezone(timedelta(hours=5))


@pytest.fixture(params=["fake", *DATABASES])
def audit(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[AuditLog]:
    if request.param == "fake":
        yield FakeAuditLog()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlAuditLog(database)


def an_entry(
    number: int = 0,
    *,
    actor: str = "eva",
    subject: str = "web@1.0.0/1",
    action: AuditAction = AuditAction.LABELS_CHANGED,
    after: Canonical = None,
) -> AuditEntry:
    act = Act(actor=actor, at=SOME_DAY + timedelta(days=number), why=f"because {number} ü")
    return AuditEntry(act=act, action=action, subject=subject, after=after)


def test_entry_when_added_then_comes_back_as_it_was(audit: AuditLog) -> None:
    entry = an_entry(after={"labels": ["ü", None, 1.5, {"deep": True}]})

    audit.add(entry)

    assert audit.entries(AuditQuery()) == [entry]


def test_entries_when_many_then_newest_first_in_pages(audit: AuditLog) -> None:
    # Recorded later is newer, whatever the clocks of those who did it say.
    for number in (3, 1, 2):
        audit.add(an_entry(number))

    found = audit.entries(AuditQuery(limit=2))
    rest = audit.entries(AuditQuery(limit=2, offset=2))

    assert [entry.act.at - SOME_DAY for entry in (*found, *rest)] == [
        timedelta(days=number) for number in (2, 1, 3)
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AuditQuery(), [3, 2, 1]),
        (AuditQuery(actor="bob"), [2]),
        (AuditQuery(subject="web"), [3]),
        (AuditQuery(action=AuditAction.CHANNEL_MOVED), [1]),
        (AuditQuery(since=SOME_DAY + timedelta(days=2)), [3, 2]),
        (AuditQuery(until=SOME_DAY + timedelta(days=2)), [1]),
        (
            AuditQuery(
                until=(SOME_DAY + timedelta(days=2)).astimezone(timezone(timedelta(hours=5)))
            ),
            [1],
        ),
        (AuditQuery(actor="bob", subject="web"), []),
    ],
)
def test_entries_when_narrowed_then_gives_those_that_fit(
    audit: AuditLog, query: AuditQuery, expected: list[int]
) -> None:
    audit.add(an_entry(1, action=AuditAction.CHANNEL_MOVED))
    audit.add(an_entry(2, actor="bob"))
    audit.add(an_entry(3, subject="web"))

    assert [(e.act.at - SOME_DAY).days for e in audit.entries(query)] == expected
