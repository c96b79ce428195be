"""What every ContentStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.content import SqlContentStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.domain.content import ContentProfile
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.content import ContentStore
from tests.build import SOME_DAY, a_digest, a_version, an_added, an_assessment
from tests.databases import DATABASES, FreshLocation
from tests.fakes.content import FakeContentStore

PROFILE = ContentProfile(name="cis", id="xccdf_org.example_profile_cis", title="Ünïcode")


@dataclass(frozen=True, slots=True)
class Room:
    """A store, and what lets a version be judged by a pack."""

    contents: ContentStore
    judge: Callable[[str, Digest], None]


@pytest.fixture(params=["fake", *DATABASES])
def room(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Room]:
    if request.param == "fake":
        fake = FakeContentStore()
        judged: dict[Digest, set[str]] = {}

        def note(reference: str, digest: Digest) -> None:
            judged.setdefault(digest, set()).add(reference)
            fake.versions[digest] = len(judged[digest])

        yield Room(fake, note)
        return
    with open_database(fresh_location(request.param)) as database:

        def record(reference: str, digest: Digest) -> None:
            scan = an_assessment(content_digest=digest)
            again = replace(scan, profile="another")
            SqlVersionStore(database).add(a_version(reference, assessments=(scan, again)))

        yield Room(SqlContentStore(database), record)


def test_pack_when_kept_then_comes_back_as_it_was(room: Room) -> None:
    content = an_added(profiles=(PROFILE,), releases=("debian:bookworm", "rhel:9"))

    assert room.contents.add(content)
    assert room.contents.all() == [content]


def test_pack_when_its_file_is_kept_twice_then_the_first_stays(room: Room) -> None:
    first = an_added()
    room.contents.add(first)

    assert not room.contents.add(replace(first, added_at=SOME_DAY + timedelta(days=1)))
    assert room.contents.all() == [first]


def test_packs_when_of_one_version_and_other_bytes_then_are_two(room: Room) -> None:
    one, other = an_added(digest=a_digest("one")), an_added(digest=a_digest("other"))
    later = replace(other, added_at=SOME_DAY + timedelta(days=1))
    earlier = an_added("a-pack", digest=a_digest("third"))
    for each in (later, one, earlier):
        assert room.contents.add(each)

    assert room.contents.all() == [earlier, one, later]


def test_pack_when_removed_then_is_gone_once(room: Room) -> None:
    content = an_added()
    room.contents.add(content)

    assert room.contents.remove(content.pack.digest)
    assert not room.contents.remove(content.pack.digest)
    assert room.contents.all() == []
    assert room.contents.add(content)


def test_judged_then_counts_versions_and_not_scans(room: Room) -> None:
    mine, other = a_digest("mine"), a_digest("other")
    room.judge("web@1.0.0/1", mine)
    room.judge("web@1.0.0/2", mine)
    room.judge("web@1.0.0/3", other)

    assert [room.contents.judged(each) for each in (mine, other, a_digest("none"))] == [2, 1, 0]
