"""The account that administers the machine: no password, a key, and sudo."""

import pytest
from testinfra.host import Host


def administrators(host: Host) -> list[str]:
    """Give the accounts that a file of this component lets use sudo."""
    files = host.check_output("ls /etc/sudoers.d").split()
    return [name.removeprefix("50-") for name in files if name.startswith("50-")]


def test_there_is_an_administrator_without_a_password(host: Host) -> None:
    names = administrators(host)
    rows = [row.split(":") for row in host.check_output("cat /etc/shadow").splitlines()]

    assert names
    assert {row[0]: row[1] for row in rows if row[0] in names} == dict.fromkeys(names, "*")


def test_rules_of_sudo_are_read_by_root_only(host: Host) -> None:
    assert {host.file(f"/etc/sudoers.d/50-{name}").mode for name in administrators(host)} == {0o440}


def test_keys_belong_to_their_account(host: Host) -> None:
    for name in administrators(host):
        keys = host.file(f"/home/{name}/.ssh/authorized_keys")
        if keys.exists:
            assert (keys.user, keys.mode) == (name, 0o600)
            assert "PRIVATE" not in keys.content_string


@pytest.mark.booted
def test_administrator_becomes_root_by_sudo(host: Host) -> None:
    for name in administrators(host):
        assert host.check_output("runuser --user %s -- sudo -n id -u", name) == "0"
