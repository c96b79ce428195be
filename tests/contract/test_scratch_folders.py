"""What every ScratchFolders keeps."""

from pathlib import Path, PurePath

import pytest

from imagebuilder.adapters.local.scratch_folders import LocalScratch
from imagebuilder.ports.scratch import ScratchFolders
from tests.fakes.scratch import FakeScratch


@pytest.fixture(params=["fake", "local"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> ScratchFolders:
    return FakeScratch() if request.param == "fake" else LocalScratch(tmp_path / "deliveries")


def test_folder_when_asked_for_again_then_is_the_same(scratch: ScratchFolders) -> None:
    assert scratch.folder("a") == scratch.folder("a")
    assert scratch.folder("a") != scratch.folder("b")


def test_folder_when_dropped_then_can_be_had_again(scratch: ScratchFolders) -> None:
    first: PurePath = scratch.folder("a")

    scratch.drop("a")
    scratch.drop("a")

    assert scratch.folder("a") == first


def test_folder_of_this_machine_when_dropped_then_nothing_of_it_stays(tmp_path: Path) -> None:
    scratch = LocalScratch(tmp_path / "deliveries")
    (scratch.folder("a") / "journal").write_text("so far")
    other = scratch.folder("b")
    assert (LocalScratch(tmp_path / "deliveries").folder("a") / "journal").read_text() == "so far"

    scratch.drop("a")

    assert not (tmp_path / "deliveries/a").exists()
    assert other.is_dir()
