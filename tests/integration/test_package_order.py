"""Debian's order against the program that has the last word on it."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.domain.versions import PackageOrder

_parts = st.sampled_from(["0", "1", "10", "09", "a", "rc", "Z", ".", "~", "+", "-"])
_versions = st.builds(
    lambda epoch, first, rest: f"{epoch}{first}{''.join(rest)}".rstrip("-"),
    st.sampled_from(["", "", "0:", "1:"]),
    st.sampled_from("019"),
    st.lists(_parts, max_size=6),
)


def _holds(one: str, sign: str, other: str) -> bool:
    done = subprocess.run(
        ["dpkg", "--compare-versions", one, sign, other], check=False, capture_output=True
    )
    assert done.stderr == b"", "dpkg does not take this for a version"
    return done.returncode == 0


@settings(max_examples=150, deadline=None)
@given(_versions, _versions)
def test_debian_versions_when_compared_then_dpkg_says_the_same(one: str, other: str) -> None:
    order = PackageOrder.DEBIAN.compare(one, other)

    assert _holds(one, {-1: "lt", 0: "eq", 1: "gt"}[order], other)
