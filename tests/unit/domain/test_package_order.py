from functools import cmp_to_key
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.versions import PackageOrder

_parts = st.sampled_from(["0", "1", "10", "09", "a", "rc", "Z", ".", "~", "^", "+", "-", "_", ""])
_texts = st.lists(_parts, max_size=6).map("".join)
_versions = st.builds(str.__add__, st.sampled_from(["", "0:", "1:", "12:"]), _texts) | st.text(
    max_size=5
)
_orders = st.sampled_from(PackageOrder)


@given(_orders, _versions, _versions, _versions)
def test_versions_when_compared_then_are_totally_ordered(
    order: PackageOrder, one: str, two: str, three: str
) -> None:
    assert order.compare(one, one) == 0
    assert order.compare(one, two) == -order.compare(two, one)
    low, middle, high = sorted((one, two, three), key=cmp_to_key(order.compare))
    assert order.compare(low, middle) <= 0
    assert order.compare(middle, high) <= 0
    assert order.compare(low, high) == min(order.compare(low, middle), order.compare(middle, high))


@pytest.mark.parametrize(
    "rising",
    [
        ["1.0~~", "1.0~~a", "1.0~", "1.0~rc1-1", "1.0", "1.0-1", "1.0-1+b1", "1.0a", "1.0+dfsg"],
        ["3.0.9-1", "3.0.14-1~deb12u1", "3.0.14-1~deb12u2", "3.0.14-1", "3.0.15-1", "3.0.101"],
        ["9:1", "10:0"],
        ["99.0-99", "1:0.1-1"],
        ["1.0-1-1", "1.0-1-2"],
        ["not a version", "not one either", "0~"],
        ["", "1" * 300, "0"],
        ["1.0-", "\N{ARABIC-INDIC DIGIT ONE}", "1.0"],
    ],
)
def test_debian_versions_when_compared_then_come_as_policy_says(rising: list[str]) -> None:
    for low, high in pairwise(rising):
        assert PackageOrder.DEBIAN.compare(low, high) == -1, (low, high)


# These facts are those of rpm's own test suite (rpmvercmp.at), in our own selection.
@pytest.mark.parametrize(
    "rising",
    [
        ["1.0~rc1", "1.0", "1.0^git1", "1.0.1"],
        ["1.0^git1~pre", "1.0^git1"],
        ["1.0~rc1", "1.0~rc1^git1"],
        ["1.0", "1.0^", "1.0.a", "1.0.0"],
        ["FC5", "fc4", "5"],
        ["2.0.1", "2.0.1a"],
        ["5.5p1", "5.5p10"],
        ["20101121", "20101122"],
        ["3.0.7-6.el9", "3.0.7-27.el9", "3.0.7-27.el9_4", "1:3.0.1-1"],
        ["", "not a version", "0"],
    ],
)
def test_rpm_versions_when_compared_then_come_as_rpm_says(rising: list[str]) -> None:
    for low, high in pairwise(rising):
        assert PackageOrder.RPM.compare(low, high) == -1, (low, high)


@pytest.mark.parametrize(
    ("order", "one", "other"),
    [
        (PackageOrder.DEBIAN, "1.0", "0:1.0-0"),
        (PackageOrder.DEBIAN, "1.02", "1.2"),
        (PackageOrder.RPM, "1.0", "1_0"),
        (PackageOrder.RPM, "1.05-1", "0:1.5-1"),
        (PackageOrder.RPM, "5b", "5.b"),
    ],
)
def test_versions_when_they_mean_the_same_then_none_is_newer(
    order: PackageOrder, one: str, other: str
) -> None:
    assert order.compare(one, other) == 0


@pytest.mark.parametrize(
    ("architecture", "order"),
    [
        ("amd64", PackageOrder.DEBIAN),
        ("all", PackageOrder.DEBIAN),
        ("arm64", PackageOrder.DEBIAN),
        ("x86_64", PackageOrder.RPM),
        ("noarch", PackageOrder.RPM),
        ("aarch64", PackageOrder.RPM),
    ],
)
def test_order_when_architecture_is_known_then_is_its_package_manager_s(
    architecture: str, order: PackageOrder
) -> None:
    assert PackageOrder.of(architecture) is order
