"""A hardened machine runs, and its kernel is set as the image says."""

import pytest
from testinfra.host import Host


def test_no_interpreter_was_left_for_the_hardening(host: Host) -> None:
    assert not host.package("python3").is_installed


@pytest.mark.machine
def test_every_setting_is_in_force(host: Host) -> None:
    lines = host.file("/etc/sysctl.d/60-cis-hardening.conf").content_string.splitlines()
    wanted = dict(line.split(" = ") for line in lines)
    assert {name: str(host.sysctl(name)) for name in wanted} == wanted


@pytest.mark.machine
@pytest.mark.parametrize("module", ["cramfs", "sctp"])
def test_forbidden_module_is_not_loaded(host: Host, module: str) -> None:
    assert host.run(f"modprobe {module}").rc != 0
    assert module not in host.check_output("cut -d ' ' -f 1 /proc/modules").splitlines()


@pytest.mark.machine
def test_all_services_started(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend") == ""


@pytest.mark.machine
def test_root_can_become_another_user_and_others_cannot(host: Host) -> None:
    assert host.check_output("su -s /bin/sh -c 'id -un' nobody") == "nobody"
    assert host.run("runuser -u nobody -- su -c id root </dev/null").rc != 0
