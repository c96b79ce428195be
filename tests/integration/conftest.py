"""One house for all tests of the examples, so that what one of them builds the next finds."""

import pytest

from tests.examples import House


@pytest.fixture(name="house", scope="session")
def _house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.built_in(tmp_path_factory.mktemp("house"))
