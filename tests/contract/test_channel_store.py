"""What every ChannelStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import LATEST, Channel, ChannelGate, ChannelMove, MoveKind
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ChannelName, ImageName
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.severity import Severity
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.ports.channels import ChannelMoved
from tests.catalogues import CATALOGUES, STABLE, WEB, Catalogue, a_catalogue, day
from tests.databases import FreshLocation


@pytest.fixture(params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> Iterator[Catalogue]:
    with a_catalogue(request.param, fresh_location) as made:
        yield made


def test_channel_when_it_never_was_then_has_no_version(catalogue: Catalogue) -> None:
    catalogue.record("web@1.0.0/1")

    found = catalogue.channels.channel(WEB, STABLE, day(1))

    assert found == Channel(image=WEB, name=STABLE, version_id=None)
    assert catalogue.channels.moves(WEB, STABLE, day(1)) == ()


def test_channel_when_moved_then_means_the_version_from_then_on(catalogue: Catalogue) -> None:
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    first = catalogue.move(one, day(1))
    second = catalogue.move(two, day(2), MoveKind.PROMOTED)

    assert [catalogue.meant(day(number)) for number in (0, 1, 1.9, 2)] == [
        None,
        one.id,
        one.id,
        two.id,
    ]
    assert list(catalogue.channels.moves(WEB, STABLE, day(9))) == [first, second]
    assert list(catalogue.channels.moves(WEB, STABLE, day(1))) == [first]
    assert catalogue.channels.channel(WEB, STABLE, day(9)) == Channel(
        image=WEB, name=STABLE, version_id=two.id, moves_seen=2, moved=second.act
    )


def test_move_when_added_then_comes_back_as_it_was(catalogue: Catalogue) -> None:
    version = catalogue.record("web@1.0.0/1")
    move = ChannelMove(
        kind=MoveKind.PROMOTED,
        act=Act(actor="zoë", at=day(1), why="ü"),
        old=None,
        new=version.id,
        source=ChannelName("candidate"),
    )

    catalogue.channels.add(catalogue.channels.channel(WEB, STABLE, day(1)), move)

    assert list(catalogue.channels.moves(WEB, STABLE, day(1))) == [move]


def test_add_when_moved_since_it_was_seen_then_is_refused(catalogue: Catalogue) -> None:
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    seen = catalogue.channels.channel(WEB, STABLE, day(1))
    catalogue.move(one, day(1))
    late = ChannelMove(kind=MoveKind.SET, act=Act(actor="cas", at=day(1)), old=None, new=two.id)

    with pytest.raises(ChannelMoved) as caught:
        catalogue.channels.add(seen, late)

    assert catalogue.meant(day(1)) == one.id
    assert caught.value.context == "It was at no version and is at web@1.0.0/1 now."


def test_add_when_image_was_never_built_then_is_not_found(catalogue: Catalogue) -> None:
    seen = catalogue.channels.channel(WEB, STABLE, day(1))
    move = ChannelMove(kind=MoveKind.UNSET, act=Act(actor="cas", at=day(1)), old=None, new=None)

    with pytest.raises(VersionNotFound):
        catalogue.channels.add(seen, move)


def test_channel_when_its_version_is_revoked_then_falls_back_at_that_moment(
    catalogue: Catalogue,
) -> None:
    base = catalogue.record("base@1.0.0/1")
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2", on=base)
    catalogue.move(one, day(1))
    catalogue.move(two, day(2))
    catalogue.revoke(base, day(3))

    assert catalogue.meant(day(2.9)) == two.id
    assert catalogue.meant(day(3)) == one.id
    assert catalogue.channels.moves(WEB, STABLE, day(3))[-1] == ChannelMove(
        kind=MoveKind.FELL_BACK,
        act=Act(actor="ann", at=day(3), why="it leaks keys"),
        old=two.id,
        new=one.id,
    )
    assert catalogue.channels.channel(WEB, STABLE, day(3)).moves_seen == 2


def test_channel_when_revocation_is_restored_then_stays_where_it_fell(
    catalogue: Catalogue,
) -> None:
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    catalogue.move(one, day(1))
    catalogue.move(two, day(2))
    kept = catalogue.revoke(two, day(3))
    catalogue.standings.restore(kept.id, Act(actor="ann", at=day(4)))

    assert catalogue.meant(day(5)) == one.id


def test_channel_when_all_it_held_was_deleted_then_has_none_and_is_listed(
    catalogue: Catalogue,
) -> None:
    version = catalogue.record("web@1.0.0/1")
    catalogue.move(version, day(1))
    catalogue.standings.set_lifecycle(version.id, Lifecycle.DELETED, day(2))

    listed = catalogue.channels.channels(WEB, day(3))

    assert [(c.name, c.version_id) for c in listed] == [(LATEST, None), (STABLE, None)]


def test_channel_when_told_not_to_fall_back_then_stays(catalogue: Catalogue) -> None:
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    catalogue.move(one, day(1))
    catalogue.move(two, day(2))
    catalogue.revoke(two, day(3), rolls_channels_back=False)

    assert catalogue.meant(day(4)) == two.id


def test_channel_when_it_held_many_unusable_ones_then_finds_the_last_usable(
    catalogue: Catalogue,
) -> None:
    versions = [catalogue.record(f"web@1.0.0/{number}") for number in range(1, 121)]
    for number, version in enumerate(versions, start=1):
        catalogue.move(version, day(number))
    for version in versions[10:]:
        catalogue.revoke(version, day(200))

    assert catalogue.meant(day(200)) == versions[9].id


def test_latest_when_highest_is_not_usable_then_is_the_highest_usable(
    catalogue: Catalogue,
) -> None:
    versions = [
        catalogue.record(f"web@{number}")
        for number in ("1.0.0/1", "1.0.0/2", "1.9.0/1", "1.10.0/1", "1.10.0/2")
    ]
    catalogue.revoke(versions[4], day(2))
    catalogue.standings.set_lifecycle(versions[3].id, Lifecycle.DISABLED, day(3))

    meant = [catalogue.meant(day(number), LATEST) for number in (1, 2, 3)]

    assert meant == [versions[4].id, versions[3].id, versions[2].id]


def test_latest_when_most_are_unusable_then_is_found_below_them(catalogue: Catalogue) -> None:
    versions = [catalogue.record(f"web@1.0.0/{number}") for number in range(1, 41)]
    for version in versions[1:]:
        catalogue.revoke(version, day(1))

    assert catalogue.meant(day(1), LATEST) == versions[0].id


def test_latest_when_nothing_was_recorded_yet_then_is_none(catalogue: Catalogue) -> None:
    catalogue.record("web@1.0.0/1")

    assert catalogue.meant(day(-1), LATEST) is None
    assert catalogue.channels.channel(ImageName("other"), LATEST, day(1)).version_id is None


def test_channels_when_of_all_images_then_are_sorted_and_without_unset_ones(
    catalogue: Catalogue,
) -> None:
    one, two = catalogue.record("web@1.0.0/1"), catalogue.record("web@1.0.0/2")
    base = catalogue.record("base@1.0.0/1")
    catalogue.move(one, day(1), name=ChannelName("candidate"))
    catalogue.move(two, day(1))
    catalogue.move(one, day(1), name=ChannelName("gone"))
    catalogue.move(None, day(2), MoveKind.UNSET, ChannelName("gone"))
    catalogue.channels.set_gate(WEB, ChannelName("gated"), ChannelGate(soak_seconds=1))

    found = catalogue.channels.channels(None, day(3))

    assert [(c.reference, c.version_id) for c in found] == [
        ("base@latest", base.id),
        ("web@candidate", one.id),
        ("web@latest", two.id),
        ("web@stable", two.id),
    ]
    assert [c.name for c in catalogue.channels.channels(WEB, day(1.5))] == [
        "candidate",
        "gone",
        "latest",
        "stable",
    ]
    assert catalogue.channels.channels(ImageName("other"), day(3)) == []


def test_gate_when_kept_then_comes_back_until_cleared(catalogue: Catalogue) -> None:
    catalogue.record("web@1.0.0/1")
    gate = ChannelGate(
        after=ChannelName("candidate"),
        soak_seconds=86400,
        stages=(Stage.BOOTED, Stage.OFFLINE),
        assurance=AssuranceGate(
            fail_on=Severity.HIGH,
            is_only_fixable=True,
            stops_known_exploited=True,
            profile="cis",
            min_coverage=0.6,
            max_data_age_seconds=60,
            tests=("booted", "pack:ssh"),
        ),
    )

    catalogue.channels.set_gate(WEB, STABLE, gate)
    kept = catalogue.channels.channel(WEB, STABLE, day(1))
    catalogue.channels.set_gate(WEB, STABLE, None)

    assert (kept.gate, kept.moves_seen) == (gate, 0)
    assert catalogue.channels.channel(WEB, STABLE, day(1)).gate is None


def test_gate_when_image_was_never_built_then_is_not_found(catalogue: Catalogue) -> None:
    with pytest.raises(VersionNotFound):
        catalogue.channels.set_gate(WEB, STABLE, ChannelGate())


def test_holding_when_channels_fell_back_then_names_those_that_mean_each(
    catalogue: Catalogue,
) -> None:
    one, two, three = (catalogue.record(f"web@1.0.0/{number}") for number in (1, 2, 3))
    base = catalogue.record("base@1.0.0/1")
    for version, moment in ((one, day(1)), (two, day(2))):
        catalogue.move(version, moment)
        catalogue.move(version, moment, name=ChannelName("candidate"))
    catalogue.move(three, day(3), name=ChannelName("candidate"))
    catalogue.revoke(two, day(4))

    found = catalogue.channels.holding([v.id for v in (one, two, three, base)], day(4))

    assert {each: list(names) for each, names in found.items()} == {
        one.id: ["stable"],
        two.id: [],
        three.id: ["candidate", "latest"],
        base.id: ["latest"],
    }
