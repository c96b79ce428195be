"""Pins: what apt itself makes of them, and what the cache gives."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from imagebuilder.adapters.local.pinning import KeptPackages, Pins
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.package import PackageKey
from imagebuilder.domain.rebuild import PinnedPackages
from tests.package_archives import AptMachine, Deb, made
from tests.workshops import RUNNER

pytestmark = pytest.mark.root


@pytest.fixture
def machine(tmp_path: Path) -> AptMachine:
    machine = AptMachine(folder=tmp_path)
    machine.archive(
        "Debian", "bookworm", Deb(name="tool", version="1"), Deb(name="more", version="1")
    )
    machine.archive(
        "Debian", "updates", Deb(name="tool", version="2"), Deb(name="more", version="2")
    )
    return machine


def pins(folder: Path, *versions: PackageKey, **kept: Digest) -> Pins:
    """Hold packages to versions; a kept one is of version 0."""
    found = {(name, "0", "all"): digest for name, digest in kept.items()}
    pinned = PinnedPackages(versions=tuple(sorted((*versions, *found))), kept=found)
    return Pins(RUNNER, pinned, folder / "packages")


def install(machine: AptMachine, held: Pins, *names: str) -> dict[str, str]:
    (machine.folder / "etc/preferences").write_text(held.preferences)
    machine.does(f"apt-get -q update\napt-get -y -q install {' '.join(names)}")
    return machine.installed()


def cached(folder: Path, deb: Deb) -> Digest:
    """Keep a package as the proxy does, and give its digest."""
    made_folder = folder / "made"
    made_folder.mkdir()
    file, _ = made(deb, made_folder, "-")
    digest = Digest(sha256(file.read_bytes()).hexdigest())
    place = folder / "packages/of-some-address"
    place.mkdir(parents=True)
    shutil.move(file, place / digest.hex)
    return digest


def test_pins_when_archives_have_newer_ones_then_apt_takes_the_versions_that_are_named(
    machine: AptMachine, tmp_path: Path
) -> None:
    found = install(machine, pins(tmp_path, ("tool", "1", "all")), "tool", "more")

    assert (found["tool"], found["more"]) == ("1", "2")


def test_pins_when_a_newer_one_is_installed_then_it_stays(
    machine: AptMachine, tmp_path: Path
) -> None:
    machine.does("apt-get -q update\napt-get -y -q install tool=2")

    found = install(machine, pins(tmp_path, ("tool", "1", "all")), "more")

    assert found["tool"] == "2"


def test_pins_when_no_archive_has_a_version_then_it_comes_from_the_cache(
    machine: AptMachine, tmp_path: Path
) -> None:
    held = pins(tmp_path, tool=cached(tmp_path, Deb(name="tool", version="0")))
    archive = tmp_path / "kept"
    archive.mkdir()
    held.archive(archive, "bookworm")
    with (machine.folder / "etc/sources.list").open("a") as sources:
        sources.write(f"deb [trusted=yes] copy:{archive} ./\n")

    assert install(machine, held, "tool")["tool"] == "0"
    assert held.has_archive


def test_kept_packages_when_a_file_is_damaged_then_it_is_not_held(tmp_path: Path) -> None:
    digest = cached(tmp_path, Deb(name="tool", version="0"))
    key = ("tool", "0", "all")
    assert KeptPackages(tmp_path / "packages").held({key: digest}) == {key}

    (tmp_path / "packages/of-some-address" / digest.hex).write_bytes(b"other")

    assert KeptPackages(tmp_path / "packages").held({key: digest}) == frozenset()


def test_kept_packages_when_there_is_no_cache_then_none_is_held(tmp_path: Path) -> None:
    found = KeptPackages(tmp_path).held({("tool", "0", "all"): Digest("0" * 64)})

    assert found == frozenset()
