"""A folder that hands out files."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from imagebuilder.adapters.system.folder_shelf import FolderShelf
from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.shelves import LARGEST_TEXT_BYTES, Parcel
from imagebuilder.ports.targets import TargetRefused
from tests.build import a_digest

PATH = "web/web_1.2.0-3.raw"


def a_parcel(tmp_path: Path, content: bytes = b"disk", digest: Digest | None = None) -> Parcel:
    file = tmp_path / "file"
    file.write_bytes(content)
    return Parcel(path=PATH, file=file, digest=digest or Digest.of_bytes(content))


@pytest.fixture
def shelf(tmp_path: Path) -> FolderShelf:
    (tmp_path / "shelf").mkdir()
    return FolderShelf(tmp_path / "shelf")


def test_put_then_everybody_may_read_it_and_zeros_take_no_room(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    shelf.put(a_parcel(tmp_path, b"x" + bytes(8 << 20)), lambda _: None)

    status = (tmp_path / "shelf" / PATH).stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_blocks * 512 < 1 << 20


def test_put_when_the_file_is_another_by_now_then_nothing_is_there(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    with pytest.raises(DigestMismatch):
        shelf.put(a_parcel(tmp_path, digest=a_digest("other")), lambda _: None)

    assert [p.name for p in (tmp_path / "shelf/web").iterdir()] == []


def test_put_when_a_writer_was_killed_there_then_what_it_left_goes_and_a_live_ones_stays(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    folder = tmp_path / "shelf/web"
    folder.mkdir()
    dead, live = (folder / f".web_1.2.0-3.raw.{name}.part" for name in ("dead", "live"))
    dead.touch()
    with live.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        shelf.put(a_parcel(tmp_path), lambda _: None)

    assert sorted(p.name for p in folder.iterdir()) == [live.name, "web_1.2.0-3.raw"]


def test_everything_when_the_folder_is_not_there_then_it_is_not_made(tmp_path: Path) -> None:
    shelf = FolderShelf(tmp_path / "none")

    objection = shelf.hindrance(1)
    for act in (
        lambda: shelf.find(PATH),
        lambda: shelf.read(PATH),
        lambda: shelf.remove(PATH),
        lambda: shelf.rewrite(PATH, lambda _: b"x"),
        lambda: shelf.put(a_parcel(tmp_path), lambda _: None),
    ):
        with pytest.raises(TargetUnavailable):
            act()

    assert objection is not None
    assert str(tmp_path / "none") in objection.reason
    assert not (tmp_path / "none").exists()


def test_hindrance_when_the_files_do_not_fit_then_says_so(shelf: FolderShelf) -> None:
    objection = shelf.hindrance(1 << 60)

    assert objection is not None
    assert "1048576.0 TiB" in objection.reason


def test_rewrite_when_a_link_lies_where_the_lock_is_then_the_file_it_leads_to_stays_as_it_was(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    host_file = tmp_path / "passwd"
    host_file.write_text("root")
    (tmp_path / "shelf/.imagebuilder.lock").symlink_to(host_file)

    with pytest.raises(TargetUnavailable):
        shelf.rewrite("web/SHA256SUMS", lambda _: b"x")

    assert host_file.read_text() == "root"


def test_rewrite_then_nobody_else_can_open_the_lock_and_keep_it(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    shelf.rewrite("web/SHA256SUMS", lambda _: b"x")

    assert stat.S_IMODE((tmp_path / "shelf/.imagebuilder.lock").stat().st_mode) == 0o600


def test_read_when_a_link_lies_there_then_what_it_leads_to_is_not_read(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    host_file = tmp_path / "shadow"
    host_file.write_text("secret")
    (tmp_path / "shelf/web").mkdir()
    (tmp_path / "shelf" / PATH).symlink_to(host_file)

    for act in (shelf.read, shelf.find):
        with pytest.raises(TargetRefused):
            act(PATH)


@pytest.mark.timeout(20)  # who waits for a pipe waits for ever
def test_everything_when_pipes_lie_there_then_nobody_waits_for_them(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    folder = tmp_path / "shelf/web"
    folder.mkdir()
    os.mkfifo(folder / ".web_1.2.0-3.raw.0.part")
    os.mkfifo(folder / "SHA256SUMS")

    shelf.put(a_parcel(tmp_path), lambda _: None)

    for act in (shelf.read, shelf.find):
        with pytest.raises(TargetRefused):
            act("web/SHA256SUMS")


def test_everything_when_a_folder_of_it_leads_elsewhere_then_nothing_there_is_touched(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "web_1.2.0-3.raw").write_bytes(b"theirs")
    (tmp_path / "shelf/web").symlink_to(elsewhere)

    with pytest.raises(TargetRefused):
        shelf.find(PATH)
    with pytest.raises(TargetRefused):
        shelf.remove(PATH)
    with pytest.raises(TargetRefused):
        shelf.rewrite(PATH, lambda _: b"x")
    with pytest.raises(TargetRefused):
        shelf.put(a_parcel(tmp_path), lambda _: None)

    assert [(p.name, p.read_bytes()) for p in elsewhere.iterdir()] == [
        ("web_1.2.0-3.raw", b"theirs")
    ]


def test_read_when_a_text_is_larger_than_any_then_it_is_refused(
    shelf: FolderShelf, tmp_path: Path
) -> None:
    with (tmp_path / "shelf/SHA256SUMS").open("wb") as file:
        file.truncate(LARGEST_TEXT_BYTES + 1)

    with pytest.raises(TargetRefused):
        shelf.read("SHA256SUMS")
