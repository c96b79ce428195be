"""Nothing of the build and no secret is in the image."""

import pytest
from testinfra.host import Host


def test_no_host_key_is_left(host: Host) -> None:
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""


def test_no_account_has_a_password(host: Host) -> None:
    rows = [row.split(":") for row in host.check_output("cat /etc/shadow").splitlines()]

    assert rows
    assert [row[0] for row in rows if row[1][:1] not in ("!", "*")] == []


@pytest.mark.parametrize("folder", ["/var/tmp", "/var/lib/apt/lists", "/var/log", "/var/backups"])
def test_folder_holds_no_files(host: Host, folder: str) -> None:
    assert host.check_output("find %s -type f", folder) == ""


def test_no_history_of_a_shell_is_left(host: Host) -> None:
    assert host.check_output("find /root /home -name '.*_history'") == ""
