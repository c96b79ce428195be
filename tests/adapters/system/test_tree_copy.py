"""Files beside a component, copied into a sandboxed root by its own tar."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.local.roots import LocalRoot
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.tree_copy import CopyTree
from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import Network, PhaseName
from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import CommandResult
from tests.fakes.machine import FakeMachine
from tests.workshops import Shop, ran, said, shop


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), []) as opened:
        yield opened


@pytest.fixture
def root(place: Shop) -> Iterator[LocalRoot]:
    with place.roots.scratch([place.base()]) as root:
        yield root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "component"
    for name, text in {
        "etc/app/app.conf": "port = 1\n",
        "etc/app/run": "#!/bin/sh\n",
        "etc/app/__pycache__/x.pyc": "x",
        "one.txt": "one\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "etc/app/run").chmod(0o700)
    (folder / "etc/app/link").symlink_to("app.conf")
    return folder


def a_call(folder: Path, machine: Machine, *items: dict[str, str]) -> ActionCall:
    return ActionCall(
        action=ActionName.COPY_TREE,
        phase=PhaseName.BUILD,
        inputs=list(items),
        machine=machine,
        timeout_seconds=60.0,
        folder=folder,
    )


def copied(folder: Path, root: LocalRoot, *items: dict[str, str]) -> CommandResult:
    action = CopyTree(partial(working_folder, folder.parent / "work"))
    return action.run(a_call(folder, root.machine(Network.NONE), *items)).result


def refused(folder: Path, **item: str) -> str:
    """Give why a copy is refused before anything is run."""
    machine = FakeMachine()
    action = CopyTree(partial(working_folder, folder.parent / "work"))
    result = action.run(a_call(folder, machine, item)).result
    assert result.exit_status == 1
    assert machine.scripts == []
    return result.last_lines


@pytest.mark.root
def test_run_of_a_folder_then_its_files_are_there_as_roots(folder: Path, root: LocalRoot) -> None:
    result = copied(folder, root, {"source": "etc/app", "destination": "/opt/new/app"})

    assert result.exit_status == 0, result.last_lines
    listed = said(root, "cd /opt/new/app; stat -c '%A %u:%g %Y %n' . *")
    assert listed.splitlines() == [
        "drwxr-xr-x 0:0 1767225600 .",
        "-rw-r--r-- 0:0 1767225600 app.conf",
        "lrwxrwxrwx 0:0 1767225600 link",
        "-rwxr-xr-x 0:0 1767225600 run",
    ]
    assert said(root, "readlink /opt/new/app/link") == "app.conf"


@pytest.mark.root
def test_run_with_owner_and_permissions_then_they_are_set(folder: Path, root: LocalRoot) -> None:
    item = {"source": "etc/app", "destination": "/opt/app", "owner": "nobody", "group": "7"}

    result = copied(folder, root, {**item, "permissions": "0640"})

    assert result.exit_status == 0, result.last_lines
    listed = said(root, "stat -c '%a %u:%g' /opt/app /opt/app/run")
    assert listed.splitlines() == ["750 65534:7", "640 65534:7"]


@pytest.mark.root
def test_run_onto_what_is_there_then_folders_keep_theirs_and_files_are_replaced(
    folder: Path, root: LocalRoot
) -> None:
    said(
        root,
        "mkdir -m 0711 /real; ln -s real /app; ln -s /etc/passwd /real/app.conf; echo > /real/x",
    )

    result = copied(folder, root, {"source": "etc/app", "destination": "/app"})

    assert result.exit_status == 0, result.last_lines
    assert said(root, "readlink /app; stat -c %a /real; ls /real | tr '\\n' ' '") == (
        "real\n711\napp.conf link run x"
    )
    assert said(root, "cat /real/app.conf; head -n 1 /etc/passwd").startswith("port = 1\nroot:")


@pytest.mark.root
@pytest.mark.parametrize(
    ("destination", "path"), [("/srv/two.txt", "two.txt"), ("/srv/", "one.txt")]
)
def test_run_of_a_file_then_it_is_where_it_was_to_be(
    folder: Path, root: LocalRoot, destination: str, path: str
) -> None:
    result = copied(folder, root, {"source": "one.txt", "destination": destination})

    assert result.exit_status == 0, result.last_lines
    assert said(root, f"cat /srv/{path}") == "one"


@pytest.mark.root
def test_run_onto_the_root_then_it_stays_as_it_is(folder: Path, root: LocalRoot) -> None:
    before = said(root, "stat -c '%a %u' / /etc; readlink /lib")
    (folder / "tree/lib").mkdir(parents=True)
    (folder / "tree/lib/new").write_text("x")

    result = copied(folder, root, {"source": "tree", "destination": "/"})

    assert result.exit_status == 0, result.last_lines
    assert said(root, "stat -c '%a %u' / /etc; readlink /lib") == before
    assert said(root, "cat /usr/lib/new") == "x"


@pytest.mark.root
def test_run_when_the_image_has_no_such_owner_then_fails_and_copies_nothing(
    folder: Path, root: LocalRoot
) -> None:
    item = {"source": "one.txt", "destination": "/one", "owner": "app", "group": "root"}

    result = copied(folder, root, item)

    assert (result.exit_status, result.last_lines) == (1, "The image has no user app.")
    assert ran(root, "test -e /one").exit_status != 0


@pytest.mark.root
def test_run_of_many_when_one_fails_then_the_rest_is_left(folder: Path, root: LocalRoot) -> None:
    result = copied(
        folder,
        root,
        {"source": "one.txt", "destination": "/one"},
        {"source": "two.txt", "destination": "/two"},
        {"source": "one.txt", "destination": "/three"},
    )

    assert result.exit_status == 1
    assert "two.txt cannot be read" in result.last_lines
    assert said(root, "cat /one") == "one"
    assert ran(root, "test -e /three").exit_status != 0
    assert list((folder.parent / "work").iterdir()) == []


@pytest.mark.parametrize(
    "source", ["../secret", "/etc/passwd", "out", "out/secret", "etc/../../secret"]
)
def test_run_when_the_source_lies_elsewhere_then_is_refused(folder: Path, source: str) -> None:
    (folder.parent / "secret").write_text("x")
    (folder / "out").symlink_to(folder.parent)

    assert "leads out of the component's folder" in refused(folder, source=source, destination="/x")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../one.txt", "../../../secret"])
def test_run_when_a_link_leads_out_of_the_tree_then_is_refused(folder: Path, target: str) -> None:
    (folder / "etc/app/bad").symlink_to(target)

    assert "The link bad leads out of it." in refused(folder, source="etc/app", destination="/x")


def test_run_when_there_is_a_special_file_then_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "etc/app/pipe")

    assert "pipe is no file, folder or link" in refused(folder, source="etc/app", destination="/x")


def test_run_when_the_destination_is_relative_then_is_refused(folder: Path) -> None:
    assert "etc/x is not absolute" in refused(folder, source="one.txt", destination="etc/x")
