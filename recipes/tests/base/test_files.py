"""What must hold in the files of every image: nothing that belongs to one machine, nothing lost.

Tests without a marker run on the image at rest; nothing is started.
"""

import pytest
from testinfra.host import Host


def test_packages_are_all_configured(host: Host) -> None:
    states = host.check_output("dpkg-query --show --showformat='${db:Status-Status}\\n'")
    assert set(states.splitlines()) == {"installed"}


def test_machine_id_is_there_and_empty(host: Host) -> None:
    machine_id = host.file("/etc/machine-id")
    assert machine_id.is_file
    assert machine_id.size == 0


def test_no_private_key_is_in_the_image(host: Host) -> None:
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""
    assert not host.file("/root/.ssh/authorized_keys").exists


def test_no_account_has_a_password(host: Host) -> None:
    rows = [line.split(":") for line in host.check_output("cat /etc/shadow").splitlines()]
    assert rows
    assert [row[0] for row in rows if row[1].strip("!*")] == []
    assert [row[0] for row in rows if row[1] == ""] == []


def test_only_root_has_user_id_zero(host: Host) -> None:
    rows = [line.split(":") for line in host.check_output("cat /etc/passwd").splitlines()]
    assert [row[0] for row in rows if row[2] == "0"] == ["root"]


def test_package_sources_are_signed_and_carry_no_credentials(host: Host) -> None:
    sources = host.check_output("cat /etc/apt/sources.list.d/*.sources")
    assert "URIs:" in sources
    assert "Signed-By:" in sources
    assert "@" not in sources
    assert host.check_output("find /etc/apt -path '*auth.conf*' -type f") == ""


def test_traces_of_the_build_are_gone(host: Host) -> None:
    assert not host.file("/usr/sbin/policy-rc.d").exists
    assert host.check_output("find /var/log -type f") == ""
    assert host.check_output("find /var/cache/apt -name '*.deb'") == ""
    assert not host.file("/root/.bash_history").exists


@pytest.mark.parametrize("path", ["/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd"])
def test_set_user_id_bit_survived(host: Host, path: str) -> None:
    program = host.file(path)
    assert program.mode == 0o4755
    assert program.user == "root"


def test_set_group_id_bit_survived(host: Host) -> None:
    assert host.file("/usr/bin/chage").mode == 0o2755
    assert host.file("/usr/bin/chage").group == "shadow"


def test_hard_links_survived(host: Host) -> None:
    links = host.check_output("stat --format=%h /usr/bin/perl")
    assert int(links) == 2


def test_kernel_initramfs_and_boot_menu_fit_together(host: Host) -> None:
    menu = host.file("/boot/grub/grub.cfg").content_string
    kernels = host.check_output("ls /boot").split()
    kernels = [name for name in kernels if name.startswith("vmlinuz-")]
    assert kernels
    release = max(kernels).removeprefix("vmlinuz-")
    assert f"/boot/vmlinuz-{release}" in menu
    assert f"/boot/initrd.img-{release}" in menu
    assert host.file(f"/boot/initrd.img-{release}").size > 1_000_000
    assert host.file(f"/usr/lib/modules/{release}/modules.dep").size > 0


def test_file_systems_are_named_by_their_ids(host: Host) -> None:
    lines = host.file("/etc/fstab").content_string.splitlines()
    mounts = {
        line.split()[1]: line.split()[0] for line in lines if line.strip()[:1] not in ("", "#")
    }
    assert mounts["/"].startswith("UUID=")
    assert all(device.startswith("UUID=") for device in mounts.values())
