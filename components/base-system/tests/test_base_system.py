"""A system that boots with a kernel of its own, gets an address and finds names."""

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("name", ["systemd", "ca-certificates", "iproute2", "initramfs-tools"])
def test_package_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_every_kernel_has_its_modules(host: Host) -> None:
    files = host.check_output("ls /boot").split()
    releases = [file.removeprefix("vmlinuz-") for file in files if file.startswith("vmlinuz-")]

    assert releases
    for release in releases:
        assert host.file(f"/usr/lib/modules/{release}/modules.dep").size > 0


def test_name_servers_are_those_of_the_network(host: Host) -> None:
    assert host.file("/etc/resolv.conf").is_symlink
    assert host.check_output("readlink /etc/resolv.conf").endswith(
        "/systemd/resolve/stub-resolv.conf"
    )


def test_language_is_utf8(host: Host) -> None:
    language = host.file("/etc/default/locale").content_string.strip().removeprefix("LANG=")

    assert host.check_output("LC_ALL=%s locale charmap", language) == "UTF-8"


@pytest.mark.booted
@pytest.mark.machine
@pytest.mark.parametrize("name", ["systemd-networkd", "systemd-resolved", "dbus"])
def test_service_is_running(host: Host, name: str) -> None:
    assert host.service(name).is_running


@pytest.mark.machine
def test_network_gave_an_address(host: Host) -> None:
    assert host.check_output("ip -4 -oneline address show scope global dynamic") != ""
