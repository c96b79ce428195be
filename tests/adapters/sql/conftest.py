"""A catalogue for each test, on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.sql.database import Database, open_database
from tests.databases import DATABASES, FreshLocation


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, fresh_location: FreshLocation) -> str | Path:
    """Give where a catalogue can be opened that holds nothing yet."""
    return fresh_location(request.param)


@pytest.fixture
def database(location: str | Path) -> Iterator[Database]:
    """Give an open catalogue that holds nothing yet."""
    with open_database(location) as database:
        yield database
