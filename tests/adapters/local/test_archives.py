"""What archives have, believed only when it is signed, and kept for the next process."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagebuilder.adapters.local.archives import AptArchives
from imagebuilder.adapters.local.fetching import ArchiveFetcher
from imagebuilder.adapters.local.signatures import TrustedKeys
from imagebuilder.domain.offers import PackageIndex
from imagebuilder.domain.recipe import Repository
from imagebuilder.ports.archives import IndexDiffers
from imagebuilder.ports.building import MirrorUnreachable, SignatureRefused
from tests.fakes.clock import FakeClock
from tests.mirrors import Answer
from tests.signed_archives import SignedArchive, SigningKey, signed_archive, signing_key
from tests.workshops import RUNNER


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


@pytest.fixture
def archive(key: SigningKey) -> Iterator[SignedArchive]:
    with signed_archive(key, openssl="3.0.14-1", tzdata="2024a-0") as made:
        yield made


@pytest.fixture
def keyring(key: SigningKey, tmp_path: Path) -> Path:
    ring = tmp_path / "own.gpg"
    ring.write_bytes(key.public)
    return ring


def read(
    archive: SignedArchive, keyring: Path | None, folder: Path, *, allows_expired: bool = False
) -> list[PackageIndex]:
    """Read an archive as a process of its own would."""
    archives, repository = reader(archive, keyring, folder, allows_expired=allows_expired)
    return list(archives.packages([repository], {"amd64"}))


def sums(archive: SignedArchive, keyring: Path, folder: Path) -> dict[str, str]:
    """Ask for the digests of some packages. Shape: name -> digest, of those that are told."""
    archives, repository = reader(archive, keyring, folder)
    wanted = [(name, "1", "amd64") for name in ("one", "two", "three", "four")]
    return {key[0]: digest.hex for key, digest in archives.sums([repository], wanted).items()}


def a_held(name: str, digest: str, version: str = "1") -> str:
    """Write the paragraph of a package."""
    return f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nSHA256: {digest}\n\n"


def reader(
    archive: SignedArchive, keyring: Path | None, folder: Path, *, allows_expired: bool = False
) -> tuple[AptArchives, Repository]:
    """Give what reads an archive, as a process of its own would."""
    clock = FakeClock(datetime(2026, 1, 2, tzinfo=UTC))
    keys = TrustedKeys(RUNNER, folder / "etc/apt", folder / "debian.gpg")
    archives = AptArchives(ArchiveFetcher(), keys, folder / "indexes", clock)
    repository = Repository(
        url=f"{archive.url}/",
        suites=(archive.suite,),
        keyring=str(keyring) if keyring else None,
        allows_expired=allows_expired,
    )
    return archives, repository


def versions(found: list[PackageIndex]) -> dict[str, str]:
    return {name: index.packages[name][0][0] for index in found for name in index.packages}


def test_packages_then_are_those_that_are_signed(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    found = read(archive, keyring, tmp_path)

    assert versions(found) == {"openssl": "3.0.14-1", "tzdata": "2024a-0"}
    assert found[0].release.label == "Debian"
    assert found[0].release.archive == "bookworm"
    assert found[0].release.host == "127.0.0.1"
    assert not found[0].release.is_security


def test_packages_when_nothing_changed_then_the_next_process_fetches_no_list(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    first = read(archive, keyring, tmp_path)
    second = read(archive, keyring, tmp_path)

    assert versions(second) == versions(first)
    assert [index.release for index in second] == [index.release for index in first]
    assert archive.served.count(archive.list_path) == 1
    assert archive.served.count(archive.in_release) == 2


def test_packages_when_it_was_signed_anew_then_is_read_anew_and_kept_in_the_same_place(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    read(archive, keyring, tmp_path)
    kept = sorted(tmp_path.glob("indexes/*"))
    archive.packages["openssl"] = "3.0.15-1"
    archive.publish()

    assert versions(read(archive, keyring, tmp_path))["openssl"] == "3.0.15-1"
    assert sorted(tmp_path.glob("indexes/*")) == kept


@pytest.mark.parametrize("content", ["", "{}\n", "null\nopenssl\t9\tamd64\n", "[1]\n", "\0"])
def test_packages_when_what_was_kept_is_garbage_then_is_read_anew(
    archive: SignedArchive, keyring: Path, tmp_path: Path, content: str
) -> None:
    read(archive, keyring, tmp_path)
    for file in tmp_path.glob("indexes/*"):
        file.write_text(content)

    assert versions(read(archive, keyring, tmp_path))["openssl"] == "3.0.14-1"


def test_packages_when_other_keys_are_trusted_then_what_was_kept_is_not(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    read(archive, keyring, tmp_path)
    with signing_key() as other:
        keyring.write_bytes(other.public)

    with pytest.raises(SignatureRefused):
        read(archive, keyring, tmp_path)


@pytest.mark.parametrize("place", ["etc/apt/trusted.gpg.d/own.asc", "debian.gpg"])
def test_packages_when_no_keyring_is_named_then_those_of_the_machine_are_trusted(
    archive: SignedArchive, tmp_path: Path, key: SigningKey, place: str
) -> None:
    with pytest.raises(SignatureRefused):
        read(archive, None, tmp_path)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(key.armored if place.endswith("asc") else key.public)

    assert "openssl" in versions(read(archive, None, tmp_path))


@pytest.mark.parametrize(
    "tampered",
    [
        lambda signed: signed.replace(b"Suite: bookworm", b"Suite: bullseye"),
        lambda signed: signed.partition(b"-----BEGIN PGP SIGNATURE")[0],
        lambda signed: signed.partition(b"\n\n")[2].partition(b"-----BEGIN PGP SIGNATURE")[0],
        lambda _signed: b"",
    ],
    ids=["altered", "signature-cut-off", "plain", "empty"],
)
def test_packages_when_the_signed_index_was_tampered_with_then_is_refused(
    archive: SignedArchive, keyring: Path, tmp_path: Path, tampered: Callable[[bytes], bytes]
) -> None:
    signed = archive.served.answers[archive.in_release]
    signed.content = tampered(signed.content)

    with pytest.raises(SignatureRefused, match=r"InRelease is not good"):
        read(archive, keyring, tmp_path)
    assert not list(tmp_path.glob("indexes/*"))


def test_packages_when_text_is_put_before_what_is_signed_then_it_does_not_count(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    signed = archive.served.answers[archive.in_release]
    signed.content = b"Label: Debian-Security\n" + signed.content

    assert not read(archive, keyring, tmp_path)[0].release.is_security


def test_packages_when_a_list_is_not_the_one_that_was_signed_then_says_so(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.served.answers[archive.list_path] = Answer(b"x" * 5000)

    with pytest.raises(IndexDiffers, match=r"Packages\.gz"):
        read(archive, keyring, tmp_path)


def test_packages_when_a_list_is_gone_then_the_mirror_is_unreachable(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    del archive.served.answers[archive.list_path]

    with pytest.raises(MirrorUnreachable, match=r"Packages\.gz"):
        read(archive, keyring, tmp_path)


def test_packages_when_the_archive_has_lists_by_hash_then_these_are_fetched_first(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.head["Acquire-By-Hash"] = "yes"
    archive.publish()
    content = archive.served.answers.pop(archive.list_path)
    signed = archive.served.answers[archive.in_release].content.decode()
    digest = next(line.split()[0] for line in signed.splitlines() if "Packages.gz" in line)
    folder = archive.list_path.rpartition("/")[0]
    archive.served.answers[f"{folder}/by-hash/SHA256/{digest}"] = content

    assert "openssl" in versions(read(archive, keyring, tmp_path))


def test_packages_when_an_index_is_past_its_time_then_is_refused_unless_that_is_allowed(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.head["Valid-Until"] = "Thu, 01 Jan 2026 12:00:00 UTC"
    archive.publish()

    with pytest.raises(SignatureRefused) as refused:
        read(archive, keyring, tmp_path)
    assert "valid until Thu, 01 Jan 2026" in refused.value.context
    assert "openssl" in versions(read(archive, keyring, tmp_path, allows_expired=True))


def test_packages_when_it_is_for_security_then_that_is_known(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.label = "Debian-Security"
    archive.publish()

    assert read(archive, keyring, tmp_path)[0].release.is_security


@pytest.mark.parametrize(
    ("head", "is_read"),
    [
        ({"Architectures": "all amd64"}, True),
        ({"Architectures": "amd64"}, False),
        ({"Architectures": "all amd64", "No-Support-for-Architecture-all": "Packages"}, False),
        ({}, True),
    ],
    ids=["its-own", "not-known", "told-elsewhere", "nothing-said"],
)
def test_packages_for_all_architectures_then_are_read_where_apt_does(
    archive: SignedArchive, keyring: Path, tmp_path: Path, head: dict[str, str], *, is_read: bool
) -> None:
    archive.for_all["tzdata-legacy"] = "1"
    archive.head = {"No-Support-for-Architecture-all": "", **head}
    archive.publish()

    assert ("tzdata-legacy" in versions(read(archive, keyring, tmp_path))) == is_read


def test_sums_then_are_those_that_the_signed_list_tells_of_that_version(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.held = {
        "one": a_held("one", "a" * 64),
        "two": a_held("two", "b" * 64, version="2"),
        "three": a_held("three", "no digest"),
        "four": a_held("four", "c" * 64) + a_held("four", "d" * 64),
    }
    archive.publish()

    assert sums(archive, keyring, tmp_path) == {"one": "a" * 64}


def test_sums_when_asked_again_then_no_list_is_fetched(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.held = {"one": a_held("one", "a" * 64)}
    archive.publish()
    read(archive, keyring, tmp_path)

    assert sums(archive, keyring, tmp_path) == sums(archive, keyring, tmp_path) != {}
    assert archive.served.count(archive.list_path) == 1


def test_sums_when_what_was_kept_is_garbage_then_the_list_is_read_anew(
    archive: SignedArchive, keyring: Path, tmp_path: Path
) -> None:
    archive.held = {"one": a_held("one", "a" * 64)}
    archive.publish()
    read(archive, keyring, tmp_path)
    for file in tmp_path.glob("indexes/*-sums"):
        file.write_text("x")

    assert sums(archive, keyring, tmp_path) == {"one": "a" * 64}


def test_sums_when_the_index_is_signed_by_somebody_else_then_are_refused(
    archive: SignedArchive, tmp_path: Path
) -> None:
    with signing_key() as other:
        (tmp_path / "other.gpg").write_bytes(other.public)

    with pytest.raises(SignatureRefused):
        sums(archive, tmp_path / "other.gpg", tmp_path)
