"""Roots that are kept for people to look inside."""

from pathlib import Path

import pytest

from tests.workshops import ran, shop

pytestmark = pytest.mark.root


def test_keep_copy_when_something_was_kept_there_then_it_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "runs/run-1/root"

    with shop(tmp_path) as site:
        base = site.base()
        for name in ("one", "two"):
            with site.roots.scratch([base]) as root:
                ran(root, f"echo {name} > /etc/{name}")
                root.keep_copy(kept)

    assert (kept / "etc/two").read_text() == "two\n"
    assert not (kept / "etc/one").exists()
    assert not (kept / "root/etc").exists()
