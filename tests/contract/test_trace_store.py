"""What every TraceStore finds: in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.traces import SqlTraceStore
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.trace import Trace, TraceKind
from tests.build import a_digest, a_layer, a_version, an_artifact
from tests.databases import DATABASES, FreshLocation

ONE, TWO = VersionId("one"), VersionId("two")


@pytest.fixture(params=DATABASES)
def versions(
    request: pytest.FixtureRequest, fresh_location: FreshLocation
) -> Iterator[SqlVersionStore]:
    with open_database(fresh_location(request.param)) as database:
        yield SqlVersionStore(database)


@pytest.fixture
def traces(versions: SqlVersionStore) -> SqlTraceStore:
    return SqlTraceStore(versions._database)


def test_traces_of_a_digest_then_gives_its_versions_the_last_recorded_first(
    versions: SqlVersionStore, traces: SqlTraceStore
) -> None:
    disk = an_artifact(seed="file")
    for build, version_id in ((1, ONE), (2, TWO)):
        versions.add(a_version(f"web@1.0.0/{build}", id=version_id, artifacts=(disk, disk)))

    assert traces.traces(disk.digest.hex) == [
        Trace(kind=TraceKind.ARTIFACT, name="qcow2", versions=(TWO, ONE), digest=disk.digest)
    ]
    assert traces.traces(disk.digest.hex[:8]) == traces.traces(disk.digest.hex)
    assert traces.traces(disk.digest.hex[:-1] + "z") == []


def test_traces_of_a_layer_then_gives_all_that_stands_on_it(
    versions: SqlVersionStore, traces: SqlTraceStore
) -> None:
    root, nginx = a_layer("root"), a_layer("nginx")
    versions.add(a_version("base@1.0.0/1", id=ONE, layers=(root,)))
    versions.add(a_version("web@1.0.0/1", id=TWO, layers=(root, nginx)))

    (found,) = traces.traces(root.content.hex)
    assert (found.kind, found.name, found.versions) == (TraceKind.LAYER, "root", (TWO, ONE))
    (component,) = traces.traces(a_digest("nginx 1.0.0").hex)
    assert (component.kind, component.name) == (TraceKind.COMPONENT, "nginx 1.0.0")
    assert component.versions == (TWO,)


def test_traces_when_versions_are_many_then_gives_the_newest_and_says_so(
    versions: SqlVersionStore, traces: SqlTraceStore
) -> None:
    for build in range(1, 23):
        versions.add(a_version(f"web@1.0.0/{build}", id=VersionId(f"v{build}")))

    (plan,) = traces.traces(a_digest("plan").hex)

    assert plan.has_more
    assert plan.versions[0] == "v22"
    assert len(plan.versions) == 20


def test_of_run_then_gives_what_it_recorded(
    versions: SqlVersionStore, traces: SqlTraceStore
) -> None:
    versions.add(replace(a_version("web@1.0.0/1", id=ONE), run_id=RunId("run-7")))
    versions.add(a_version("web@1.0.0/2", id=TWO))

    assert traces.of_run(RunId("run-7")) == [ONE]
    assert traces.of_run(RunId("run-")) == []
