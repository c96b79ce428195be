"""Modules that create, read, list and set files, run by this machine's own shell."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import ActionCall
from imagebuilder.services.provisioning.filing import LARGEST_READ_BYTES, file_actions
from tests.actions import Bench
from tests.fakes.machine import Answer, FakeMachine

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."})
HOSTILE = ["it's", "-rf", "$(touch pwned)", "`id`", "two\nlines", "ends\n", "*", "?[a]", "a b", '"']


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, file_actions())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def shown_when_even(number: int) -> Canonical:
    return {"path": f"{number}", "printFileContent": number % 2 == 0}


def test_append_file_then_the_text_stands_at_the_end(bench: Bench) -> None:
    path = bench.folder / "file"
    path.write_text("one\n")
    bench.done(
        ActionName.APPEND_FILE, {"path": str(path), "content": "%d two\\n"}, {"path": "file"}
    )
    assert path.read_text() == "one\n%d two\\n"


def test_append_file_when_there_is_none_then_fails_and_makes_none(bench: Bench) -> None:
    said = bench.refused(ActionName.APPEND_FILE, {"path": "file", "content": "x"})
    assert said == "There is no file ./file.\n"
    assert not (bench.folder / "file").exists()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, content=st.text(st.characters(exclude_categories=["Cs"])))
def test_create_file_when_name_and_content_are_any_then_just_that_is_there(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: str
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    path = folder / "in" / name[:40]
    if len(os.fsencode(path.name)) > 255:
        return
    Bench(folder, file_actions()).done(
        ActionName.CREATE_FILE, {"path": str(path), "content": content}
    )
    assert path.read_bytes() == content.encode()
    assert [p for p in folder.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("utf8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("utf16", "utf-16-le"),
        ("UTF-16-LE", "utf-16-le"),
        ("utf16-BE", "utf-16-be"),
        ("utf32", "utf-32-le"),
        ("utf-32-be", "utf-32-be"),
    ],
)
def test_create_and_read_when_an_encoding_is_named_then_it_is_used(
    bench: Bench, encoding: str, codec: str
) -> None:
    text = "ä %s \\ 7€\n\U0001f600"
    inputs = {"path": str(bench.folder / "file"), "content": text, "encoding": encoding}
    bench.done(ActionName.CREATE_FILE, inputs)
    assert (bench.folder / "file").read_bytes() == text.encode(codec)
    read = bench.done(ActionName.READ_FILE, inputs)
    assert read.outputs == ({"content": text},)


def test_create_file_when_the_encoding_is_unknown_then_says_which_are_known(bench: Bench) -> None:
    said = bench.refused(ActionName.CREATE_FILE, {"path": "f", "encoding": "latin1"})
    assert "utf16le" in said
    assert bench.machine.count == 0


def test_create_file_when_nothing_is_said_then_the_umask_gives_its_permissions(
    bench: Bench,
) -> None:
    bench.done(ActionName.CREATE_FILE, {"path": "plain"}, {"path": "open", "permissions": "0666"})
    assert [mode(bench.folder / name) for name in ("plain", "open")] == [0o644, 0o644]


@pytest.mark.parametrize("path", ["folder/", "there"])
def test_create_file_when_a_folder_is_meant_then_fails(bench: Bench, path: str) -> None:
    (bench.folder / "there").mkdir()
    assert "folder" in bench.refused(ActionName.CREATE_FILE, {"path": path, "content": "x"})


def test_create_file_when_it_may_not_overwrite_then_the_old_one_stays(bench: Bench) -> None:
    (bench.folder / "f").write_text("old")
    inputs: Canonical = {"path": "f", "content": "new", "overwrite": "false"}
    assert bench.refused(ActionName.CREATE_FILE, inputs) == "./f is there already\n"
    assert (bench.folder / "f").read_text() == "old"


def test_create_folder_when_it_is_there_then_keeps_what_is_in_it(bench: Bench) -> None:
    (bench.folder / "kept").mkdir()
    (bench.folder / "kept/file").write_text("x")
    bench.done(ActionName.CREATE_FOLDER, {"path": "kept/", "permissions": "0700"})
    assert (bench.folder / "kept/file").read_text() == "x"
    assert mode(bench.folder / "kept") == 0o700
    said = bench.refused(ActionName.CREATE_FOLDER, {"path": "kept", "overwrite": False})
    assert said == "./kept is there already\n"


def test_create_symlink_then_points_there_and_parents_are_made(bench: Bench) -> None:
    (bench.folder / "target").write_text("x")
    bench.done(
        ActionName.CREATE_SYMLINK,
        {"path": "new/deep/link", "target": str(bench.folder / "target")},
        {"path": "beside", "target": "target"},
    )
    assert (bench.folder / "new/deep/link").read_text() == "x"
    assert (bench.folder / "beside").readlink() == Path("target")


def test_create_symlink_when_the_target_is_missing_then_fails(bench: Bench) -> None:
    said = bench.refused(ActionName.CREATE_SYMLINK, {"path": "a/link", "target": "nothing"})
    assert said == "nothing is not there, which ./a/link should point to\n"
    assert list(bench.folder.iterdir()) == []


def test_create_symlink_when_a_link_is_there_then_only_force_replaces_it(bench: Bench) -> None:
    for name in ("old", "new"):
        (bench.folder / name).mkdir()
    (bench.folder / "link").symlink_to("old")
    inputs = {"path": "link", "target": "new"}
    assert bench.refused(ActionName.CREATE_SYMLINK, inputs) == "./link is there already\n"
    bench.done(ActionName.CREATE_SYMLINK, {**inputs, "force": True})
    assert (bench.folder / "link").readlink() == Path("new")
    assert list((bench.folder / "old").iterdir()) == []


def test_create_symlink_when_a_file_is_there_then_not_even_force_replaces_it(bench: Bench) -> None:
    for name in ("file", "target"):
        (bench.folder / name).write_text(name)
    said = bench.refused(
        ActionName.CREATE_SYMLINK, {"path": "file", "target": "target", "force": True}
    )
    assert said == "./file is there already and is no link\n"
    assert (bench.folder / "file").read_text() == "file"


def test_list_files_then_gives_files_of_the_folder_alone(bench: Bench) -> None:
    for name in ("b.txt", "a.txt", ".hidden", "sub/c.txt"):
        (bench.folder / name).parent.mkdir(exist_ok=True)
        (bench.folder / name).write_text("")
    (bench.folder / "link").symlink_to("a.txt")
    (bench.folder / "to-folder").symlink_to("sub")
    at = str(bench.folder)
    listed = bench.done(
        ActionName.LIST_FILES,
        {"path": at},
        {"path": f"{at}/", "fileNamePattern": "*.txt", "recursive": True},
        {"path": f"{at}/sub", "fileNamePattern": "none*"},
    )
    assert [output["files"] for output in listed.outputs] == [
        f"{at}/.hidden,{at}/a.txt,{at}/b.txt,{at}/link",
        f"{at}/a.txt,{at}/b.txt,{at}/sub/c.txt",
        "",
    ]
    assert bench.machine.count == 1
    assert bench.lines[0] == f"{at}/.hidden"


@pytest.mark.parametrize("name", HOSTILE)
def test_list_files_when_a_name_is_odd_then_a_pattern_of_just_it_finds_it(
    bench: Bench, name: str
) -> None:
    (bench.folder / "f").mkdir()
    (bench.folder / "f" / name).write_text("")
    (bench.folder / "f/other").write_text("")
    inputs = {"path": "f", "fileNamePattern": name}
    (output,) = bench.done(ActionName.LIST_FILES, inputs).outputs
    assert f"./f/{name}" in output["files"]
    assert ("other" in output["files"]) == (name == "*")


def test_list_files_when_the_folder_is_missing_then_fails(bench: Bench) -> None:
    assert bench.refused(ActionName.LIST_FILES, {"path": "none"}) == "There is no folder ./none.\n"


@pytest.mark.parametrize("listing", [b"\n", b"Li9hAA==\n"])
def test_list_files_when_find_did_not_come_to_its_end_then_fails(listing: bytes) -> None:
    machine = FakeMachine(lambda _script: Answer(stdout=listing))
    call = ActionCall(
        action=ActionName.LIST_FILES,
        phase=PhaseName.BUILD,
        inputs=[{"path": "/srv"}],
        machine=machine,
        timeout_seconds=None,
    )
    outcome = file_actions()[ActionName.LIST_FILES].run(call)
    assert outcome.result.exit_status == 1
    assert outcome.result.stderr == b"The files of /srv could not all be listed.\n"


def test_read_file_when_nothing_is_said_then_content_is_not_shown(bench: Bench) -> None:
    (bench.folder / "secret").write_text("hush\n")
    (bench.folder / "link").symlink_to("secret")
    read = bench.done(ActionName.READ_FILE, {"path": "link"})
    assert read.outputs == ({"content": "hush\n"},)
    assert (read.result.stdout, bench.lines) == (b"", [])


def test_read_file_when_asked_to_then_content_is_shown(bench: Bench) -> None:
    for number in range(5):
        (bench.folder / f"{number}").write_text(f"{number}\n")
    read = bench.done(ActionName.READ_FILE, *map(shown_when_even, range(5)))
    assert [output["content"] for output in read.outputs] == [f"{n}\n" for n in range(5)]
    assert bench.lines == ["0", "2", "4"]


def test_read_file_when_it_is_as_large_as_may_be_then_is_read(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        (bench.folder / name).write_text(name * LARGEST_READ_BYTES)
    read = bench.done(ActionName.READ_FILE, *({"path": name} for name in ("a", "b", "c")))
    assert [len(output["content"]) for output in read.outputs] == [LARGEST_READ_BYTES] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x" * (LARGEST_READ_BYTES + 1), "is larger than the 1.0 MiB"),
        (b"\xff\xfe", "is not text in utf-8"),
        (b"a\0b", "is not text in utf-8"),
    ],
)
def test_read_file_when_it_is_no_text_or_too_much_then_fails(
    bench: Bench, content: bytes, reason: str
) -> None:
    (bench.folder / "f").write_bytes(content)
    assert reason in bench.refused(ActionName.READ_FILE, {"path": "f"})


def test_read_file_when_it_begins_with_a_mark_then_that_is_no_content(bench: Bench) -> None:
    (bench.folder / "f").write_bytes("\ufeffx".encode("utf-16-le"))
    read = bench.done(ActionName.READ_FILE, {"path": "f", "encoding": "utf16"})
    assert read.outputs == ({"content": "x"},)


def test_read_file_when_it_is_missing_then_fails(bench: Bench) -> None:
    assert bench.refused(ActionName.READ_FILE, {"path": "f"}) == "There is no file ./f.\n"


def test_set_file_encoding_then_is_converted_in_place(bench: Bench) -> None:
    path = bench.folder / "f"
    path.write_text("ä€\n")
    path.chmod(0o640)
    bench.done(ActionName.SET_FILE_ENCODING, {"path": "f", "encoding": "utf-16-be"})
    assert path.read_bytes() == "ä€\n".encode("utf-16-be")
    assert mode(path) == 0o640


def test_set_file_encoding_when_it_is_not_utf8_then_stays_as_it_was(bench: Bench) -> None:
    (bench.folder / "f").write_bytes(b"a\xff")
    said = bench.refused(ActionName.SET_FILE_ENCODING, {"path": "f", "encoding": "utf16"})
    assert said.endswith("./f is not text in utf-8\n")
    assert (bench.folder / "f").read_bytes() == b"a\xff"


def test_set_permissions_then_are_exactly_those(bench: Bench) -> None:
    (bench.folder / "d/sub").mkdir(parents=True)
    (bench.folder / "d/sub/f").write_text("")
    bench.done(ActionName.SET_FILE_PERMISSIONS, {"path": "d/sub/f", "permissions": "0666"})
    assert mode(bench.folder / "d/sub/f") == 0o666
    once: Canonical = {"path": "d", "permissions": "0777", "recursive": False}
    bench.done(ActionName.SET_FOLDER_PERMISSIONS, once)
    assert (mode(bench.folder / "d"), mode(bench.folder / "d/sub")) == (0o777, 0o755)
    bench.done(ActionName.SET_FOLDER_PERMISSIONS, {"path": "d", "permissions": "0750"})
    assert {mode(p) for p in (bench.folder / "d").rglob("*")} == {0o750}


@pytest.mark.parametrize("permissions", ["rw", "0888", "77777", "$(id)", ""])
def test_set_permissions_when_they_are_none_then_fails_before_anything(
    bench: Bench, permissions: str
) -> None:
    inputs = {"path": "f", "permissions": permissions}
    assert bench.refused(ActionName.SET_FILE_PERMISSIONS, inputs)
    assert bench.machine.count == 0


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (ActionName.SET_FILE_OWNER, "file"),
        (ActionName.SET_FILE_PERMISSIONS, "file"),
        (ActionName.SET_FILE_ENCODING, "file"),
        (ActionName.SET_FOLDER_OWNER, "folder"),
        (ActionName.SET_FOLDER_PERMISSIONS, "folder"),
    ],
)
def test_set_when_the_other_kind_is_there_then_fails(
    bench: Bench, action: ActionName, kind: str
) -> None:
    if kind == "folder":
        (bench.folder / "x").write_text("")
    else:
        (bench.folder / "x").mkdir()
    inputs = {"path": "x", "owner": "root", "permissions": "0600"}
    assert bench.refused(action, inputs) == f"There is no {kind} ./x.\n"


def test_execute_binary_then_gives_its_words_and_status(bench: Bench) -> None:
    odd = ["-n", "$(id)", "a  b", "it's", ""]
    inputs = {"path": "printf", "arguments": ["%s|", *odd]}
    outcome = bench.tried(ActionName.EXECUTE_BINARY, inputs)
    assert outcome.outputs == ({"stdout": "".join(f"{word}|" for word in odd)},)
    reboots = {"path": "/bin/sh", "arguments": ["-c", "echo hi; exit 194"]}
    outcome = bench.tried(ActionName.EXECUTE_BINARY, reboots)
    assert outcome.result.exit_status == 194
    assert outcome.outputs == ({"stdout": "hi"},)


@pytest.mark.parametrize("path", ["/no/such/program", "-p", None])
def test_execute_binary_when_there_is_none_then_fails(bench: Bench, path: str | None) -> None:
    assert bench.tried(ActionName.EXECUTE_BINARY, {"path": path}).result.exit_status != 0
