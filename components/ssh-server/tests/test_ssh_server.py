"""An SSH server that takes keys only and has a key of its own on every machine."""

import pytest
from testinfra.host import Host


def test_server_is_installed_and_starts_with_the_machine(host: Host) -> None:
    assert host.package("openssh-server").is_installed
    assert host.file("/etc/systemd/system/multi-user.target.wants/ssh.service").is_symlink


def test_settings_are_read_by_root_only(host: Host) -> None:
    assert host.file("/etc/ssh/sshd_config.d/10-hardening.conf").mode == 0o600


@pytest.mark.booted
@pytest.mark.machine
def test_server_listens_on_all_addresses(host: Host) -> None:
    assert host.service("ssh").is_running
    assert host.socket("tcp://0.0.0.0:22").is_listening
    assert host.socket("tcp://:::22").is_listening


@pytest.mark.booted
@pytest.mark.machine
def test_host_key_was_made_at_the_first_boot(host: Host) -> None:
    assert host.file("/etc/ssh/ssh_host_ed25519_key").mode == 0o600
    assert "ssh-ed25519" in host.file("/etc/ssh/ssh_host_ed25519_key.pub").content_string


@pytest.mark.booted
@pytest.mark.machine
def test_server_takes_keys_only(host: Host) -> None:
    settings = host.check_output("sshd -T").lower().splitlines()

    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    # With a key is the same by two names, of older and of newer servers.
    ways = ("without-password", "prohibit-password", "no")
    assert {f"permitrootlogin {way}" for way in ways} & {*settings}
