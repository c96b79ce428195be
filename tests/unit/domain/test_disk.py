import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.disk import (
    ALIGNMENT_BYTES,
    Contents,
    DiskIdentity,
    DiskLayout,
    FileSystemPlan,
    PartitionRole,
    esp_uuid,
    fstab,
    grub_config,
    needed_bytes,
    root_uuid,
)
from imagebuilder.domain.recipe import Firmware
from imagebuilder.domain.units import GIB, KIB, MIB

FIRMWARE = st.lists(st.sampled_from(Firmware), min_size=1, unique=True)
SIZES = st.integers(min_value=128 * MIB, max_value=1024 * GIB)
ANY_CONTENTS = st.builds(
    Contents, blocks=st.integers(0, 50_000_000), inodes=st.integers(1, 5_000_000)
)


@given(SIZES, FIRMWARE)
def test_layout_of_any_disk_is_aligned_inside_and_without_overlap(
    size: int, firmware: list[Firmware]
) -> None:
    layout = DiskLayout.for_firmware(size, firmware)

    end = ALIGNMENT_BYTES
    for partition in layout.partitions:
        assert partition.start_bytes % ALIGNMENT_BYTES == 0
        assert partition.size_bytes % ALIGNMENT_BYTES == 0
        assert partition.size_bytes > 0
        assert partition.start_bytes >= end
        end = partition.end_bytes
    assert layout.size_bytes <= size
    assert layout.size_bytes - end >= 33 * 512


@given(SIZES, FIRMWARE)
def test_layout_has_a_partition_for_each_firmware_asked_and_the_root_last(
    size: int, firmware: list[Firmware]
) -> None:
    layout = DiskLayout.for_firmware(size, firmware)

    assert (layout.partition(PartitionRole.BIOS_BOOT) is not None) == (Firmware.BIOS in firmware)
    assert (layout.partition(PartitionRole.ESP) is not None) == (Firmware.UEFI in firmware)
    assert layout.partitions[-1].role is PartitionRole.ROOT
    assert layout.root.end_bytes + ALIGNMENT_BYTES == layout.size_bytes


def test_layout_of_a_disk_without_room_for_a_root_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        DiskLayout.for_firmware(66 * MIB, (Firmware.UEFI,))


@given(ANY_CONTENTS, FIRMWARE)
def test_needed_bytes_leave_room_for_contents_beside_the_overhead(
    contents: Contents, firmware: list[Firmware]
) -> None:
    needed = needed_bytes(contents, firmware)

    root = DiskLayout.for_firmware(needed, firmware).root
    plan = FileSystemPlan.for_size(root.size_bytes, contents)
    assert root.size_bytes - plan.overhead_bytes >= contents.blocks * 4 * KIB
    assert plan.inodes > contents.inodes


@given(ANY_CONTENTS, ANY_CONTENTS)
def test_needed_bytes_of_more_are_not_less(one: Contents, other: Contents) -> None:
    more = Contents(blocks=one.blocks + other.blocks, inodes=one.inodes + other.inodes)

    assert needed_bytes(more, (Firmware.BIOS,)) >= needed_bytes(one, (Firmware.BIOS,))


def test_contents_count_files_and_folders_in_whole_blocks() -> None:
    contents = Contents.of(file_sizes=[0, 1, 4096, 4097], folder_names=[0, 5000], links=3)

    assert contents == Contents(blocks=0 + 1 + 1 + 2 + 1 + 2 + 3, inodes=4 + 2 + 3)


def test_identity_of_a_name_stays_the_same_and_differs_from_all_others() -> None:
    identity = DiskIdentity.of("web")

    assert identity == DiskIdentity.of("web")
    ids = [identity.disk, identity.root_file_system, identity.hash_seed]
    ids += identity.partitions.values()
    ids += [DiskIdentity.of("web2").disk, DiskIdentity.of("web2").root_file_system]
    assert len(set(ids)) == len(ids)


def test_root_uuid_is_known_and_never_changes() -> None:
    assert root_uuid("web") == "fb3c566a-3fcf-5ce5-9600-6a6af0cfd876"
    assert esp_uuid("web") == "B653-37EE"


@given(st.text(min_size=1, max_size=40))
def test_esp_uuid_of_any_name_is_a_fat_serial(name: str) -> None:
    first, second = esp_uuid(name).split("-")

    assert len(first) == len(second) == 4
    assert int(first + second, 16) == DiskIdentity.of(name).esp_serial > 0


def test_fstab_names_file_systems_by_uuid() -> None:
    text = fstab(root_uuid("web"), esp_uuid("web"))

    root, esp = text.splitlines()
    assert uuid.UUID(root.split()[0].removeprefix("UUID=")) == uuid.UUID(root_uuid("web"))
    assert root.split()[1:3] == ["/", "ext4"]
    assert esp.split()[:3] == [f"UUID={esp_uuid('web')}", "/boot/efi", "vfat"]


def test_fstab_without_an_esp_has_the_root_only() -> None:
    assert len(fstab(root_uuid("web")).splitlines()) == 1


def test_grub_config_boots_the_kernel_with_both_consoles() -> None:
    text = grub_config(kernel_release="6.1.0-9-amd64", root_uuid="abc", arguments="quiet")

    linux = next(line.split() for line in text.splitlines() if "linux /boot" in line)
    assert linux[1] == "/boot/vmlinuz-6.1.0-9-amd64"
    assert linux[2:] == ["root=UUID=abc", "ro", "console=tty0", "console=ttyS0,115200", "quiet"]
    assert "initrd /boot/initrd.img-6.1.0-9-amd64" in text
    assert "search --no-floppy --fs-uuid --set=root abc" in text
