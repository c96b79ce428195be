"""Logs as files that people find and that stay in their folder."""

from pathlib import Path

import pytest

from imagebuilder.adapters.system.run_files import FolderRunFiles
from imagebuilder.domain.ids import RunId

RUN = RunId("run-1")


@pytest.mark.parametrize("step", ["../../etc/passwd", "a/b", "two\nlines", "x" * 300, "ü", ""])
def test_log_when_a_step_has_an_odd_name_then_its_file_stays_in_the_runs_folder(
    tmp_path: Path, step: str
) -> None:
    files = FolderRunFiles(tmp_path)
    files.append(RUN, 7, step, "hello")
    (made,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert made.parent == tmp_path / RUN
    assert made.name.startswith("07-")
    assert files.log(RUN, 7) == "hello\n"


def test_log_when_numbers_begin_alike_then_each_has_its_own(tmp_path: Path) -> None:
    files = FolderRunFiles(tmp_path)
    for number in (1, 10, 100):
        files.append(RUN, number, "step", str(number))
    assert [files.log(RUN, number) for number in (1, 10, 100)] == ["1\n", "10\n", "100\n"]


def test_log_when_text_is_no_utf_8_then_is_kept_as_well_as_can_be(tmp_path: Path) -> None:
    files = FolderRunFiles(tmp_path)
    files.append(RUN, 1, "step", "ü \udcff")
    assert files.log(RUN, 1) == "ü ?\n"


def test_log_when_the_run_said_nothing_then_is_empty(tmp_path: Path) -> None:
    assert FolderRunFiles(tmp_path).log(RUN, 1) == ""
    assert list(tmp_path.iterdir()) == []
