"""SSH takes keys only, and each machine makes host keys of its own.

Variables: `passwords: true` lets people log in with a password.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from testinfra.host import Host

# sshd says what counts only where it has a key and its folder; both are of this look alone.
_EFFECTIVE = (
    "set -e; folder=$(mktemp -d); mkdir -p /run/sshd; "
    "ssh-keygen -q -t ed25519 -N '' -f $folder/key; $(command -v sshd || echo /usr/sbin/sshd) "
    "-T -h $folder/key -C user=root,host=localhost,addr=127.0.0.1; rm -r $folder"
)


@pytest.fixture(scope="module")
def settings(host: Host) -> Mapping[str, str]:
    """Give what the server goes by, whatever file says so. Shape: keyword -> its value."""
    lines = host.check_output(_EFFECTIVE).splitlines()
    return {line.partition(" ")[0].lower(): line.partition(" ")[2] for line in lines}


def test_server_is_started_at_boot(host: Host) -> None:
    """The server, or its socket, is enabled."""
    states = host.run("systemctl is-enabled ssh.service ssh.socket sshd.service").stdout.split()
    assert "enabled" in states


def test_no_password_lets_in(settings: Mapping[str, str], variables: Mapping[str, Any]) -> None:
    """Neither passwords nor what asks for them."""
    if not variables.get("passwords"):
        assert settings["passwordauthentication"] == "no"
        assert settings["kbdinteractiveauthentication"] == "no"
    assert settings["permitemptypasswords"] == "no"


def test_root_needs_a_key(settings: Mapping[str, str]) -> None:
    """Root logs in with a key or not at all."""
    assert settings["permitrootlogin"] != "yes"


def test_ciphers_are_sound(settings: Mapping[str, str]) -> None:
    """Nothing that is known to be broken is offered."""
    offered = f"{settings['ciphers']},{settings['macs']},{settings['kexalgorithms']}".split(",")
    broken = ("cbc", "arcfour", "3des", "md5", "group1-")
    assert [name for name in offered if any(word in name for word in broken)] == []


def test_host_keys_are_not_in_the_image(host: Host) -> None:
    """What is in the image is the same on every machine."""
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""


def test_nobody_has_a_key_to_root(host: Host) -> None:
    """Whose key may log in is for the machine to say."""
    assert host.check_output("find /root/.ssh -name 'authorized_keys*' -size +0 2>&- || true") == ""


@pytest.mark.booted
@pytest.mark.machine
def test_server_runs_with_keys_of_its_own(host: Host) -> None:
    """The server answers, and has made host keys."""
    states = host.run("systemctl is-active ssh.service ssh.socket sshd.service").stdout.split()
    assert "active" in states
    assert host.check_output("find /etc/ssh -name 'ssh_host_*_key' -size +0") != ""
