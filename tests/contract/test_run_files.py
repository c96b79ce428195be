"""What every RunFiles keeps: the one in folders and its fake."""

from pathlib import Path

import pytest

from imagebuilder.adapters.system.run_files import FolderRunFiles
from imagebuilder.domain.ids import RunId
from imagebuilder.ports.runs import RunFiles
from tests.fakes.runs import FakeRunFiles

RUN = RunId("run-1")


@pytest.fixture(params=["folders", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> RunFiles:
    """Give each in turn."""
    return FolderRunFiles(tmp_path / "runs") if request.param == "folders" else FakeRunFiles()


def test_log_then_gives_the_lines_of_that_step_in_their_order(files: RunFiles) -> None:
    files.append(RUN, 1, "parent debian:bookworm", "one")
    files.append(RUN, 2, "nginx", "other")
    files.append(RUN, 1, "parent debian:bookworm", "two")

    assert files.log(RUN, 1) == "one\ntwo\n"


def test_log_when_a_step_said_nothing_then_is_empty(files: RunFiles) -> None:
    assert files.log(RUN, 7) == ""


def test_folder_is_there_and_always_the_same(files: RunFiles) -> None:
    assert Path(files.folder(RUN)).is_dir()
    assert files.folder(RUN) == files.folder(RUN)
    assert files.folder(RUN) != files.folder(RunId("run-2"))


def test_details_then_are_the_newest_of_each_component_of_that_step(files: RunFiles) -> None:
    for number, component, content in ((1, "web", b"1"), (1, "db", b"2"), (1, "web", b"3")):
        files.keep_details(RUN, number, component, content)
    files.keep_details(RUN, 2, "other", b"4")
    files.append(RUN, 1, "web", "a line")

    found = files.details(RUN, 1)

    assert [file.name for file in found] == [
        "01-db.detailedoutput.json",
        "01-web.detailedoutput.json",
    ]
    assert [Path(file).read_bytes() for file in found] == [b"2", b"3"]
    assert files.log(RUN, 1) == "a line\n"
    assert files.details(RUN, 3) == []


def test_log_after_then_gives_what_came_since(files: RunFiles) -> None:
    assert files.log_after(RUN, 1, 0) == ("", 0)
    files.append(RUN, 1, "nginx", "grün")
    text, offset = files.log_after(RUN, 1, 0)
    assert (text, offset) == ("grün\n", 6)
    assert files.log_after(RUN, 1, offset) == ("", offset)

    files.append(RUN, 1, "nginx", "two")
    files.append(RUN, 2, "other", "not this")

    assert files.log_after(RUN, 1, offset) == ("two\n", 10)


def test_log_after_when_there_is_much_then_gives_whole_lines_until_all_are_given(
    files: RunFiles,
) -> None:
    lines = ["x" * 700_000, "y" * 2_000_000, "z"]
    for line in lines:
        files.append(RUN, 1, "nginx", line)

    given, offset = "", 0
    for _ in range(9):
        text, offset = files.log_after(RUN, 1, offset)
        assert not text or text.endswith("\n")
        given += text

    assert given.splitlines() == lines
