"""The image starts on EC2: its kernel knows what is there, and cloud-init asks who it is.

An instance still has to show it; this is what its files can tell.
"""

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def kernel(host: Host) -> str:
    """Give the release of the newest kernel."""
    found = host.check_output("ls /boot | grep ^vmlinuz- | sort -V | tail -n 1")
    assert found, "there is no kernel in /boot"
    return found.removeprefix("vmlinuz-")


@pytest.mark.parametrize("driver", ["BLK_DEV_NVME", "ENA_ETHERNET", "XEN_BLKDEV_FRONTEND"])
def test_kernel_knows(host: Host, kernel: str, driver: str) -> None:
    """The driver is in the kernel or beside it."""
    assert host.run("grep -qE %s /boot/config-%s", f"^CONFIG_{driver}=[ym]$", kernel).rc == 0


def test_cloud_init_asks_ec2(host: Host) -> None:
    """cloud-init is there, starts at boot, and asks EC2 among others."""
    assert host.run("command -v cloud-init").rc == 0
    units = "cloud-init.service cloud-init-network.service cloud-init-main.service"
    assert "enabled" in host.run(f"systemctl is-enabled {units}").stdout.split()
    listed = host.run("cat /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg").stdout
    lines = [line for line in listed.splitlines() if line.lstrip().startswith("datasource_list:")]
    assert not lines or "Ec2" in lines[-1]
    assert host.run("test -e /etc/cloud/cloud-init.disabled").rc == 1


def test_server_for_ssh_is_started(host: Host) -> None:
    """There is no other way in."""
    states = host.run("systemctl is-enabled ssh.service ssh.socket sshd.service").stdout.split()
    assert "enabled" in states


def test_file_systems_are_named_by_what_is_on_them(host: Host) -> None:
    """The same disk has another name on each kind of instance."""
    lines = [line.split() for line in host.check_output("cat /etc/fstab").splitlines()]
    devices = [words[0] for words in lines if words and not words[0].startswith("#")]
    assert devices
    assert [name for name in devices if name.startswith("/dev/") and "/by-" not in name] == []


def test_nothing_is_of_one_machine(host: Host) -> None:
    """Each instance makes host keys, and an identity, of its own."""
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""
    assert host.run("cat /etc/machine-id").stdout.strip() in ("", "uninitialized")
    assert host.check_output("ls -A /var/lib/cloud/instances 2>&- || true") == ""


@pytest.mark.machine
def test_network_comes_by_dhcp(host: Host) -> None:
    """The machine has got an address by itself."""
    assert host.check_output("ip -4 -brief address show scope global") != ""
