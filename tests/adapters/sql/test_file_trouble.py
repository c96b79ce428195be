"""What people read when the file system under a SQLite catalogue is full or read-only."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.adapters.sql.runs import SqlRunStore
from imagebuilder.ports.catalogue import StoreUnavailable
from tests.build import a_run

pytestmark = pytest.mark.root


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of four megabytes: a new catalogue and its log take one and a half."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def _fill(database: Database) -> None:
    for number in range(1000):
        SqlRunStore(database).save(a_run(f"run-{number}", error="x" * 10_000))


def test_write_when_the_file_system_is_full_then_says_so_and_the_rest_is_whole(
    small: Path,
) -> None:
    with open_database(small / "catalogue.db") as database:
        with pytest.raises(StoreUnavailable) as caught:
            _fill(database)
        kept = len(SqlRunStore(database).newest(2000))

    assert caught.value.message == f"The catalogue {small}/catalogue.db is not available."
    assert "full" in caught.value.context
    assert caught.value.hint.startswith("Free space on its file system")
    assert 0 < kept < 1000
    with open_database(small / "catalogue.db") as database:
        assert len(SqlRunStore(database).newest(2000)) == kept


def test_open_when_the_file_system_is_full_already_then_says_so(small: Path) -> None:
    (small / "filler").write_bytes(b"x" * 4 * 1024 * 1024)

    with pytest.raises(StoreUnavailable) as caught:
        open_database(small / "catalogue.db")

    assert caught.value.hint.startswith("Free space on its file system")


def test_open_when_the_file_system_is_read_only_then_says_what_to_check(small: Path) -> None:
    open_database(small / "catalogue.db").close()
    _read_only(small)

    with pytest.raises(StoreUnavailable) as caught:
        open_database(small / "catalogue.db")

    assert caught.value.hint.startswith("Check that the file and its folder")


def test_open_when_nothing_is_there_and_nothing_can_be_made_then_says_what_to_check(
    small: Path,
) -> None:
    _read_only(small)

    with pytest.raises(StoreUnavailable) as caught:
        open_database(small / "home/catalogue.db")

    assert "Read-only file system" in caught.value.context
    assert caught.value.hint.startswith("Check that the file and its folder")


def test_open_when_the_last_block_is_taken_then_says_to_look_for_space(small: Path) -> None:
    open_database(small / "catalogue.db").close()
    with suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 512):
            pass

    with pytest.raises(StoreUnavailable) as caught:
        open_database(small / "catalogue.db")

    assert caught.value.hint.startswith("Check the free space of its file system")
