"""Parents: archives that lie, mirrors that do not answer or are not who they should be."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.local import manifest
from imagebuilder.domain.layer import Entry
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Repository, RootfsParent, Suite, SuiteParent
from imagebuilder.ports.building import ArchiveRefused, MirrorUnreachable, SignatureRefused
from tests.build import a_digest
from tests.mirrors import Answer, Mirror, mirror
from tests.workshops import Shop, shop, tiny_parent

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755
    for field, value in more.items():
        setattr(info, field, value)
    return info


@pytest.fixture
def archived(tmp_path: Path) -> Callable[..., Path]:
    """Make an archive of a root with some members more."""

    def make(*members: tarfile.TarInfo, mode: str = "w", base: bool = True) -> Path:
        path = tmp_path / "root.tar"
        with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as opened:  # type: ignore[call-overload]
            if base:
                opened.addfile(member("./usr", tarfile.DIRTYPE))
            for info in members:
                content = b"x" if info.isreg() else b""
                info.size = len(content)
                opened.addfile(info, io.BytesIO(content))
        return path

    return make


def unpacked(place: Shop, archive: Path) -> dict[str, Entry]:
    with place.roots.parent(tiny_parent(archive), None) as root:
        return dict(manifest.scan(root.path).entries)


class TestArchive:
    def test_parent_then_modes_owners_links_and_attributes_are_the_archives(
        self, place: Shop, archived: Callable[..., Path]
    ) -> None:
        capability = bytes.fromhex("0100000200040000000000000000000000000000")
        pax = {"SCHILY.xattr.security.capability": capability.decode("latin-1")}
        archive = archived(
            member("./usr/su", mode=0o4755, uid=0, gid=7, mtime=1000),
            member("./usr/mail", mode=0o2755, uid=1234, gid=8),
            member("./usr/hard", tarfile.LNKTYPE, linkname="./usr/su"),
            member("./usr/soft", tarfile.SYMTYPE, linkname="/etc/passwd"),
            member("./usr/capable", pax_headers=pax),
            member("./tmp", tarfile.DIRTYPE, mode=0o1777),
        )

        entries = unpacked(place, archive)

        su, mail = entries["/usr/su"], entries["/usr/mail"]
        assert (su.mode, su.gid, su.mtime) == (0o4755, 7, 1000)
        assert (mail.mode, mail.uid, mail.gid) == (0o2755, 1234, 8)
        assert su.hard_link_of == "/usr/hard"
        assert entries["/usr/soft"].target == "/etc/passwd"
        assert entries["/usr/capable"].xattrs == (("security.capability", capability.hex()),)
        assert entries["/tmp"].mode == 0o1777

    def test_parent_when_folders_of_the_kernel_are_not_in_it_then_they_are_made(
        self, place: Shop, archived: Callable[..., Path]
    ) -> None:
        entries = unpacked(place, archived())

        modes = {path: entries[path].mode for path in ("/proc", "/dev", "/run", "/tmp")}
        assert modes == {"/proc": 0o755, "/dev": 0o755, "/run": 0o755, "/tmp": 0o1777}

    def test_parent_then_its_own_dev_is_left_out_and_folders_of_that_name_are_not(
        self, place: Shop, archived: Callable[..., Path]
    ) -> None:
        entries = unpacked(
            place,
            archived(
                member("./dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
                member("./usr/dev/kept"),
                member("./usr/share/dev/kept"),
            ),
        )

        assert "/dev/null" not in entries
        assert {"/usr/dev/kept", "/usr/share/dev/kept"} <= entries.keys()

    @pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
    def test_parent_when_it_is_compressed_then_is_unpacked(
        self, place: Shop, archived: Callable[..., Path], mode: str
    ) -> None:
        assert "/usr/file" in unpacked(place, archived(member("./usr/file"), mode=mode))

    @pytest.mark.parametrize(
        "members",
        [
            pytest.param([member("../outside")], id="above"),
            pytest.param([member("./usr/../../outside")], id="above by way of a folder"),
            pytest.param([member("/absolute")], id="absolute"),
            pytest.param(
                [member("./link", tarfile.SYMTYPE, linkname="/etc"), member("./link/outside")],
                id="through a link",
            ),
            pytest.param(
                [
                    member("./link", tarfile.SYMTYPE, linkname="../../../../etc"),
                    member("./link/outside"),
                ],
                id="through a relative link",
            ),
            pytest.param(
                [member("./hard", tarfile.LNKTYPE, linkname="/etc/passwd")], id="hard link outside"
            ),
            pytest.param(
                [member("./hard", tarfile.LNKTYPE, linkname="../../etc/passwd")],
                id="hard link above",
            ),
            pytest.param(
                [member("./disk", tarfile.BLKTYPE, devmajor=254, devminor=0)], id="block device"
            ),
            pytest.param(
                [member("./usr/mem", tarfile.CHRTYPE, devmajor=1, devminor=1)], id="device"
            ),
            pytest.param([member("./tmp", tarfile.SYMTYPE, linkname="/etc")], id="tmp is a link"),
            pytest.param([member("./run")], id="run is a file"),
        ],
    )
    def test_parent_when_it_leads_outside_then_is_refused_and_nothing_is_touched(
        self,
        place: Shop,
        archived: Callable[..., Path],
        tmp_path: Path,
        members: list[tarfile.TarInfo],
    ) -> None:
        before = sorted(os.listdir("/etc")), sorted(os.listdir("/"))  # noqa: PTH208 - names

        with pytest.raises(ArchiveRefused):
            unpacked(place, archived(*members))

        assert (sorted(os.listdir("/etc")), sorted(os.listdir("/"))) == before  # noqa: PTH208
        assert list(tmp_path.rglob("outside")) == []
        assert list((place.folder / "work").rglob("outside")) == []

    @pytest.mark.parametrize(
        "members",
        [[], [member("./usr", tarfile.SYMTYPE, linkname="/usr")], [member("./usr")]],
        ids=["nothing", "a link to the machine's", "a file"],
    )
    def test_parent_when_it_is_no_root_then_is_refused(
        self, place: Shop, archived: Callable[..., Path], members: list[tarfile.TarInfo]
    ) -> None:
        with pytest.raises(ArchiveRefused, match="unpacked"):
            unpacked(place, archived(*members, base=False))

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    def test_parent_when_it_is_cut_short_then_is_refused(
        self, place: Shop, archived: Callable[..., Path], mode: str
    ) -> None:
        archive = archived(*(member(f"./usr/{n}") for n in range(100)), mode=mode)
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2 + 100])

        with pytest.raises(ArchiveRefused):
            unpacked(place, archive)

    @pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
    def test_parent_when_it_is_no_archive_then_is_refused(
        self, place: Shop, tmp_path: Path, content: bytes
    ) -> None:
        archive = tmp_path / "root.tar"
        archive.write_bytes(content)

        with pytest.raises(ArchiveRefused):
            unpacked(place, archive)

    def test_parent_when_it_is_not_the_file_that_was_pinned_then_is_refused(
        self, place: Shop, archived: Callable[..., Path]
    ) -> None:
        archive = archived()
        pinned = RootfsParent(path=str(archive), sha256=a_digest("another"))

        with pytest.raises(ArchiveRefused, match="unpacked") as refused:
            made(place, replace(tiny_parent(archive), source=pinned))

        assert a_digest("another").hex in refused.value.context

    def test_parent_when_it_would_hide_the_kernels_marks_of_overlays_then_they_are_not_taken(
        self, place: Shop, archived: Callable[..., Path]
    ) -> None:
        pax = {"SCHILY.xattr.trusted.overlay.opaque": "y"}
        archive = archived(member("./usr/folder", tarfile.DIRTYPE, pax_headers=pax))

        with place.roots.parent(tiny_parent(archive), None) as root:
            assert manifest.scan(root.path).opaque == frozenset()


def made(place: Shop, parent: PlannedParent) -> None:
    with place.roots.parent(parent, None):
        pass


def a_suite() -> PlannedParent:
    return PlannedParent(
        asked="debian:bookworm", identity="x", source=SuiteParent(suite=Suite.BOOKWORM)
    )


def archive_of(url: str, keyring: Path | None = None) -> Repository:
    return Repository(url=url, suites=("bookworm",), keyring=str(keyring) if keyring else None)


@pytest.fixture
def served() -> Iterator[Mirror]:
    with mirror() as archive:
        yield archive


@pytest.fixture(autouse=True)
def _agents_end(tmp_path: Path) -> Iterator[None]:
    """End the agents that gpg starts beside itself."""
    yield
    for keys in tmp_path.glob("*/private-keys-v1.d"):
        end = ["gpgconf", "--homedir", str(keys.parent), "--kill", "gpg-agent"]
        subprocess.run(end, check=True)


def a_key(folder: Path, name: str) -> Path:
    """Make a signing key and give its public half as a keyring."""
    home = folder / name
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    subprocess.run(
        [*gpg, "--quick-gen-key", f"{name}@example.org", "ed25519", "sign", "never"],
        check=True,
        capture_output=True,
    )
    keyring = folder / f"{name}.gpg"
    exported = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    keyring.write_bytes(exported)
    return keyring


def signed(folder: Path, name: str, text: str) -> bytes:
    """Sign a text with the key of that name."""
    return subprocess.run(
        ["gpg", "--homedir", str(folder / name), "--batch", "--quiet", "--clearsign"],
        input=text.encode(),
        check=True,
        capture_output=True,
    ).stdout


RELEASE = """Origin: Example
Suite: bookworm
Codename: bookworm
Date: Thu, 01 Jan 2026 00:00:00 UTC
Architectures: amd64
Components: main
"""


class TestSuite:
    def test_parent_when_the_mirror_is_closed_then_it_is_unreachable(self, tmp_path: Path) -> None:
        with mirror() as gone:
            url = gone.url
        with (
            shop(tmp_path, [archive_of(f"{url}/debian")]) as place,
            pytest.raises(MirrorUnreachable) as unreachable,
        ):
            made(place, a_suite())
        assert f"{url}/debian" in unreachable.value.message
        assert "refused" in unreachable.value.context

    def test_parent_when_the_mirror_is_broken_then_it_is_unreachable(
        self, tmp_path: Path, served: Mirror
    ) -> None:
        served.answers["/debian/dists/bookworm/InRelease"] = Answer(status=503)
        with (
            shop(tmp_path, [archive_of(f"{served.url}/debian")]) as place,
            pytest.raises(MirrorUnreachable),
        ):
            made(place, a_suite())

    def test_parent_when_it_is_signed_by_another_then_the_signature_is_refused(
        self, tmp_path: Path, served: Mirror
    ) -> None:
        a_key(tmp_path, "theirs")
        wanted = a_key(tmp_path, "wanted")
        content = signed(tmp_path, "theirs", RELEASE)
        served.answers["/debian/dists/bookworm/InRelease"] = Answer(content)
        with (
            shop(tmp_path, [archive_of(f"{served.url}/debian", wanted)]) as place,
            pytest.raises(SignatureRefused),
        ):
            made(place, a_suite())

    def test_parent_when_it_was_changed_after_it_was_signed_then_the_signature_is_refused(
        self, tmp_path: Path, served: Mirror
    ) -> None:
        keyring = a_key(tmp_path, "theirs")
        content = signed(tmp_path, "theirs", RELEASE).replace(b"Origin: Example", b"Origin: Evil  ")
        served.answers["/debian/dists/bookworm/InRelease"] = Answer(content)
        with (
            shop(tmp_path, [archive_of(f"{served.url}/debian", keyring)]) as place,
            pytest.raises(SignatureRefused),
        ):
            made(place, a_suite())

    def test_parent_when_it_is_not_signed_then_the_signature_is_refused(
        self, tmp_path: Path, served: Mirror
    ) -> None:
        served.answers["/debian/dists/bookworm/Release"] = Answer(RELEASE.encode())
        with (
            shop(tmp_path, [archive_of(f"{served.url}/debian")]) as place,
            pytest.raises(SignatureRefused),
        ):
            made(place, a_suite())
