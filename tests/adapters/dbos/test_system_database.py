"""The database of DBOS: how a server that is away looks to it."""

from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from imagebuilder.adapters.dbos.system_database import opened_database


def test_server_when_its_socket_is_gone_then_it_counts_as_a_lost_connection(
    tmp_path: Path,
) -> None:
    url = f"postgresql://someone@/x?host={tmp_path}"

    with (
        opened_database(url, tmp_path / "engine.db") as database,
        pytest.raises(DBAPIError) as caught,
    ):
        database.settings["system_database_engine"].connect()

    assert caught.value.connection_invalidated
