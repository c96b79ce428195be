"""The SSH server takes keys only, with strong cryptography only."""

import pytest
from testinfra.host import Host

SETTINGS = "/etc/ssh/sshd_config.d/05-strict.conf"
WEAK = ("sha1", "-cbc", "nistp", "umac-64", "md5")


def test_settings_are_read_by_root_only(host: Host) -> None:
    assert host.file(SETTINGS).mode == 0o600
    assert host.file(SETTINGS).user == "root"


def test_groups_of_key_exchange_are_large(host: Host) -> None:
    rows = host.check_output("cat /etc/ssh/moduli").splitlines()

    assert rows
    assert [row for row in rows if int(row.split()[4]) < 3071] == []


@pytest.mark.booted
def test_server_offers_no_weak_cryptography(host: Host) -> None:
    rows = [row.split(" ", 1) for row in host.check_output("sshd -T").lower().splitlines()]
    offers = {key: value for key, value in rows if key in ("kexalgorithms", "ciphers", "macs")}

    assert len(offers) == 3
    assert [value for value in offers.values() if any(weak in value for weak in WEAK)] == []


@pytest.mark.booted
@pytest.mark.machine
def test_password_is_refused(host: Host) -> None:
    answer = host.run(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        " -o PreferredAuthentications=password nobody@127.0.0.1 true"
    )

    assert answer.rc == 255
    assert "Permission denied (publickey)" in answer.stderr
