"""What UpdateOS would answer today, told from what it answered then."""

from dataclasses import replace

import pytest

from imagebuilder.domain.forecast import Forecast, forecast
from imagebuilder.domain.ground import Ground
from imagebuilder.domain.offers import PackageIndex
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import HeldPackage, HoldReason, PlannedUpdate, UpdateScope
from tests.build import an_upgrade
from tests.fakes.archives import SECURITY, an_index

ALL = UpdateScope()
GROUND = Ground(architecture="amd64", packages={("bash", "amd64"): "1", ("zlib", "amd64"): "1"})


def answer(
    *upgrades: Upgrade, held: tuple[HeldPackage, ...] = (), scopes: tuple[UpdateScope, ...] = (ALL,)
) -> dict[str, PlannedUpdate]:
    return {"Do": PlannedUpdate(upgrades=upgrades, held=held, scopes=scopes)}


def a_held(name: str, reason: HoldReason) -> HeldPackage:
    return HeldPackage(name=name, version="1", available="2", reason=reason)


def test_forecast_when_nothing_newer_is_there_then_it_is_as_before() -> None:
    found = forecast(GROUND, answer(), [an_index(bash="1", zlib="0.9", other="7")])

    assert found.is_as_before


def test_forecast_when_something_newer_is_there_then_says_what() -> None:
    indexes = [an_index(bash="1", zlib="1"), an_index(SECURITY, zlib="2")]

    found = forecast(GROUND, answer(), indexes)

    assert found == Forecast(upgrades=(an_upgrade("zlib", old="1", new="2"),))
    assert found.upgrades[0].is_security
    assert found.upgrades[0].origin == "Debian-Security:12/stable-security"


def test_forecast_when_it_was_upgraded_to_that_then_it_is_as_before() -> None:
    upgraded = answer(an_upgrade("zlib", old="1", new="2"))

    assert forecast(GROUND, upgraded, [an_index(zlib="2")]).is_as_before


def test_forecast_when_what_it_was_upgraded_to_is_old_then_counts_from_there() -> None:
    upgraded = answer(an_upgrade("zlib", old="1", new="2"), an_upgrade("new", old="", new="1"))

    found = forecast(GROUND, upgraded, [an_index(zlib="3", new="2")])

    assert found.upgrades == (
        an_upgrade("new", old="1", new="2"),
        an_upgrade("zlib", old="2", new="3"),
    )


def test_forecast_when_what_it_was_upgraded_to_is_gone_then_apt_is_to_say() -> None:
    upgraded = answer(an_upgrade("zlib", old="1", new="2"))

    found = forecast(GROUND, upgraded, [an_index(zlib="1")])

    assert found.unclear == ("the archives have no zlib 2 any more",)
    assert not found.is_as_before


def test_forecast_when_a_package_is_for_all_architectures_then_it_is_the_native_one() -> None:
    index = PackageIndex(release=SECURITY, packages={"bash": (("2", "all"),)})

    found = forecast(GROUND, answer(), [index])

    assert [u.name for u in found.upgrades] == ["bash"]


def test_forecast_when_it_is_for_another_architecture_then_it_is_not_taken() -> None:
    index = PackageIndex(release=SECURITY, packages={"bash": (("2", "i386"),)})

    assert forecast(GROUND, answer(), [index]).is_as_before


def test_forecast_when_a_package_is_marked_then_it_stays() -> None:
    marked = replace(GROUND, marked=frozenset({("zlib", "amd64")}))

    assert forecast(marked, answer(), [an_index(zlib="2")]).is_as_before


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (UpdateScope(include=("ba*",)), ["bash"]),
        (UpdateScope(exclude=("ba?h",)), ["zlib"]),
        (UpdateScope(is_security_only=True), ["zlib"]),
        (UpdateScope(is_security_only=True, exclude=("zlib",)), []),
    ],
)
def test_forecast_when_only_some_are_wanted_then_only_these_count(
    scope: UpdateScope, taken: list[str]
) -> None:
    indexes = [an_index(bash="2"), an_index(SECURITY, zlib="2")]

    found = forecast(GROUND, answer(scopes=(scope,)), indexes)

    assert [u.name for u in found.upgrades] == taken


def test_forecast_when_security_needs_a_new_package_from_elsewhere_then_it_is_as_before() -> None:
    scope = UpdateScope(is_security_only=True)
    taken = answer(
        an_upgrade("zlib", old="1", new="2"), an_upgrade("new", old="", new="5"), scopes=(scope,)
    )

    assert forecast(GROUND, taken, [an_index(new="5"), an_index(SECURITY, zlib="2")]).is_as_before


def test_forecast_when_no_step_was_due_then_it_is_as_before() -> None:
    assert forecast(GROUND, answer(scopes=()), [an_index(bash="2")]).is_as_before


@pytest.mark.parametrize(
    ("reason", "unclear"),
    [
        (HoldReason.KEPT, ("zlib was kept back, which may be over",)),
        (HoldReason.PHASED, ("zlib was kept back, which may be over",)),
        (HoldReason.EXCLUDED, ()),
    ],
)
def test_forecast_when_a_package_stayed_then_apt_is_to_say_only_where_it_may_choose(
    reason: HoldReason, unclear: tuple[str, ...]
) -> None:
    scope = UpdateScope(exclude=("zlib",)) if reason is HoldReason.EXCLUDED else ALL
    kept = answer(held=(a_held("zlib", reason),), scopes=(scope,))

    found = forecast(GROUND, kept, [an_index(zlib="2")])

    assert found == Forecast(unclear=unclear)


def test_forecast_when_a_kept_package_has_a_newer_one_then_that_counts() -> None:
    kept = answer(held=(a_held("zlib", HoldReason.KEPT),))

    found = forecast(GROUND, kept, [an_index(zlib="3")])

    assert found.upgrades == (an_upgrade("zlib", old="1", new="3"),)


def test_forecast_when_it_was_asked_by_an_earlier_imagebuilder_then_apt_is_to_say() -> None:
    found = forecast(GROUND, {"Do": PlannedUpdate()}, [an_index(bash="1")])

    assert found.unclear == ("what UpdateOS was asked for was not recorded",)


def test_forecast_when_apt_prefers_a_version_then_so_does_it() -> None:
    pinned = replace(GROUND, preferences="Package: zlib\nPin: version 1*\nPin-Priority: 990")

    assert forecast(pinned, answer(), [an_index(zlib="2")]).is_as_before
    found = forecast(pinned, answer(), [an_index(zlib="1.5"), an_index(SECURITY, zlib="2")])
    assert [u.new_version for u in found.upgrades] == ["1.5"]
