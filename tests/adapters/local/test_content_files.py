"""Files that may be content: copies of what people name, and what a signed package holds."""

import io
import lzma
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from imagebuilder.adapters.local.archives import AptArchives
from imagebuilder.adapters.local.content_files import LocalContentFiles
from imagebuilder.adapters.local.fetching import ArchiveFetcher
from imagebuilder.adapters.local.signatures import TrustedKeys
from imagebuilder.adapters.local.sources import AptSources, Mirrors
from imagebuilder.domain.content import ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.archives import IndexDiffers
from imagebuilder.ports.building import MirrorUnreachable, SignatureRefused
from imagebuilder.ports.content import LARGEST_CONTENT_BYTES, ContentNotPackaged
from tests.fakes.clock import FakeClock
from tests.mirrors import Answer
from tests.signed_archives import SignedArchive, SigningKey, signed_archive, signing_key
from tests.workshops import RUNNER

CONTENT = "./usr/share/xml/scap/ssg/content/"


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


@pytest.fixture
def archive(key: SigningKey) -> Iterator[SignedArchive]:
    with signed_archive(key) as made:
        made.suite = "sid"
        yield made


class Shop:
    """Gives files from an archive whose key is trusted."""

    def __init__(self, archive: SignedArchive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        ring = folder / "debian.gpg"
        ring.write_bytes(archive.key.public)
        fetcher = ArchiveFetcher()
        etc = folder / "etc"
        mirrors = Mirrors(main=archive.url)
        self.files = LocalContentFiles(
            self.folders,
            AptSources(RUNNER, mirrors, etc, folder / "known.json", fetcher),
            AptArchives(fetcher, TrustedKeys(RUNNER, etc, ring), folder / "cache", FakeClock()),
        )

    @contextmanager
    def folders(self, prefix: str) -> Iterator[Path]:
        made = self.folder / f"{prefix}work"
        made.mkdir()
        yield made

    def offer(self, package: bytes, version: str = "0.1.82-1", digest: str = "") -> None:
        """Publish a package beside those that are there."""
        path = f"pool/main/s/ssg-debian_{version}_all.deb"
        self.archive.served.answers[f"/debian/{path}"] = Answer(package)
        self.archive.held[version] = (
            f"Package: ssg-debian\nVersion: {version}\nArchitecture: all\nFilename: {path}\n"
            f"Size: {len(package)}\nSHA256: {digest or sha256(package).hexdigest()}\n\n"
        )
        self.archive.publish()

    def packaged(self) -> dict[str, bytes]:
        with self.files.packaged() as files:
            return {file.name: Path(file.path).read_bytes() for file in files}


@pytest.fixture
def shop(archive: SignedArchive, tmp_path: Path) -> Shop:
    return Shop(archive, tmp_path)


def deb(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """Give a package of files, or of whatever."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return ar(**{"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(data.getvalue())})


def ar(**members: bytes) -> bytes:
    text = b"!<arch>\n"
    for name, content in members.items():
        text += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        text += content + b"\n" * (len(content) % 2)
    return text


def test_package_when_it_is_signed_then_its_data_streams_are_given(shop: Shop) -> None:
    shop.offer(deb((f"{CONTENT}ssg-old-ds.xml", b"old")), "0.1.9-1")
    shop.offer(
        deb(
            (f"{CONTENT}ssg-debian12-ds.xml", b"twelve"),
            (f"{CONTENT}ssg-debian12-oval.xml", b"no data stream"),
            ("./usr/share/doc/x/ssg-debian12-ds.xml", b"somewhere else"),
            (f"{CONTENT}ssg-debian13-ds.xml", b"thirteen"),
        ),
        "0.1.82-1",
    )

    assert shop.packaged() == {"ssg-debian12-ds.xml": b"twelve", "ssg-debian13-ds.xml": b"thirteen"}


def test_package_when_names_in_it_lead_elsewhere_then_they_are_passed_over(
    shop: Shop, tmp_path: Path
) -> None:
    link = tarfile.TarInfo(f"{CONTENT}ssg-link-ds.xml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    pipe = tarfile.TarInfo(f"{CONTENT}ssg-pipe-ds.xml")
    pipe.type = tarfile.FIFOTYPE
    shop.offer(
        deb(
            link,
            pipe,
            (f"{CONTENT}../../../../../../../..{tmp_path}/ssg-out-ds.xml", b"out"),
            (f"/{CONTENT[2:]}ssg-absolute-ds.xml", b"out"),
            (f"{CONTENT}ssg-good-ds.xml", b"good"),
        )
    )

    assert shop.packaged() == {"ssg-good-ds.xml": b"good"}
    assert not (tmp_path / "ssg-out-ds.xml").exists()


def test_package_when_another_signed_it_then_it_is_refused(
    shop: Shop, archive: SignedArchive
) -> None:
    shop.offer(deb((f"{CONTENT}ssg-x-ds.xml", b"x")))
    with signing_key() as other:
        archive.key = other
        archive.publish()

    with pytest.raises(SignatureRefused):
        shop.packaged()


def test_package_when_its_bytes_are_not_those_that_were_signed_then_it_is_refused(
    shop: Shop,
) -> None:
    shop.offer(deb((f"{CONTENT}ssg-x-ds.xml", b"x")), digest="0" * 64)

    with pytest.raises(IndexDiffers):
        shop.packaged()


def test_package_when_the_mirror_has_not_got_it_then_that_is_said(
    shop: Shop, archive: SignedArchive
) -> None:
    shop.offer(deb((f"{CONTENT}ssg-x-ds.xml", b"x")))
    archive.served.answers = {
        path: answer for path, answer in archive.served.answers.items() if "pool" not in path
    }

    with pytest.raises(MirrorUnreachable):
        shop.packaged()


@pytest.mark.parametrize(
    ("package", "said"),
    [
        (None, "The archive has no such package in sid"),
        (b"no package", "it is no package"),
        (deb(("./usr/share/doc/x", b"x")), "It holds no data stream"),
        (ar(**{"debian-binary": b"2.0\n"}), "it holds no data.tar.xz"),
        (ar(**{"data.tar.xz": b"no xz"}), "cannot be unpacked"),
        (ar(**{"data.tar.xz": lzma.compress(b"no tar")}), "cannot be unpacked"),
        (deb((f"{CONTENT}ssg-x-ds.xml", bytes(200_000)))[:-100], "cannot be unpacked"),
    ],
)
def test_package_when_there_is_no_content_in_it_then_the_reason_is_told(
    shop: Shop, package: bytes | None, said: str
) -> None:
    if package is None:
        shop.archive.publish()
    else:
        shop.offer(package)

    with pytest.raises(ContentNotPackaged) as caught:
        shop.packaged()
    assert said in caught.value.context


def test_copy_when_given_then_has_the_bytes_their_digest_and_the_name(
    shop: Shop, tmp_path: Path
) -> None:
    file = tmp_path / "mine-ds.xml"
    file.write_bytes(b"content")

    with shop.files.copied(str(file)) as copy:
        assert (copy.name, copy.digest) == ("mine-ds.xml", Digest.of_bytes(b"content"))
        assert Path(copy.path).read_bytes() == b"content"
        assert Path(copy.path) != file


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "huge"])
def test_copy_when_it_is_no_plain_file_then_it_is_refused(
    shop: Shop, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "content.xml"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")
        case "huge":
            file.touch()
            os.truncate(file, LARGEST_CONTENT_BYTES + 1)

    with pytest.raises(ContentUnreadable), shop.files.copied(str(file)):
        pass
