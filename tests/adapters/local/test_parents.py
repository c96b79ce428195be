"""Roots unpacked from tar files."""

import io
import tarfile
from pathlib import Path

import pytest

from imagebuilder.adapters.local.parents import ParentMaker
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import RootfsParent
from imagebuilder.ports.building import ArchiveRefused

pytestmark = pytest.mark.root


@pytest.fixture(name="archive")
def _archive(tmp_path: Path) -> Path:
    """A tar file as mmdebstrap makes them: files of several owners, one set-uid."""
    path = tmp_path / "root.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("./", "./usr/", "./etc/", "./dev/"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        _add(archive, "./etc/shadow", mode=0o640, group=42)
        _add(archive, "./usr/su", mode=0o4755, group=0)
        _add(archive, "./dev/null", mode=0o666, group=0)
    return path


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def _add(archive: tarfile.TarFile, name: str, *, mode: int, group: int) -> None:
    content = b"content\n"
    file = tarfile.TarInfo(name)
    file.mode, file.gid, file.size = mode, group, len(content)
    archive.addfile(file, io.BytesIO(content))


def _make(archive: Path, root: Path, sha256: Digest | None = None) -> None:
    source = RootfsParent(path=str(archive), sha256=sha256)
    parent = PlannedParent(asked="rootfs:root.tar", identity="x", source=source)
    ParentMaker(SystemCommandRunner(SystemClock()), None, ()).make(parent, root, None)


def test_unpack_when_files_belong_to_others_then_owners_and_modes_are_kept(
    archive: Path, root: Path
) -> None:
    _make(archive, root)

    shadow, program = (root / "etc/shadow").stat(), (root / "usr/su").stat()
    assert (shadow.st_uid, shadow.st_gid, shadow.st_mode & 0o7777) == (0, 42, 0o640)
    assert program.st_mode & 0o7777 == 0o4755


def test_unpack_when_the_archive_has_device_files_then_they_are_left_out(
    archive: Path, root: Path
) -> None:
    _make(archive, root)

    assert list((root / "dev").iterdir()) == []


def test_unpack_when_the_digest_is_another_then_it_is_refused(archive: Path, root: Path) -> None:
    with pytest.raises(ArchiveRefused, match=r"root\.tar"):
        _make(archive, root, Digest.of_bytes(b"something else"))

    assert list(root.iterdir()) == []
