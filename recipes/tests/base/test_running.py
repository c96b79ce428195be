"""What must hold when the image runs: in a container, and after a real boot."""

import pytest
from testinfra.host import Host


def failed_units(host: Host) -> str:
    return host.check_output("systemctl list-units --failed --no-legend --plain")


@pytest.mark.booted
@pytest.mark.machine
def test_system_is_running_and_no_unit_failed(host: Host) -> None:
    assert failed_units(host) == ""
    assert host.check_output("systemctl is-system-running --wait") == "running"


@pytest.mark.booted
@pytest.mark.machine
def test_machine_id_was_filled(host: Host) -> None:
    assert len(host.check_output("cat /etc/machine-id")) == 32


@pytest.mark.machine
def test_running_kernel_is_the_installed_one(host: Host) -> None:
    release = host.check_output("uname -r")
    assert host.file(f"/boot/vmlinuz-{release}").is_file


@pytest.mark.machine
def test_root_file_system_is_the_one_that_fstab_names(host: Host) -> None:
    wanted = host.check_output("awk '$2 == \"/\" {print $1}' /etc/fstab").removeprefix("UUID=")
    assert host.check_output("findmnt --noheadings --output UUID /") == wanted
    assert host.mount_point("/").filesystem == "ext4"
    assert "rw" in host.mount_point("/").options


@pytest.mark.machine
def test_disk_has_a_partition_table_for_its_firmware(host: Host) -> None:
    disk = host.check_output(
        "lsblk --noheadings --output PKNAME $(findmnt --noheadings --output SOURCE /)"
    )
    assert host.check_output("lsblk --nodeps --noheadings --output PTTYPE /dev/%s", disk) == "gpt"
    if host.file("/sys/firmware/efi").exists:
        assert host.mount_point("/boot/efi").filesystem == "vfat"


@pytest.mark.machine
def test_capability_of_a_file_survived(host: Host) -> None:
    assert host.run("ping -c 1 -W 5 127.0.0.1").rc == 0
