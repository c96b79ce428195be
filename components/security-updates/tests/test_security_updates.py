"""What was upgraded is whole, and nothing is kept from being upgraded later."""

from testinfra.host import Host


def test_no_package_is_half_installed(host: Host) -> None:
    assert host.check_output("dpkg --audit") == ""


def test_no_package_is_held_back(host: Host) -> None:
    assert host.check_output("apt-mark showhold") == ""
