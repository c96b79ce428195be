"""A double for each test."""

import os
from collections.abc import Iterator

import pytest

from tests.aws_double import Double
from tests.aws_double.fixtures import double, lasting_double
from tests.aws_double_tests.clouds import Cloud
from tests.aws_double_tests.places import LIVE_REGION, Place, at_aws, at_double

__all__ = ["double", "lasting_double"]


@pytest.fixture
def cloud(double: Double) -> Cloud:
    return Cloud(double=double)


@pytest.fixture(params=["double", pytest.param("live", marks=pytest.mark.live)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "double":
        yield at_double(request.getfixturevalue("double"))
        return
    if LIVE_REGION not in os.environ:
        pytest.skip(f"{LIVE_REGION} names no region of a real account")
    with at_aws() as live:
        yield live
