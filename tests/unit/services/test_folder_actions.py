"""Modules that copy, move and delete, run by this machine's own shell."""

import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.domain.component import ActionName
from imagebuilder.services.provisioning.filing import file_actions
from tests.actions import Bench

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/*"), min_size=1, max_size=30
).filter(lambda name: name not in {".", ".."})
FILES = pytest.mark.parametrize("action", [ActionName.COPY_FILE, ActionName.MOVE_FILE])
FOLDERS = pytest.mark.parametrize("action", [ActionName.COPY_FOLDER, ActionName.MOVE_FOLDER])
BOTH = pytest.mark.parametrize(
    ("action", "kind"),
    [
        (ActionName.COPY_FILE, "file"),
        (ActionName.MOVE_FILE, "file"),
        (ActionName.COPY_FOLDER, "folder"),
        (ActionName.MOVE_FOLDER, "folder"),
    ],
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, file_actions())


def lay_out(bench: Bench, *names: str) -> None:
    for name in names:
        path = bench.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def contents(folder: Path) -> Mapping[str, str]:
    return {
        str(path.relative_to(folder)): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file()
    }


def is_move(action: ActionName) -> bool:
    return action in {ActionName.MOVE_FILE, ActionName.MOVE_FOLDER}


@FILES
def test_file_when_the_destination_is_a_name_then_has_that_name(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "a")
    (bench.folder / "a").chmod(0o751)
    bench.done(action, {"source": "a", "destination": "new/deep/b"})
    assert (bench.folder / "new/deep/b").read_text() == "a"
    assert stat.S_IMODE((bench.folder / "new/deep/b").stat().st_mode) == 0o751
    assert (bench.folder / "a").exists() != is_move(action)


@FILES
def test_file_when_the_destination_ends_with_a_slash_then_keeps_its_name(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "a", "b")
    items = [{"source": name, "destination": "new/deep/"} for name in ("a", "b")]
    bench.done(action, *items)
    assert contents(bench.folder / "new/deep") == {"a": "a", "b": "b"}
    assert bench.machine.count == 1


@FILES
def test_file_when_the_source_has_stars_then_all_that_fit_go_there(
    bench: Bench, action: ActionName
) -> None:
    fit = ["s/a.txt", "s/it's $(x).txt", "s/.a.txt", "s/-rf.txt", "s/new\nline.txt"]
    lay_out(bench, *fit, "s/b.log", "s/sub.txt/inner")
    bench.done(action, {"source": "s/*.txt", "destination": "d/"})
    assert sorted(contents(bench.folder / "d")) == sorted(name[2:] for name in fit)
    left = {"b.log", "sub.txt/inner"}
    there = set(contents(bench.folder / "s"))
    assert (there == left) if is_move(action) else (there > left)


@FILES
def test_file_when_other_pattern_signs_stand_there_then_they_are_plain(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "s/[a]?1", "s/a11")
    bench.done(action, {"source": "s/[a]?*", "destination": "d/"})
    assert list(contents(bench.folder / "d")) == ["[a]?1"]


@BOTH
def test_source_when_it_is_missing_then_fails(bench: Bench, action: ActionName, kind: str) -> None:
    for source in ("none", "none/*", "*.none"):
        said = bench.refused(action, {"source": source, "destination": "d/"})
        assert said == f"There is no {kind} ./{source}.\n"
    assert list(bench.folder.iterdir()) == []


@BOTH
def test_source_when_it_is_of_the_other_kind_then_fails(
    bench: Bench, action: ActionName, kind: str
) -> None:
    lay_out(bench, "file", "folder/inner")
    other = "folder" if kind == "file" else "file"
    said = bench.refused(action, {"source": other, "destination": "d"})
    assert said == f"There is no {kind} ./{other}.\n"


@BOTH
def test_source_when_a_star_stands_before_the_last_slash_then_fails_before_anything(
    bench: Bench, action: ActionName, kind: str
) -> None:
    said = bench.refused(action, {"source": "*/a", "destination": "d/"})
    assert said == "./*/a has a * before its last /.\n"
    assert bench.machine.count == 0


@BOTH
def test_source_when_it_has_a_star_then_the_destination_has_to_be_a_folder(
    bench: Bench, action: ActionName, kind: str
) -> None:
    said = bench.refused(action, {"source": "s/*", "destination": "d"})
    assert said == "./d takes many sources, so it has to end with /.\n"


@BOTH
def test_destination_when_it_is_there_then_overwrite_decides(
    bench: Bench, action: ActionName, kind: str
) -> None:
    source, old = ("s", "d") if kind == "file" else ("s/f", "d/f")
    lay_out(bench, source, old)
    inputs = {"source": "s", "destination": "d"}
    said = bench.refused(action, {**inputs, "overwrite": False})
    assert said == "./d is there already\n"
    assert (bench.folder / old).read_text() == old
    bench.done(action, inputs)
    assert (bench.folder / old).read_text() == source
    assert (bench.folder / "s").exists() != is_move(action)


@FILES
def test_file_when_the_destination_is_a_folder_without_a_slash_then_fails(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "a", "d/old")
    said = bench.refused(action, {"source": "a", "destination": "d"})
    assert said == "./d is a folder; to put a file into it, end it with /\n"
    assert contents(bench.folder) == {"a": "a", "d/old": "d/old"}


def test_copy_file_when_the_source_is_a_link_then_copies_what_it_points_to(bench: Bench) -> None:
    lay_out(bench, "a")
    (bench.folder / "link").symlink_to("a")
    bench.done(ActionName.COPY_FILE, {"source": "link", "destination": "b"})
    assert not (bench.folder / "b").is_symlink()
    assert (bench.folder / "b").read_text() == "a"


@FOLDERS
def test_folder_when_the_destination_is_a_name_then_has_that_name(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "s/.hidden", "s/sub/f")
    (bench.folder / "s/link").symlink_to("sub/f")
    (bench.folder / "s").chmod(0o711)
    bench.done(action, {"source": "s/", "destination": "new/d"})
    assert set(contents(bench.folder / "new/d")) == {".hidden", "sub/f", "link"}
    assert (bench.folder / "new/d/link").is_symlink()
    assert stat.S_IMODE((bench.folder / "new/d").stat().st_mode) == 0o711
    assert (bench.folder / "s").exists() != is_move(action)


@FOLDERS
def test_folder_when_the_destination_ends_with_a_slash_then_keeps_its_name(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "s/f", "d/old")
    bench.done(action, {"source": "s", "destination": "d/"})
    assert set(contents(bench.folder / "d")) == {"old", "s/f"}


@FOLDERS
def test_folder_when_the_source_has_a_star_then_only_folders_go_there(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "s/a/f", "s/.b/f", "s/file")
    bench.done(action, {"source": "s/*", "destination": "d/"})
    assert set(contents(bench.folder / "d")) == {"a/f", ".b/f"}
    assert (bench.folder / "s/file").exists()


@FOLDERS
def test_folder_when_it_is_there_already_then_they_become_one(
    bench: Bench, action: ActionName
) -> None:
    lay_out(bench, "s/new", "s/both", "d/old", "d/both")
    bench.done(action, {"source": "s", "destination": "d"})
    assert contents(bench.folder / "d") == {"new": "s/new", "both": "s/both", "old": "d/old"}


@FOLDERS
@pytest.mark.parametrize("destination", ["s", "s/inner", "s/inner/"])
def test_folder_when_the_destination_lies_in_it_then_fails_and_keeps_it(
    bench: Bench, action: ActionName, destination: str
) -> None:
    lay_out(bench, "s/f")
    assert "lies in ./s" in bench.refused(action, {"source": "s", "destination": destination})
    assert contents(bench.folder) == {"s/f": "s/f"}


@FOLDERS
def test_folder_when_a_file_is_in_the_way_then_fails(bench: Bench, action: ActionName) -> None:
    lay_out(bench, "s/f", "d")
    said = bench.refused(action, {"source": "s", "destination": "d"})
    assert said == "There is no folder ./d.\n"
    assert contents(bench.folder) == {"s/f": "s/f", "d": "d"}


@pytest.mark.parametrize("path", ["/", "//", "/usr/..", "."])
def test_delete_folder_when_it_is_the_root_or_a_way_up_then_fails_before_anything(
    bench: Bench, path: str
) -> None:
    assert "no folder" in bench.refused(ActionName.DELETE_FOLDER, {"path": path, "force": True})
    assert bench.machine.count == 0


def test_delete_file_then_only_that_is_gone(bench: Bench) -> None:
    lay_out(bench, "a.txt", "b.txt", ".c.txt", "d.log", "target", "sub.txt/f")
    (bench.folder / "link").symlink_to("target")
    (bench.folder / "dangling").symlink_to("nothing")
    bench.done(ActionName.DELETE_FILE, *({"path": p} for p in ("*.txt", "link", "dangling")))
    assert set(contents(bench.folder)) == {"d.log", "target", "sub.txt/f"}
    assert not (bench.folder / "dangling").is_symlink()


@pytest.mark.parametrize("path", ["none", "*.none", "folder"])
def test_delete_file_when_there_is_none_then_fails(bench: Bench, path: str) -> None:
    lay_out(bench, "folder/f")
    assert bench.refused(ActionName.DELETE_FILE, {"path": path}) == f"There is no file ./{path}.\n"


def test_delete_folder_when_it_is_not_empty_then_needs_force(bench: Bench) -> None:
    lay_out(bench, "d/f")
    (bench.folder / "empty").mkdir()
    assert "not empty" in bench.refused(ActionName.DELETE_FOLDER, {"path": "d"})
    assert (bench.folder / "d/f").exists()
    bench.done(ActionName.DELETE_FOLDER, {"path": "d/", "force": True}, {"path": "empty"})
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize("path", ["none", "file", "link"])
def test_delete_folder_when_there_is_none_then_fails(bench: Bench, path: str) -> None:
    lay_out(bench, "file", "d/f")
    (bench.folder / "link").symlink_to("d")
    said = bench.refused(ActionName.DELETE_FOLDER, {"path": path, "force": True})
    assert said == f"There is no folder ./{path}.\n"
    assert (bench.folder / "d/f").exists()


@settings(max_examples=25, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_names_when_they_are_any_then_a_round_trip_leaves_just_them(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    bench = Bench(folder, file_actions())
    at = str(folder)
    paths = [{"path": f"{at}/s/{name}", "content": name} for name in names]
    bench.done(ActionName.CREATE_FILE, *paths)
    bench.done(
        ActionName.COPY_FILE,
        *({"source": p["path"], "destination": f"{at}/copy/"} for p in paths),
    )
    bench.done(ActionName.MOVE_FILE, {"source": f"{at}/copy/*", "destination": f"{at}/moved/"})
    assert contents(folder / "moved") == contents(folder / "s") == {name: name for name in names}
    bench.done(ActionName.DELETE_FILE, *({"path": p["path"]} for p in paths))
    bench.done(ActionName.DELETE_FOLDER, {"path": f"{at}/s"}, {"path": f"{at}/copy"})
    assert [p.name for p in folder.iterdir()] == ["moved"]
    shutil.rmtree(folder)
