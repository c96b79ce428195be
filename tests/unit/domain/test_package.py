import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.package import (
    InstalledPackage,
    PackageChange,
    PackageMove,
    package_changes,
)
from tests.build import a_package

_packages = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["amd64", "i386"])), st.sampled_from("123")
).map(
    lambda found: tuple(
        a_package(name, version, architecture=architecture)
        for (name, architecture), version in found.items()
    )
)


def _versions(packages: tuple[InstalledPackage, ...]) -> dict[tuple[str, str], str]:
    return {(package.name, package.architecture): package.version for package in packages}


@given(_packages, _packages)
def test_changes_when_applied_to_old_then_give_new(
    old: tuple[InstalledPackage, ...], new: tuple[InstalledPackage, ...]
) -> None:
    made = _versions(old)
    for change in package_changes(old, new):
        key = (change.name, change.architecture)
        assert made.pop(key, None) == change.old_version
        if change.new_version is not None:
            made[key] = change.new_version

    assert made == _versions(new)


@given(_packages, _packages)
def test_changes_when_listed_then_are_sorted_and_real(
    old: tuple[InstalledPackage, ...], new: tuple[InstalledPackage, ...]
) -> None:
    changes = package_changes(old, new)

    assert [c.name for c in changes] == sorted(c.name for c in changes)
    assert all(change.old_version != change.new_version for change in changes)


def test_changes_when_one_architecture_moved_then_the_other_is_not_named() -> None:
    still = a_package("libc6", "1", architecture="i386")

    changes = package_changes((a_package("libc6", "1"), still), (a_package("libc6", "2"), still))

    assert changes == (
        PackageChange(name="libc6", architecture="amd64", old_version="1", new_version="2"),
    )


@pytest.mark.parametrize(
    ("old", "new", "architecture", "move"),
    [
        (None, "1", "amd64", PackageMove.ADDED),
        ("1", None, "amd64", PackageMove.REMOVED),
        ("1.9", "1.10", "amd64", PackageMove.UPGRADED),
        ("1.0~rc1", "1.0", "all", PackageMove.UPGRADED),
        ("2.0", "1:1.0", "amd64", PackageMove.UPGRADED),
        ("1.10", "1.9", "amd64", PackageMove.DOWNGRADED),
        ("1.0", "1.0-0", "amd64", PackageMove.REWRITTEN),
        ("1.0^git1", "1.0.1", "x86_64", PackageMove.UPGRADED),
        ("not a version", "1.0", "amd64", PackageMove.UPGRADED),
    ],
)
def test_change_when_versions_are_ordered_then_says_which_way_it_went(
    old: str | None, new: str | None, architecture: str, move: PackageMove
) -> None:
    change = PackageChange(name="p", architecture=architecture, old_version=old, new_version=new)

    assert change.move is move
