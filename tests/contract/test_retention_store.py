"""What retention is told by a catalogue, and what it keeps there: SQLite and PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.retention import SqlRetentionStore
from imagebuilder.adapters.sql.standings import SqlStandingStore
from imagebuilder.domain.audit import Act
from imagebuilder.domain.image import DocumentText, ImageVersion
from imagebuilder.domain.retention import Decision, Verdict
from imagebuilder.domain.retirement import RetentionPlan, RetentionPlanNotFound
from imagebuilder.domain.standing import Lifecycle
from tests.build import SOME_DAY, a_digest, a_layer, a_parent, a_version, an_artifact, an_assessment
from tests.databases import DATABASES, FreshLocation


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Database]:
    with open_database(fresh_location(request.param)) as opened:
        yield opened


def went(database: Database, version: ImageVersion, *lifecycles: Lifecycle) -> None:
    for days, lifecycle in enumerate(lifecycles):
        at = SOME_DAY + timedelta(days=days)
        SqlStandingStore(database).set_lifecycle(version.id, lifecycle, at)


def a_plan(plan_id: str = "retention-1") -> RetentionPlan:
    version = a_version()
    decision = Decision(
        id=version.id,
        reference=version.reference,
        image=version.image,
        created_at=SOME_DAY,
        lifecycle=Lifecycle.DEPRECATED,
        verdict=Verdict.WAIT,
        reasons=("disable later",),
        rules=("web",),
        next_step=Verdict.DISABLE,
        due_at=SOME_DAY + timedelta(days=3),
    )
    text = DocumentText(kind="retention", name="web.yaml", text="kind: é", digest=a_digest("x"))
    return RetentionPlan(
        id=plan_id,
        made=Act(actor="me", at=SOME_DAY),
        at=SOME_DAY,
        documents=(text,),
        decisions=(decision,),
        frees_bytes={version.id: 2**40},
        freed_bytes=2**40,
    )


def test_subjects_tell_how_far_versions_went_and_their_children(database: Database) -> None:
    base = a_version("base@1.0.0/1")
    child = a_version("web@1.0.0/1", parent=a_parent(base.id))
    copy = a_version("copy@1.0.0/1", copied_from=base.id)
    gone = a_version("web@1.0.0/2", parent=a_parent(base.id))
    for version in (base, child, copy, gone):
        SqlVersionStore(database).add(version)
    went(database, gone, Lifecycle.DEPRECATED, Lifecycle.DISABLED, Lifecycle.DELETED)
    went(database, child, Lifecycle.DEPRECATED, Lifecycle.DISABLED)

    found = SqlRetentionStore(database).subjects()
    (only,) = SqlRetentionStore(database).subjects(["base"])

    assert [subject.id for subject in found] == [base.id, child.id, copy.id]
    assert found[1].lifecycle is Lifecycle.DISABLED
    assert found[1].since_at == SOME_DAY + timedelta(days=1)
    assert set(only.children) == {child.reference, copy.reference}
    assert only == found[0]


def test_users_count_the_versions_that_are_not_deleted(database: Database) -> None:
    disk = an_artifact(seed="shared")
    shared, own = a_layer("root"), a_layer("own")
    first = a_version("web@1.0.0/1", artifacts=(disk,), layers=(shared,))
    second = a_version("web@1.0.0/2", artifacts=(disk,), layers=(shared, own))
    gone = a_version("web@1.0.0/3", artifacts=(an_artifact(seed="gone"),), layers=(a_layer("x"),))
    for version in (first, second, gone):
        SqlVersionStore(database).add(version)
    went(database, gone, Lifecycle.DELETED)

    users = SqlRetentionStore(database).users()

    assert users.blobs == {disk.digest: 2}
    assert users.layers == {shared.content: 2, own.content: 1}


def test_evidence_is_what_scans_said_and_were_made_with_of_deleted_versions_too(
    database: Database,
) -> None:
    version = a_version(
        reports=(), assessments=(an_assessment(), an_assessment(report=None, raw=None))
    )
    SqlVersionStore(database).add(version)
    went(database, version, Lifecycle.DELETED)

    files = ("ssg", "report.html", "arf")
    assert SqlRetentionStore(database).evidence() == frozenset(map(a_digest, files))


def test_version_when_deleted_is_unfreed_until_that_is_said(database: Database) -> None:
    version, store = a_version(), SqlRetentionStore(database)
    SqlVersionStore(database).add(version)
    went(database, version, Lifecycle.DEPRECATED, Lifecycle.DISABLED, Lifecycle.DELETED)
    before = store.unfreed()

    store.set_freed(version.id, SOME_DAY)

    assert (before, store.unfreed()) == ([version.id], [])


def test_version_when_reactivated_is_active_unless_it_is_deleted(database: Database) -> None:
    back, gone = a_version("web@1.0.0/1"), a_version("web@1.0.0/2")
    store = SqlRetentionStore(database)
    for version in (back, gone):
        SqlVersionStore(database).add(version)
    went(database, back, Lifecycle.DEPRECATED, Lifecycle.DISABLED)
    went(database, gone, Lifecycle.DEPRECATED, Lifecycle.DELETED)

    store.reactivate(back.id)
    store.reactivate(gone.id)

    standings = SqlStandingStore(database).standings(
        [back.id, gone.id], SOME_DAY.max.replace(tzinfo=SOME_DAY.tzinfo)
    )
    assert standings[back.id].lifecycle is Lifecycle.ACTIVE
    assert standings[gone.id].lifecycle is Lifecycle.DELETED


def test_plan_when_kept_comes_back_as_it_was_and_is_applied_once_said(database: Database) -> None:
    store, plan = SqlRetentionStore(database), a_plan()
    store.add(plan)
    before = store.plan("retention-")

    store.set_applied(plan.id, SOME_DAY)

    assert before == plan
    assert [each.applied_at for each in store.plans(5)] == [SOME_DAY]


def test_plan_when_its_start_is_not_unique_is_not_given(database: Database) -> None:
    store = SqlRetentionStore(database)
    store.add(a_plan("retention-1"))
    store.add(a_plan("retention-2"))

    with pytest.raises(RetentionPlanNotFound, match="Several"):
        store.plan("retention-")
