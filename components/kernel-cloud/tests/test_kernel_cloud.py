"""One kernel, that of virtual machines, and what it is told when it starts."""

import pytest
from testinfra.host import Host


def kernels(host: Host) -> list[str]:
    return [name for name in host.check_output("ls /boot").split() if name.startswith("vmlinuz-")]


def test_only_the_kernel_of_virtual_machines_is_installed(host: Host) -> None:
    found = kernels(host)

    assert len(found) == 1
    assert "-cloud-" in found[0]


def test_modules_of_no_other_kernel_are_left(host: Host) -> None:
    releases = [kernel.removeprefix("vmlinuz-") for kernel in kernels(host)]

    assert host.check_output("ls /usr/lib/modules").split() == releases


@pytest.mark.machine
def test_kernel_restarts_the_machine_after_a_panic(host: Host) -> None:
    assert host.sysctl("kernel.panic") == 10


@pytest.mark.machine
def test_kernel_that_runs_is_the_one_of_virtual_machines(host: Host) -> None:
    assert host.check_output("uname -r") in {k.removeprefix("vmlinuz-") for k in kernels(host)}
