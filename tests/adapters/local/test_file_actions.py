"""File modules in a real sandbox: what is theirs, and that no link of the image leads outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.local.roots import LocalRoot
from imagebuilder.domain.component import ActionName, Network, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import OutputFile
from imagebuilder.services.provisioning.filing import file_actions
from tests.workshops import Shop, shop

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), []) as opened:
        yield opened


@pytest.fixture
def root(place: Shop) -> Iterator[LocalRoot]:
    with place.roots.scratch([place.base()]) as root:
        yield root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder of this machine with a file, whose path no image has."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path / "outside"


def tried(root: LocalRoot, action: ActionName, *items: Canonical) -> ActionResult:
    call = ActionCall(
        action=action,
        phase=PhaseName.BUILD,
        inputs=list(items),
        machine=root.machine(Network.NONE),
        timeout_seconds=60.0,
    )
    return file_actions()[action].run(call)


def done(root: LocalRoot, action: ActionName, *items: Canonical) -> ActionResult:
    outcome = tried(root, action, *items)
    assert outcome.result.exit_status == 0, outcome.result.stderr
    return outcome


@pytest.mark.parametrize(
    ("action", "inputs"),
    [
        (ActionName.READ_FILE, {"path": "/out/secret"}),
        (ActionName.LIST_FILES, {"path": "/out"}),
        (ActionName.APPEND_FILE, {"path": "/out/secret", "content": "x"}),
        (ActionName.DELETE_FILE, {"path": "/out/secret"}),
        (ActionName.DELETE_FILE, {"path": "/out/*"}),
        (ActionName.COPY_FILE, {"source": "/out/secret", "destination": "/got"}),
        (ActionName.MOVE_FILE, {"source": "/out/secret", "destination": "/got"}),
        (ActionName.COPY_FOLDER, {"source": "/out", "destination": "/got"}),
        (ActionName.DELETE_FOLDER, {"path": "/out", "force": True}),
        (ActionName.SET_FILE_PERMISSIONS, {"path": "/out/secret", "permissions": "0777"}),
        (ActionName.SET_FOLDER_OWNER, {"path": "/out", "owner": "nobody"}),
        (ActionName.SET_FILE_ENCODING, {"path": "/out/secret", "encoding": "utf16"}),
        (ActionName.EXECUTE_BINARY, {"path": "/out/secret"}),
    ],
)
def test_a_link_when_it_points_outside_then_nothing_is_there(
    root: LocalRoot, outside: Path, action: ActionName, inputs: Canonical
) -> None:
    (Path(root.path) / "out").symlink_to(outside)
    before = [path.stat().st_ctime_ns for path in (outside, outside / "secret")]
    assert tried(root, action, inputs).result.exit_status != 0
    assert (outside / "secret").read_text() == "secret"
    assert [path.stat().st_ctime_ns for path in (outside, outside / "secret")] == before
    assert not (Path(root.path) / "got").exists()


def test_create_file_when_a_folder_links_outside_then_stays_inside(
    root: LocalRoot, outside: Path
) -> None:
    (Path(root.path) / "out").symlink_to(outside)
    up = f"/../../..{outside}/secret"
    done(root, ActionName.CREATE_FILE, {"path": up, "content": "mine"})
    done(root, ActionName.CREATE_FILE, {"path": "/out/secret", "content": "mine too"})
    assert (outside / "secret").read_text() == "secret"
    read = done(root, ActionName.READ_FILE, {"path": up}, {"path": "/out/secret"})
    assert read.outputs == ({"content": "mine too"}, {"content": "mine too"})


def test_owners_when_they_are_set_then_are_those_of_the_image(root: LocalRoot) -> None:
    top = Path(root.path)
    done(root, ActionName.CREATE_FILE, {"path": "/d/sub/f", "owner": "nobody", "group": "root"})
    assert ((top / "d/sub/f").stat().st_uid, (top / "d/sub/f").stat().st_gid) == (65534, 0)
    done(root, ActionName.SET_FILE_OWNER, {"path": "/d/sub/f", "owner": "nobody"})
    assert (top / "d/sub/f").stat().st_gid == 65534
    once: Canonical = {"path": "/d", "owner": "12", "group": "34", "recursive": False}
    done(root, ActionName.SET_FOLDER_OWNER, once)
    owners = [((top / p).stat().st_uid, (top / p).stat().st_gid) for p in ("d", "d/sub")]
    assert owners == [(12, 34), (0, 0)]
    done(root, ActionName.SET_FOLDER_OWNER, {"path": "/d", "owner": "nobody"})
    assert {p.stat().st_uid for p in (top / "d").rglob("*")} == {65534}


def test_owner_when_there_is_no_such_user_then_fails(root: LocalRoot) -> None:
    done(root, ActionName.CREATE_FILE, {"path": "/f"})
    outcome = tried(root, ActionName.SET_FILE_OWNER, {"path": "/f", "owner": "nosuchuser"})
    assert b"nosuchuser" in outcome.result.stderr


def test_set_folder_owner_when_a_link_in_it_points_elsewhere_then_only_the_link_changes(
    root: LocalRoot,
) -> None:
    top = Path(root.path)
    done(root, ActionName.CREATE_FILE, {"path": "/other"}, {"path": "/d/f"})
    done(root, ActionName.CREATE_SYMLINK, {"path": "/d/link", "target": "/other"})
    done(root, ActionName.SET_FOLDER_OWNER, {"path": "/d", "owner": "nobody"})
    assert (top / "d/link").lstat().st_uid == 65534
    assert (top / "other").stat().st_uid == 0


def test_files_when_made_copied_listed_and_read_then_are_as_asked(root: LocalRoot) -> None:
    done(root, ActionName.CREATE_FILE, {"path": "/s/a.txt", "content": "a"}, {"path": "/s/b"})
    done(root, ActionName.COPY_FOLDER, {"source": "/s", "destination": "/d/"})
    listed = done(root, ActionName.LIST_FILES, {"path": "/d", "recursive": True})
    assert listed.outputs == ({"files": "/d/s/a.txt,/d/s/b"},)
    read = done(root, ActionName.READ_FILE, {"path": "/d/s/a.txt"})
    assert read.outputs == ({"content": "a"},)


def test_script_when_it_has_files_then_they_are_streamed_in_and_out(
    root: LocalRoot, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 300_000)
    target = OutputFile(path=tmp_path / "out", limit_bytes=200_000)
    script = Script(text="cat", stdin=b"y", stdin_file=tmp_path / "in", stdout_file=target)
    result = root.machine(Network.NONE).run(script)
    assert (result.exit_status, result.dropped_bytes) == (0, 100_001)
    assert (tmp_path / "out").read_bytes() == b"y" + b"x" * 199_999
