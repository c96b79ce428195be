"""Content is added, told of and taken away."""

from pathlib import Path

import pytest

from imagebuilder.domain.audit import AuditAction
from imagebuilder.domain.content import ContentMissing, ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.content import ContentNotPackaged
from imagebuilder.services.equipping import ContentDesk, Equipping
from tests.build import an_added
from tests.fakes.audit import FakeAuditLog
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeContentFiles, FakeContentStore
from tests.fakes.scanning import FakeScanner
from tests.fakes.transactions import FakeTransactions

TWELVE, THIRTEEN = b"content of 12", b"content of 13"


class Desk:
    """A service over files of content, and what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.contents = FakeContentStore()
        self.blobs = FakeBlobStore()
        self.audit = FakeAuditLog()
        there = {"12.xml": TWELVE, "13.xml": THIRTEEN, "passwd": b"no content"}
        packs = [
            an_added(digest=Digest.of_bytes(TWELVE)).pack,
            an_added(
                "ssg-debian13", releases=("debian:trixie",), digest=Digest.of_bytes(THIRTEEN)
            ).pack,
        ]
        self.equipping = Equipping(
            ContentDesk(
                contents=self.contents,
                files=FakeContentFiles(folder, there, packaged=("12.xml", "13.xml")),
                blobs=self.blobs,
                scanner=FakeScanner(packs),
                audit=self.audit,
                transactions=FakeTransactions(),
                clock=FakeClock(),
            ),
            "ann",
        )

    @property
    def told(self) -> list[tuple[str, AuditAction, str]]:
        return [(e.act.actor, e.action, e.subject) for e in self.audit.kept]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_add_when_new_then_pack_file_and_audit_are_kept(desk: Desk) -> None:
    kept = desk.equipping.add("12.xml")

    assert kept.is_new
    assert kept.content.pack.reference == "ssg-debian12 0.1.82"
    assert desk.equipping.list() == [kept.content]
    assert desk.blobs.read(kept.content.pack.digest) == TWELVE
    assert desk.told == [("ann", AuditAction.CONTENT_ADDED, "ssg-debian12")]


def test_add_when_it_is_there_then_nothing_changes(desk: Desk) -> None:
    first = desk.equipping.add("12.xml")

    again = desk.equipping.add("12.xml")

    assert (again.is_new, again.content) == (False, first.content)
    assert len(desk.told) == 1


def test_add_when_its_file_was_lost_then_it_is_there_again(desk: Desk) -> None:
    digest = desk.equipping.add("12.xml").content.pack.digest
    del desk.blobs.contents[digest]

    assert not desk.equipping.add("12.xml").is_new
    assert desk.blobs.has(digest)


def test_add_when_it_is_no_content_then_nothing_is_kept(desk: Desk) -> None:
    with pytest.raises(ContentUnreadable):
        desk.equipping.add("passwd")
    assert not desk.blobs.contents
    assert desk.told == []


def test_fetch_when_a_package_has_several_then_all_are_kept(desk: Desk) -> None:
    desk.equipping.add("12.xml")

    kept = desk.equipping.fetch()

    assert [(each.content.pack.name, each.is_new) for each in kept] == [
        ("ssg-debian12", False),
        ("ssg-debian13", True),
    ]


def test_fetch_when_there_is_none_then_that_is_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.equipping._desk.files.in_package = ()  # type: ignore[attr-defined]  # the fake behind the port

    with pytest.raises(ContentNotPackaged):
        desk.equipping.fetch()


def test_content_when_asked_for_by_release_or_name_then_is_found(desk: Desk) -> None:
    desk.equipping.fetch()

    assert desk.equipping.made_for("debian:trixie").pack.name == "ssg-debian13"
    assert desk.equipping.show("ssg-debian12@0.1.82").pack.name == "ssg-debian12"
    with pytest.raises(ContentMissing):
        desk.equipping.made_for("debian:sid")


def test_remove_when_only_looked_at_then_tells_how_many_it_judged(desk: Desk) -> None:
    content = desk.equipping.add("12.xml").content
    desk.contents.versions[content.pack.digest] = 3

    dropped = desk.equipping.remove("ssg-debian12", is_rehearsal=True)

    assert (dropped.content, dropped.versions) == (content, 3)
    assert desk.equipping.list() == [content]


def test_remove_when_done_then_the_pack_is_gone_and_its_file_left_to_gc(desk: Desk) -> None:
    digest = desk.equipping.add("12.xml").content.pack.digest

    desk.equipping.remove("ssg-debian12")

    assert desk.equipping.list() == []
    assert desk.blobs.has(digest)
    assert ("ann", AuditAction.CONTENT_REMOVED, "ssg-debian12") in desk.told
    with pytest.raises(ContentMissing):
        desk.equipping.remove("ssg-debian12")
