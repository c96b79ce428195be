"""A double for each test that asks for one, and the credentials of its home account."""

from collections.abc import Iterator

import pytest

from tests.aws_double import Double, running_double
from tests.clouds import environment_at


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as double, environment_at(double.endpoint):
        yield double
