from dataclasses import replace

import pytest

from imagebuilder.domain.audit import Act, AuditAction, AuditEntry
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import (
    ReferenceMalformed,
    VersionDraft,
    VersionNotFound,
)
from imagebuilder.services.cataloguing import Cataloguing, Records
from tests.build import a_digest, a_draft, a_package, a_parent, a_version
from tests.catalogues import a_cataloguing
from tests.fakes.audit import FakeAuditLog
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.transactions import FakeTransactions


@pytest.fixture
def versions() -> FakeVersionStore:
    return FakeVersionStore()


@pytest.fixture
def cataloguing(versions: FakeVersionStore) -> Cataloguing:
    return a_cataloguing(versions)


def test_record_when_first_of_its_image_then_is_kept_under_its_first_number(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    recorded = cataloguing.record(a_draft("debian-web", "1.2.x"))

    assert recorded.reference == "debian-web@1.2.0/1"
    assert recorded.id == "version-000001"
    assert recorded.created_at == FakeClock().now()
    assert versions.versions == [recorded]


def test_record_when_recorded_then_keeps_all_of_the_draft(cataloguing: Cataloguing) -> None:
    draft = a_draft(packages=(a_package("b"), a_package("a"), a_package("b")))

    recorded = cataloguing.record(draft)

    for field in set(VersionDraft.__slots__) - {"asked", "packages"}:
        assert getattr(recorded, field) == getattr(draft, field)
    assert recorded.packages == (a_package("a"), a_package("b"))


@pytest.mark.parametrize(
    ("before", "asked", "definition", "expected"),
    [
        pytest.param([], "1.2.3", "a", "1.2.3/1", id="fixed, first"),
        pytest.param([("1.2.3/1", "b")], "1.2.3", "a", "1.2.3/2", id="fixed, changed"),
        pytest.param([("1.2.0/1", "a")], "1.2.x", "a", "1.2.0/2", id="same definition"),
        pytest.param([("1.2.0/1", "b")], "1.2.x", "a", "1.2.1/1", id="other definition"),
        pytest.param(
            [("1.2.0/1", "a"), ("1.2.1/1", "b")], "1.2.x", "a", "1.2.2/1", id="back to an older one"
        ),
        pytest.param(
            [("1.2.0/1", "b"), ("1.2.0/2", "a")], "1.2.x", "a", "1.2.0/3", id="newest build counts"
        ),
        pytest.param(
            [("1.2.4/1", "a"), ("2.0.0/1", "b")], "1.2.x", "a", "1.2.4/2", id="its own line counts"
        ),
        pytest.param([("1.3.0/1", "a")], "1.2.x", "a", "1.2.0/1", id="another line does not"),
    ],
)
def test_record_when_builds_came_before_then_takes_the_next_number(
    before: list[tuple[str, str]], asked: str, definition: str, expected: str
) -> None:
    versions = FakeVersionStore()
    for build, seed in before:
        versions.add(a_version(f"debian-web@{build}", definition_digest=a_digest(seed)))
    versions.add(a_version("other@1.2.9/9", definition_digest=a_digest(definition)))

    draft = a_draft("debian-web", asked, definition_digest=a_digest(definition))
    recorded = a_cataloguing(versions).record(draft)

    assert str(recorded.version) == expected


def test_record_when_recorded_then_is_told_in_the_same_transaction() -> None:
    transactions, audit = FakeTransactions(), FakeAuditLog()
    records = Records(versions=FakeVersionStore(), audit=audit, transactions=transactions)

    recorded = Cataloguing(records, FakeClock(), FakeIds(), "ann").record(a_draft())

    assert transactions.committed == 1
    assert audit.kept == [
        AuditEntry(
            act=Act(actor="ann", at=recorded.created_at),
            action=AuditAction.VERSION_RECORDED,
            subject=recorded.reference,
            after={"id": recorded.id, "run": recorded.run_id},
        )
    ]


def test_record_when_its_run_has_a_version_then_gives_that_and_tells_nothing() -> None:
    audit, draft = FakeAuditLog(), a_draft()
    versions = FakeVersionStore()
    records = Records(versions=versions, audit=audit, transactions=FakeTransactions())
    cataloguing = Cataloguing(records, FakeClock(), FakeIds(), "ann")
    recorded = cataloguing.record(draft)

    assert cataloguing.record(replace(draft, reports=())) == recorded
    assert versions.versions == [recorded]
    assert len(audit.kept) == 1
    assert cataloguing.of_run(draft.run_id) == recorded


def test_record_when_parent_is_gone_then_is_refused(cataloguing: Cataloguing) -> None:
    with pytest.raises(VersionNotFound):
        cataloguing.record(a_draft(parent=a_parent("version-gone")))


def test_newest_when_asked_then_gives_what_was_recorded_last(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("debian-web@2.0.0/1"))
    versions.add(a_version("debian-web@1.0.0/1"))

    assert cataloguing.newest(ImageName("debian-web")) == versions.versions[1]
    assert cataloguing.newest(ImageName("other")) is None


def test_show_when_reference_means_one_then_gives_it(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("debian-web@1.0.0/1", id=VersionId("version-abc")))

    assert cataloguing.show("debian-web@1.x") == versions.versions[0]
    assert cataloguing.show("version-a") == versions.versions[0]


@pytest.mark.parametrize("text", ["", "@1.x", "web@", "web@x.1", "web@1.2/3", "web@1.2.3/0"])
def test_show_when_reference_means_nothing_then_is_malformed(
    cataloguing: Cataloguing, text: str
) -> None:
    with pytest.raises(ReferenceMalformed):
        cataloguing.show(text)


def test_packages_when_asked_then_gives_the_version_s_own(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1", packages=(a_package("b"), a_package("a"))))

    assert [package.name for package in cataloguing.packages("web")] == ["a", "b"]


def test_list_when_no_image_is_named_then_gives_all(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("base@1.0.0/1"))

    assert [str(summary.image) for summary in cataloguing.list()] == ["base", "web"]
    assert [str(summary.image) for summary in cataloguing.list("web")] == ["web"]


def test_list_when_image_has_no_versions_then_names_those_that_have(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("web@1.0.0/1"))
    versions.add(a_version("web@1.0.0/2"))

    with pytest.raises(VersionNotFound) as caught:
        cataloguing.list("wep")

    assert caught.value.context == "There are web."


def test_list_when_nothing_is_recorded_then_is_empty(cataloguing: Cataloguing) -> None:
    assert cataloguing.list() == []


def test_list_when_name_is_mistyped_then_asks_what_was_meant(
    cataloguing: Cataloguing, versions: FakeVersionStore
) -> None:
    versions.add(a_version("debian-web@1.0.0/1"))

    with pytest.raises(VersionNotFound) as caught:
        cataloguing.list("debain-web")

    assert "Did you mean debian-web?" in caught.value.hint
