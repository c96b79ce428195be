"""What every StandingStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import ImageVersion, VersionNotFound
from imagebuilder.domain.standing import Lifecycle, State
from tests.catalogues import CATALOGUES, Catalogue, a_catalogue, day
from tests.databases import FreshLocation


@pytest.fixture(params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Catalogue]:
    with a_catalogue(request.param, fresh_location) as made:
        yield made


def state(catalogue: Catalogue, version: ImageVersion, at: float) -> State:
    return catalogue.standings.standings([version.id], day(at))[version.id].state


def test_standings_when_nothing_was_said_then_is_active(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")

    standing = catalogue.standings.standings([version.id], day(1))[version.id]

    assert (standing.state, standing.is_usable, standing.revocation) == (State.ACTIVE, True, None)


def test_standings_when_id_is_unknown_then_is_left_out(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")

    found = catalogue.standings.standings([VersionId("gone"), version.id], day(1))

    assert list(found) == [version.id]


def test_standings_when_nothing_is_asked_then_gives_nothing(catalogue: Catalogue) -> None:
    assert catalogue.standings.standings([], day(1)) == {}


def test_revocation_when_kept_then_comes_back_as_it_was(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    first = catalogue.revoke(version, day(3), reaches_descendants=False)
    second = catalogue.revoke(
        version, day(2), act=Act(actor="zoë", at=day(1), why="ü"), rolls_channels_back=False
    )

    assert catalogue.standings.revocations(version.id) == [first, second]


def test_revocation_when_scheduled_then_comes_into_force_by_itself(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    catalogue.revoke(version, day(2))

    assert state(catalogue, version, 1.99) is State.REVOCATION_SCHEDULED
    assert state(catalogue, version, 2) is State.REVOKED


def test_revocation_when_restored_then_no_longer_holds_and_is_kept(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    kept = catalogue.revoke(version, day(2))
    restoring = Act(actor="cas", at=day(3), why="false alarm")

    catalogue.standings.restore(kept.id, restoring)

    assert state(catalogue, version, 2.5) is State.REVOKED
    assert state(catalogue, version, 3) is State.ACTIVE
    assert catalogue.standings.revocations(version.id) == [replace(kept, restored=restoring)]


def test_revocation_when_line_is_deep_then_reaches_all_below(catalogue: Catalogue) -> None:
    line = [catalogue.record("base@1.0.0/1")]
    for number in range(1, 40):
        line.append(catalogue.record(f"i{number}@1.0.0/1", on=line[-1]))
    beside = catalogue.record("beside@1.0.0/1", on=line[3])
    kept = catalogue.revoke(line[4], day(1))

    found = catalogue.standings.standings([v.id for v in (*line, beside)], day(1))

    assert [found[v.id].is_revoked for v in line] == [False] * 4 + [True] * 36
    assert found[line[-1].id].revocation == kept
    assert found[line[-1].id].is_inherited
    assert not found[beside.id].is_revoked


def test_revocation_when_bits_were_copied_then_reaches_copies_and_what_is_built_on_them(
    catalogue: Catalogue,
) -> None:
    base = catalogue.record("base@1.0.0/1")
    source = catalogue.record("web@1.0.0/1", on=base)
    copy = catalogue.record("ours@1.0.0/1", on=base, copy_of=source)
    child = catalogue.record("app@1.0.0/1", on=copy)
    catalogue.revoke(source, day(1))

    assert state(catalogue, child, 2) is State.REVOKED
    assert state(catalogue, copy, 2) is State.REVOKED
    assert state(catalogue, base, 2) is State.ACTIVE


def test_revocation_when_it_spares_descendants_then_they_are_active(catalogue: Catalogue) -> None:
    base = catalogue.record("base@1.0.0/1")
    web = catalogue.record("web@1.0.0/1", on=base)
    catalogue.revoke(base, day(1), reaches_descendants=False)

    assert state(catalogue, base, 2) is State.REVOKED
    assert state(catalogue, web, 2) is State.ACTIVE


def test_revocation_when_version_is_unknown_then_is_not_found(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")

    with pytest.raises(VersionNotFound):
        catalogue.revoke(replace(version, id=VersionId("gone")), day(1))


def test_lifecycle_when_it_goes_on_then_holds_from_each_moment_on(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DEPRECATED, day(1))
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DISABLED, day(2))
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DELETED, day(3))

    states = [state(catalogue, version, number) for number in (0.5, 1, 2, 3)]

    assert states == [State.ACTIVE, State.DEPRECATED, State.DISABLED, State.DELETED]


def test_lifecycle_when_version_went_further_then_stays(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DELETED, day(1))
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DEPRECATED, day(2))
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DELETED, day(3))

    assert state(catalogue, version, 1) is State.DELETED
    assert state(catalogue, version, 4) is State.DELETED


def test_lifecycle_when_version_is_unknown_then_is_not_found(catalogue: Catalogue) -> None:
    with pytest.raises(VersionNotFound):
        catalogue.standings.set_lifecycle(VersionId("gone"), Lifecycle.DELETED, day(1))


def test_lifecycle_when_of_a_parent_then_children_are_not_touched(catalogue: Catalogue) -> None:
    base = catalogue.record("base@1.0.0/1")
    web = catalogue.record("web@1.0.0/1", on=base)
    catalogue.standings.set_lifecycle(base.id, Lifecycle.DELETED, day(1))

    assert state(catalogue, web, 2) is State.ACTIVE
