"""Fixtures for tests that want a double; a conftest imports both."""

from collections.abc import Iterator

import pytest

from tests.aws_double.serving import Double, running_double


@pytest.fixture(scope="session")
def lasting_double() -> Iterator[Double]:
    """Give a double for the whole run: to make clients takes longer than most tests."""
    with running_double() as double:
        yield double


@pytest.fixture
def double(lasting_double: Double) -> Double:
    """Give a double with nothing in it."""
    lasting_double.renew()
    return lasting_double
