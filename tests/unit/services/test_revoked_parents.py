"""Builds on versions that must not be used any more, and builds that would answer with one."""

from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import ChannelMove, MoveKind
from imagebuilder.domain.ids import ChannelName
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.run import RunState
from imagebuilder.domain.standing import Lifecycle, NewestRevoked, ParentUnusable, Revocation
from tests.build import an_upgrade
from tests.fakes.progress import FakeProgress
from tests.house import BASE, NGINX, WEB, House, a_component_text, a_recipe_text


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def move(house: House, version: ImageVersion) -> None:
    channel = house.channels.channel(version.image, ChannelName("stable"), house.clock.now())
    act = Act(actor="ann", at=house.clock.now())
    kind = MoveKind.SET
    house.channels.add(
        channel, ChannelMove(kind=kind, act=act, old=channel.version_id, new=version.id)
    )


def revoke(
    house: House, version: ImageVersion, *, in_days: float = 0, rolls_channels_back: bool = True
) -> Revocation:
    now = house.clock.now()
    revocation = Revocation(
        id=f"revocation-of-{version.id}-{now}",
        version_id=version.id,
        in_force_at=now + timedelta(days=in_days),
        act=Act(actor="ann", at=now, why="it leaks keys"),
        rolls_channels_back=rolls_channels_back,
    )
    house.standings.revoke(revocation)
    return revocation


def test_build_when_the_parent_is_revoked_then_is_refused_before_anything_is_built(
    house: House,
) -> None:
    base = house.built(BASE)
    revoke(house, base)

    with pytest.raises(ParentUnusable) as caught:
        house.build(WEB)

    assert caught.value.message == "web cannot be built on base@1.0.0/1."
    assert caught.value.context.startswith("It is revoked by ann since ")
    assert caught.value.context.endswith(": it leaks keys")
    assert "imagebuilder image restore base@1.0.0/1" in caught.value.hint
    assert [run.image for run in house.runs.newest(9)] == ["base"]


def test_plan_when_the_parent_is_revoked_then_says_so_too(house: House) -> None:
    revoke(house, house.built(BASE))

    with pytest.raises(ParentUnusable):
        house.prepare(WEB)


def test_build_when_a_higher_parent_is_revoked_then_takes_the_usable_one_and_says_so(
    house: House,
) -> None:
    first = house.built(BASE)
    revoke(house, second := house.built(BASE, refresh=True))

    result = house.build(WEB)

    assert result.version is not None
    assert result.version.parent.version_id == first.id
    (warning,) = result.warnings
    assert warning.startswith(f"{first.reference} is taken as the parent, not {second.reference}.")
    assert warning.endswith(": it leaks keys")


def test_build_when_the_parent_s_channel_moves_then_is_built_on_what_it_means(
    house: House,
) -> None:
    house.documents.documents[WEB] = a_recipe_text("web", "image:base@stable")
    first = house.built(BASE)
    move(house, first)
    web = house.built(WEB)
    house.pending = (an_upgrade("bash"),)
    house.sources.day = "tuesday"
    second = house.built(BASE)
    assert house.build(WEB).is_unchanged

    move(house, second)
    moved = house.build(WEB)

    assert (web.parent.asked, web.parent.version_id) == ("image:base@stable", first.id)
    assert moved.reason == (
        f"its parent image:base@stable was {first.reference} and is {second.reference}"
    )
    assert moved.version is not None
    assert moved.version.parent.version_id == second.id


def test_build_when_the_parent_s_channel_fell_back_then_is_built_on_what_it_means(
    house: House,
) -> None:
    house.documents.documents[WEB] = a_recipe_text("web", "image:base@stable")
    first = house.built(BASE)
    house.pending = (an_upgrade("bash"),)
    house.sources.day = "tuesday"
    second = house.built(BASE)
    for version in (first, second):
        move(house, version)
    house.built(WEB)
    revoke(house, second)

    result = house.build(WEB)

    assert result.version is not None
    assert result.version.parent.version_id == first.id


def test_build_when_the_channel_stays_on_a_revoked_parent_then_is_refused(house: House) -> None:
    house.documents.documents[WEB] = a_recipe_text("web", "image:base@stable")
    base = house.built(BASE)
    move(house, base)
    revoke(house, base, rolls_channels_back=False)

    with pytest.raises(ParentUnusable):
        house.build(WEB)


def test_build_when_the_parent_was_disabled_then_is_refused(house: House) -> None:
    base = house.built(BASE)
    house.standings.set_lifecycle(base.id, Lifecycle.DISABLED, house.clock.now())

    with pytest.raises(ParentUnusable) as caught:
        house.build(WEB)

    assert caught.value.context == "It is disabled."
    assert "restore" not in caught.value.hint


def test_build_when_the_parent_was_restored_then_is_built(house: House) -> None:
    revocation = revoke(house, house.built(BASE))
    house.standings.restore(revocation.id, Act(actor="ann", at=house.clock.now()))

    assert house.build(WEB).version is not None


def test_build_when_the_parent_is_to_be_revoked_then_is_built_with_a_warning(
    house: House,
) -> None:
    revoke(house, house.built(BASE), in_days=1)

    result = house.build(WEB)

    assert result.version is not None
    assert [line for line in result.warnings if "is to be revoked at" in line]


def test_build_when_the_parent_is_revoked_meanwhile_then_nothing_is_recorded_and_layers_stay(
    house: House,
) -> None:
    base = house.built(BASE)

    class RevokingMeanwhile(FakeProgress):
        def step_started(self, name: str) -> None:
            super().step_started(name)
            if name == "record":
                revoke(house, base)

    before = set(house.layers.records)

    with pytest.raises(ParentUnusable):
        house.building.build(house.request(WEB), RevokingMeanwhile())

    assert [version.reference for version in house.versions.versions] == ["base@1.0.0/1"]
    assert house.runs.newest(1)[0].state is RunState.FAILED
    assert set(house.layers.records) > before


def test_build_when_nothing_changed_since_a_revoked_version_then_is_refused(
    house: House,
) -> None:
    web = house.built(WEB)
    revoke(house, web)

    with pytest.raises(NewestRevoked) as caught:
        house.build(WEB)

    assert "web@1.0.0/1" in caught.value.message
    assert caught.value.context.endswith(": it leaks keys")
    assert len(house.versions.versions) == 2


def test_build_when_a_revoked_version_was_mended_then_the_next_is_built(house: House) -> None:
    revoke(house, house.built(WEB))
    house.documents.documents[NGINX] = a_component_text("nginx", command="mended")

    result = house.build(WEB)

    assert result.version is not None
    assert result.version.reference == "web@1.0.1/1"


def test_build_when_from_scratch_then_a_revoked_newest_does_not_matter(house: House) -> None:
    revoke(house, house.built(WEB))

    assert house.build(WEB, refresh=True).version is not None


def test_build_when_the_newest_was_disabled_then_it_is_built_again(house: House) -> None:
    web = house.built(WEB)
    house.standings.set_lifecycle(web.id, Lifecycle.DISABLED, house.clock.now())

    assert house.build(WEB).reason == "it was disabled"


def test_build_when_the_parent_is_deprecated_then_it_is_told(house: House) -> None:
    base = house.built(BASE)
    house.standings.set_lifecycle(base.id, Lifecycle.DEPRECATED, house.clock.now())

    told = house.build(WEB).warnings

    assert [text for text in told if "base@1.0.0/1 is deprecated" in text] != []
