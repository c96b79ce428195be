"""Which kernel is taken, what an initramfs depends on, and what is written last."""

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.disk import esp_uuid, root_uuid
from imagebuilder.domain.layer import Entry, EntryKind
from imagebuilder.domain.recipe import DiskSpec, Firmware, Repository
from imagebuilder.services.building.finishing import (
    finish_script,
    initramfs_inputs,
    initramfs_key,
    initramfs_script,
    is_initramfs_current,
    kernel_release,
    keyring_inside,
)
from tests.build import an_entry
from tests.fakes.building import RELEASE, a_bootable_base, a_file, a_folder

Tree = dict[str, Entry]


def kernels(*releases: str) -> Tree:
    tree: Tree = {}
    for release in releases:
        tree[f"/boot/vmlinuz-{release}"] = a_file(release)
        tree[f"/usr/lib/modules/{release}"] = a_folder()
    return tree


@given(st.lists(st.integers(1, 300), min_size=1, unique=True), st.randoms())
def test_kernel_release_when_there_are_several_then_the_newest_by_number(
    numbers: list[int], random: object
) -> None:
    tree = kernels(*(f"6.1.0-{number}-amd64" for number in numbers))
    assert kernel_release(tree) == f"6.1.0-{max(numbers)}-amd64"


def test_kernel_release_when_one_has_no_modules_then_it_is_not_taken() -> None:
    tree = kernels("6.1.0-9-amd64", "6.12.0-1-amd64")
    del tree["/usr/lib/modules/6.12.0-1-amd64"]
    assert kernel_release(tree) == "6.1.0-9-amd64"


def test_kernel_release_when_an_image_is_only_a_link_then_it_is_not_taken() -> None:
    tree = kernels("6.1.0-9-amd64", "old")
    tree["/boot/vmlinuz-old"] = an_entry(EntryKind.SYMLINK, target="vmlinuz-6.1.0-9-amd64")
    assert kernel_release(tree) == "6.1.0-9-amd64"


@pytest.mark.parametrize("tree", [{}, kernels("²")], ids=["none", "odd"])
def test_kernel_release_when_names_are_odd_then_is_still_an_answer(tree: Tree) -> None:
    assert kernel_release(tree) == ("²" if tree else None)


CHANGES: dict[str, tuple[Callable[[Tree], object], bool]] = {
    "module": (lambda t: t.update({f"/usr/lib/modules/{RELEASE}/ext4.ko": a_file("new")}), True),
    "new module": (lambda t: t.update({f"/usr/lib/modules/{RELEASE}/x.ko": a_file()}), True),
    "hook": (lambda t: t.update({"/etc/initramfs-tools/hooks/x": a_file()}), True),
    "tool": (lambda t: t.update({"/usr/sbin/mkinitramfs": a_file("new")}), True),
    "link": (
        lambda t: t.update({"/etc/udev/rules.d/a": an_entry(EntryKind.SYMLINK, target="/x")}),
        True,
    ),
    "other kernel": (lambda t: t.update({"/usr/lib/modules/5.0/x.ko": a_file()}), False),
    "folder": (lambda t: t.update({"/etc/udev/rules.d": a_folder()}), False),
    "page": (lambda t: t.update({"/srv/www/index.html": a_file("hello")}), False),
}


@pytest.mark.parametrize("what", CHANGES)
def test_initramfs_key_changes_exactly_with_what_decides_on_it(what: str) -> None:
    change, is_another = CHANGES[what]
    tree = a_bootable_base()
    before = initramfs_key(tree, RELEASE)
    change(tree)
    assert (initramfs_key(tree, RELEASE) != before) == is_another


def test_initramfs_key_when_the_kernel_is_another_then_is_another() -> None:
    assert initramfs_key({}, "6.1") != initramfs_key({}, "6.2")


LISTING = f".\nbin\nbin/busybox\nusr/lib/modules/{RELEASE}/ext4.ko\nscripts/made-inside\n"


@pytest.mark.parametrize(
    ("path", "entry", "is_current"),
    [
        ("/srv/other", a_file("x"), True),
        ("/usr/bin/busybox", a_file("busybox"), True),
        ("/usr/bin/busybox", a_file("newer"), False),
        ("/usr/bin/busybox", None, False),
        ("/usr/bin/busybox", an_entry(EntryKind.SYMLINK, target="x"), False),
        (f"/usr/lib/modules/{RELEASE}/ext4.ko", a_file("newer"), False),
    ],
)
def test_initramfs_is_current_exactly_while_all_its_inputs_hold_the_same(
    path: str, entry: Entry | None, *, is_current: bool
) -> None:
    tree = a_bootable_base()
    inputs = initramfs_inputs(LISTING, tree)
    if entry is None:
        del tree[path]
    else:
        tree[path] = entry
    assert is_initramfs_current(inputs, tree) == is_current


def test_initramfs_script_then_it_is_made_though_packages_may_not_make_one() -> None:
    script = initramfs_script(RELEASE)
    assert script.environment == {"INITRD": ""}
    assert f"/boot/initrd.img-{RELEASE}" in script.text


def finished(
    *repositories: Repository,
    release: str | None = RELEASE,
    firmware: tuple[Firmware, ...] = (Firmware.BIOS, Firmware.UEFI),
) -> str:
    return finish_script(
        image="web",
        disk=DiskSpec(firmware=firmware),
        release=release,
        repositories=repositories,
    ).text


OURS = Repository(url="http://own.example.org", suites=("x", "y"), keyring="/k/own.gpg")
DEBIAN = Repository(url="http://deb.example.org/debian", suites=("bookworm",))


@pytest.mark.parametrize("release", [RELEASE, None])
@pytest.mark.parametrize("repositories", [(), (DEBIAN, OURS)])
def test_finish_script_is_one_that_a_shell_understands(
    release: str | None, repositories: tuple[Repository, ...]
) -> None:
    text = finished(*repositories, release=release)
    checked = subprocess.run(
        ["/bin/sh", "-n"], input=text.encode(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_finish_script_then_machines_know_their_disk_and_their_name() -> None:
    text = finished()
    assert str(root_uuid("web")) in text
    assert str(esp_uuid("web")) in text
    assert "cat > /etc/hostname <<'IMAGEBUILDER_END'\nweb\nIMAGEBUILDER_END" in text
    assert "cat > /etc/machine-id <<'IMAGEBUILDER_END'\nIMAGEBUILDER_END" in text


def test_finish_script_when_there_is_no_uefi_then_no_esp_is_mounted() -> None:
    text = finished(firmware=(Firmware.BIOS,))
    assert str(esp_uuid("web")) not in text
    assert "/boot/efi" not in text


def test_finish_script_when_there_is_no_kernel_then_nothing_is_said_of_disks() -> None:
    text = finished(release=None)
    assert "fstab" not in text
    assert "grub" not in text


@pytest.mark.parametrize(
    "path", ["/etc/ssh/ssh_host_*_key", "/var/lib/dbus/machine-id", "/var/log", "random-seed"]
)
def test_finish_script_then_what_belongs_to_one_machine_is_removed(path: str) -> None:
    assert path in finished()


def test_finish_script_when_there_are_archives_then_each_is_a_stanza_with_its_keyring() -> None:
    text = finished(DEBIAN, OURS)
    assert "URIs: http://deb.example.org/debian\nSuites: bookworm\n" in text
    assert "URIs: http://own.example.org\nSuites: x y\n" in text
    assert f"Signed-By: {keyring_inside(0, DEBIAN)}\n" in text
    assert "Signed-By: /etc/apt/keyrings/imagebuilder-1.gpg\n" in text


def test_finish_script_when_there_are_no_archives_then_apts_sources_stay() -> None:
    assert "/etc/apt/sources.list" not in finished()
