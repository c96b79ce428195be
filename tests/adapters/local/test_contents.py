"""What is read of a root file system from outside, also of a hostile one."""

import os
from pathlib import Path

import pytest

from imagebuilder.adapters.local.contents import RootContents
from imagebuilder.domain.bill import UNKNOWN_RELEASE, PackageListMalformed
from tests.build import a_package

STATUS = (
    "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").write_text(
        'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'
    )
    (root / "var/lib/dpkg/status").write_text(STATUS)
    return root


def test_read_when_debian_then_release_and_installed_packages(root: Path) -> None:
    contents = RootContents().read(root)

    assert (contents.release.name, contents.release.title) == ("debian:bookworm", "Debian 12")
    assert contents.installed == (a_package("bash", "5.2-1"),)
    assert contents.gaps == ()


def test_read_when_without_dpkg_then_single_lists_are_read(root: Path) -> None:
    (root / "var/lib/dpkg/status").unlink()
    (root / "var/lib/dpkg/status.d").mkdir()
    text = "Package: base\nArchitecture: all\nVersion: 1\n"
    (root / "var/lib/dpkg/status.d/base").write_text(text)
    (root / "var/lib/dpkg/status.d/base.md5sums").write_text("00 usr/share/x\n")

    assert RootContents().read(root).installed == (a_package("base", "1", architecture="all"),)


def test_read_when_nothing_is_there_then_release_is_unknown(tmp_path: Path) -> None:
    contents = RootContents().read(tmp_path)

    assert (contents.release.name, contents.packages) == (UNKNOWN_RELEASE, ())


@pytest.mark.parametrize("text", ["ID=../x\n", "ID=debian;rm\n", "VERSION_CODENAME=x\n", "\0"])
def test_read_when_the_release_is_no_word_then_it_is_unknown(root: Path, text: str) -> None:
    (root / "usr/lib/os-release").write_text(text)

    assert RootContents().read(root).release.name == UNKNOWN_RELEASE


def test_read_when_another_manager_is_there_then_says_what_is_not_told(root: Path) -> None:
    (root / "var/lib/rpm").mkdir()

    assert RootContents().read(root).gaps == ("the packages of rpm, whose list is not read",)


def test_read_when_the_list_is_a_link_to_the_host_then_is_refused(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(STATUS)
    (root / "var/lib/dpkg/status").unlink()
    (root / "var/lib/dpkg/status").symlink_to(tmp_path / "secret")

    with pytest.raises(PackageListMalformed, match="/var/lib/dpkg/status in the image"):
        RootContents().read(root)


def test_read_when_a_folder_is_a_link_to_the_host_then_is_refused(
    root: Path, tmp_path: Path
) -> None:
    (root / "var/lib/dpkg").rename(tmp_path / "dpkg")
    (root / "var/lib/dpkg").symlink_to(tmp_path / "dpkg")

    with pytest.raises(PackageListMalformed):
        RootContents().read(root)


def test_read_when_the_list_is_a_pipe_then_is_refused_and_not_waited_for(root: Path) -> None:
    (root / "var/lib/dpkg/status").unlink()
    os.mkfifo(root / "var/lib/dpkg/status")

    with pytest.raises(PackageListMalformed) as caught:
        RootContents().read(root)

    assert "no plain file" in caught.value.context


def test_read_when_the_list_is_huge_then_is_refused(root: Path) -> None:
    with (root / "var/lib/dpkg/status").open("r+b") as file:
        file.truncate(2**40)

    with pytest.raises(PackageListMalformed) as caught:
        RootContents().read(root)

    assert "larger than 64" in caught.value.context
