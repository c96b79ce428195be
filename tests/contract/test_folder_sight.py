"""What every FolderSight sees: in this machine's folders, and in its fake."""

from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from imagebuilder.adapters.system.folder_sight import SystemFolderSight
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.documents import DocumentUnreadable
from imagebuilder.ports.folders import FolderSight
from tests.fakes.folders import FakeFolderSight

Write = Callable[[str, str], PurePath]


@pytest.fixture(params=["system", "fake"])
def sight(request: pytest.FixtureRequest) -> FolderSight:
    return SystemFolderSight() if request.param == "system" else FakeFolderSight()


@pytest.fixture
def write(sight: FolderSight, tmp_path: Path) -> Write:
    def written(name: str, text: str) -> PurePath:
        file = tmp_path / name
        if isinstance(sight, FakeFolderSight):
            sight.write(str(file), text)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.with_name("x.new").write_text(text)
            file.with_name("x.new").replace(file)
        return file

    return written


def test_files_then_are_all_below_with_what_changes_when_they_are_written(
    sight: FolderSight, write: Write, tmp_path: Path
) -> None:
    one, two = write("one.yaml", "1"), write("deep/er/two.yaml", "2")
    before = sight.files(tmp_path)
    assert set(before) == {one, two}
    assert sight.files(tmp_path) == before

    write("one.yaml", "3")

    after = sight.files(tmp_path)
    assert after[one] != before[one]
    assert after[two] == before[two]


def test_digest_then_is_that_of_the_bytes_and_none_when_there_are_none(
    sight: FolderSight, write: Write, tmp_path: Path
) -> None:
    assert sight.digest(write("one.yaml", "1")) == Digest.of_bytes(b"1")
    assert sight.digest(tmp_path / "none") is None


def test_real_of_a_file_without_links_then_is_itself(sight: FolderSight, write: Write) -> None:
    file = write("one.yaml", "1")
    assert sight.real(file) == PurePath(Path(file).resolve())


def test_system_files_when_hidden_or_no_files_then_are_left_out(tmp_path: Path) -> None:
    for name in (".git/config", ".hidden.yaml", "__pycache__/x.pyc", "kept.yaml"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
    (tmp_path / "broken.yaml").symlink_to("nowhere")
    (tmp_path / "folder.yaml").symlink_to(tmp_path / ".git", target_is_directory=True)
    (tmp_path / "linked.yaml").symlink_to(tmp_path / ".hidden.yaml")

    names = [path.name for path in SystemFolderSight().files(tmp_path)]

    assert names == ["kept.yaml", "linked.yaml"]


def test_system_files_when_the_folder_is_away_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="away"):
        SystemFolderSight().files(tmp_path / "away")


def test_system_real_then_follows_links(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.yaml").write_text("")
    (tmp_path / "current").symlink_to("a")

    real = SystemFolderSight().real(tmp_path / "current/x.yaml")

    assert real == (tmp_path / "a/x.yaml").resolve()
