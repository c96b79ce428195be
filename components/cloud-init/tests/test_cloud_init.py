"""cloud-init is there, asks only where it should, and stays away from a machine without a cloud."""

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("name", ["cloud-init", "cloud-guest-utils", "sudo"])
def test_package_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_one_line_says_where_to_look(host: Host) -> None:
    # What decides before cloud-init starts whether it starts at all reads no list of several lines.
    settings = host.file("/etc/cloud/cloud.cfg.d/95-image.cfg").content_string

    assert settings.splitlines()[0].startswith("datasource_list: [ ")
    assert settings.splitlines()[0].endswith(" ]")


def test_nothing_of_a_machine_is_left(host: Host) -> None:
    assert not host.file("/var/lib/cloud/instance").exists
    assert not host.file("/var/lib/cloud/instances").exists


@pytest.mark.machine
def test_machine_without_a_seed_is_not_kept_waiting(host: Host) -> None:
    # Disabled is one exit status in older versions and another in newer ones.
    status = host.run("cloud-init status").stdout

    assert "disabled" in status
    assert host.run("systemctl is-active cloud-init.target").stdout.strip() == "inactive"


@pytest.mark.machine
def test_root_file_system_can_grow(host: Host) -> None:
    disk = host.check_output("lsblk --noheadings --output PKNAME $(findmnt -no SOURCE /)")
    root = host.check_output("lsblk --noheadings --output NAME $(findmnt -no SOURCE /)")
    number = root.removeprefix(disk).removeprefix("p")

    answer = host.run("growpart --dry-run /dev/%s %s", disk, number)

    assert "CHANGE" in answer.stdout  # CHANGED, or NOCHANGE where it fills the disk
