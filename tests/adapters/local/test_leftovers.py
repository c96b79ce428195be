"""What deliveries keep to go on with is taken away when nobody wanted it for long."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagebuilder.adapters.local.leftovers import Leftovers
from imagebuilder.adapters.local.scratch_folders import LocalScratch

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIMIT = NOW - timedelta(days=30)


def delivery(home: Path, name: str, age: timedelta) -> Path:
    """Give a delivery's folder in which nothing was written for so long."""
    folder = LocalScratch(home / "deliveries").folder(name)
    (folder / "journal").write_bytes(b"x" * 5000)
    moment = (NOW - age).timestamp()
    for path in (folder / "journal", folder):
        os.utime(path, (moment, moment))
    return folder


def test_deliveries_when_old_then_go_and_are_told(tmp_path: Path) -> None:
    old = delivery(tmp_path, "old", timedelta(days=31))
    new = delivery(tmp_path, "new", timedelta(days=29))

    (found,) = Leftovers(tmp_path).remove(LIMIT, only_look=False)

    assert (found.what, found.count) == ("deliveries", 1)
    assert found.size_bytes >= 5000
    assert not old.exists()
    assert new.exists()


def test_deliveries_when_only_looked_at_then_stay(tmp_path: Path) -> None:
    old = delivery(tmp_path, "old", timedelta(days=31))

    (found,) = Leftovers(tmp_path).remove(LIMIT, only_look=True)

    assert found.count == 1
    assert old.exists()


def test_delivery_when_something_in_it_is_new_then_stays(tmp_path: Path) -> None:
    old = delivery(tmp_path, "old", timedelta(days=31))
    (old / "more").write_bytes(b"")
    now = NOW.timestamp()
    os.utime(old / "more", (now, now))

    assert Leftovers(tmp_path).remove(LIMIT, only_look=False) == []
    assert old.exists()
