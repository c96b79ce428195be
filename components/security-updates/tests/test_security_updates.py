"""Nothing is kept from being upgraded, and the machine can take the updates that come later."""

from testinfra.host import Host


def test_no_package_is_held_back(host: Host) -> None:
    assert host.check_output("apt-mark showhold") == ""


def test_machine_knows_where_updates_come_from(host: Host) -> None:
    sources = host.check_output("cat /etc/apt/sources.list.d/debian.sources")

    assert "URIs: " in sources
    assert "Signed-By: " in sources
