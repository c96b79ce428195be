"""The account that administers the machine: no password, a key, and sudo."""

import pytest
from testinfra.host import Host


def people(host: Host) -> list[str]:
    """Give the accounts that are neither the system's nor nobody's."""
    rows = [row.split(":") for row in host.check_output("cat /etc/passwd").splitlines()]
    return [row[0] for row in rows if 1000 <= int(row[2]) < 60000]


def administrators(host: Host) -> list[str]:
    """Give the accounts that a file of this component lets use sudo; a recipe may want none."""
    files = host.check_output("ls /etc/sudoers.d").split()
    return [name.removeprefix("50-") for name in files if name.startswith("50-")]


def test_accounts_of_people_have_no_password(host: Host) -> None:
    names = people(host)
    rows = [row.split(":") for row in host.check_output("cat /etc/shadow").splitlines()]

    assert names
    assert [row[0] for row in rows if row[0] in names and row[1][:1] not in ("*", "!")] == []


def test_rules_of_sudo_are_read_by_root_only(host: Host) -> None:
    modes = {name: host.file(f"/etc/sudoers.d/50-{name}").mode for name in administrators(host)}

    assert modes == dict.fromkeys(modes, 0o440)


def test_keys_belong_to_their_account(host: Host) -> None:
    for name in people(host):
        keys = host.file(f"/home/{name}/.ssh/authorized_keys")
        if keys.exists:
            assert (keys.user, keys.mode) == (name, 0o600)
            assert "PRIVATE" not in keys.content_string


@pytest.mark.booted
def test_administrator_becomes_root_by_sudo(host: Host) -> None:
    for name in administrators(host):
        assert host.check_output("runuser --user %s -- sudo -n id -u", name) == "0"
