"""The clock is kept by systemd-timesyncd."""

import pytest
from testinfra.host import Host


def test_time_sync_is_enabled(host: Host) -> None:
    assert host.package("systemd-timesyncd").is_installed
    assert host.file(
        "/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service"
    ).is_symlink


@pytest.mark.machine
def test_time_sync_is_running(host: Host) -> None:
    assert host.service("systemd-timesyncd").is_running


@pytest.mark.machine
def test_clock_is_not_behind_the_image(host: Host) -> None:
    now = int(host.check_output("date +%s"))
    built = int(host.check_output("stat --format=%Y /boot/grub/grub.cfg"))
    assert now > built > 0
