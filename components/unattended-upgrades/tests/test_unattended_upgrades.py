"""The machine takes security updates by itself."""

import pytest
from testinfra.host import Host

TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")


def test_package_is_installed(host: Host) -> None:
    assert host.package("unattended-upgrades").is_installed


def test_updates_are_fetched_and_installed_every_day(host: Host) -> None:
    settings = host.check_output("apt-config dump").splitlines()

    assert 'APT::Periodic::Update-Package-Lists "1";' in settings
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings


def test_security_updates_are_taken(host: Host) -> None:
    settings = host.check_output("apt-config dump").splitlines()
    origins = [row for row in settings if row.startswith("Unattended-Upgrade::Origins-Pattern::")]

    assert any("label=Debian-Security" in origin for origin in origins)


@pytest.mark.booted
@pytest.mark.parametrize("timer", TIMERS)
def test_timer_runs(host: Host, timer: str) -> None:
    assert host.service(timer).is_running
    assert host.service(timer).is_enabled
