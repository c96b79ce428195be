import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.package_query import (
    Constraint,
    PackageQuery,
    PackageQueryMalformed,
    Sign,
)
from imagebuilder.domain.versions import PackageOrder

_names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,9}", fullmatch=True)
_versions = st.from_regex(r"([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[0-9a-z~]{1,3})?", fullmatch=True)
_constraints = st.builds(Constraint, sign=st.sampled_from(Sign), version=_versions)
_queries = st.builds(
    PackageQuery, name=_names, constraints=st.lists(_constraints, max_size=3).map(tuple)
)


@given(_queries)
def test_query_when_written_and_parsed_then_is_the_same(query: PackageQuery) -> None:
    assert PackageQuery.parse(str(query)) == query


@given(_versions, _versions, st.sampled_from(PackageOrder))
def test_signs_when_opposite_then_exactly_one_holds(
    asked: str, version: str, order: PackageOrder
) -> None:
    for sign, opposite in ((Sign.BELOW, Sign.FROM), (Sign.EQUAL, Sign.OTHER)):
        one, other = Constraint(sign=sign, version=asked), Constraint(sign=opposite, version=asked)
        assert one.matches(version, order) != other.matches(version, order)


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("openssl", "3.0.14-1", True),
        ("openssl=3.0.14-1", "3.0.14-1", True),
        ("openssl=3.0.14", "3.0.14-1", False),
        ("openssl!=3.0.14-1", "3.0.14-1", False),
        ("openssl<3.0.15", "3.0.15~rc1", True),
        ("openssl<3.0.15", "3.0.9-1", True),
        ("openssl<3.0.15", "1:1.0", False),
        ("openssl <= 3.0.15-1", "3.0.15-1", True),
        ("openssl>3.0.15-1", "3.0.15-1+b1", True),
        ("openssl>=3.0,<3.0.15", "3.0.2", True),
        ("openssl >= 3.0, < 3.0.15", "2.9", False),
        ("openssl>=3.0,<3.0.15", "3.0.15", False),
    ],
)
def test_debian_package_when_asked_for_then_matches_in_its_order(
    text: str, version: str, *, expected: bool
) -> None:
    query = PackageQuery.parse(text)

    assert query.name == "openssl"
    assert query.matches(version, PackageOrder.DEBIAN) is expected


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("openssl=3.0.7", "3.0.7-27.el9", True),
        ("openssl<=3.0.7", "3.0.7-27.el9", True),
        ("openssl>3.0.7", "3.0.7-27.el9", False),
        ("openssl>3.0.7-6.el9", "3.0.7-27.el9", True),
        ("openssl<3.0.7", "3.0.7~beta-1", True),
        ("openssl>3.0.7", "3.0.7^git1-1", True),
        ("openssl<1:0", "3.0.7-1", True),
    ],
)
def test_rpm_package_when_asked_without_release_then_every_release_is_meant(
    text: str, version: str, *, expected: bool
) -> None:
    assert PackageQuery.parse(text).matches(version, PackageOrder.RPM) is expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "the name of a package"),
        ("<3.0", "the name of a package"),
        ("openssl<", "'<' is not"),
        ("openssl<<3.0", "'<<3.0'"),
        ("openssl==3.0", "'==3.0'"),
        ("openssl 3.0", "'3.0'"),
        ("openssl>=3.0,", "''"),
        ("openssl>=3.0,,<4", "''"),
        ("openssl>=3.0 <4", "'>=3.0 <4'"),
        ("openssl=1:2:3", "'1:2:3'"),
        ("openssl<3;rm", "'<3;rm'"),
        ("openssl<\N{ARABIC-INDIC DIGIT ONE}", "is not a sign and a version"),
        ("openssl<" + "1" * 300, "No package manager knows"),
    ],
)
def test_query_when_malformed_then_says_where(text: str, named: str) -> None:
    with pytest.raises(PackageQueryMalformed) as caught:
        PackageQuery.parse(text)

    assert named in caught.value.context
    assert "openssl>=3.0,<3.0.15" in caught.value.hint
