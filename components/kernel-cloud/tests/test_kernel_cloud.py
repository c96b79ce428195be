"""One kernel, and what it is told when it starts."""

import pytest
from testinfra.host import Host


def kernels(host: Host) -> list[str]:
    return [name for name in host.check_output("ls /boot").split() if name.startswith("vmlinuz-")]


def test_one_kernel_is_installed(host: Host) -> None:
    assert len(kernels(host)) == 1


def test_modules_of_no_other_kernel_are_left(host: Host) -> None:
    releases = [kernel.removeprefix("vmlinuz-") for kernel in kernels(host)]

    assert host.check_output("ls /usr/lib/modules").split() == releases


@pytest.mark.machine
def test_kernel_does_after_a_panic_what_the_recipe_says(host: Host) -> None:
    settings = host.file("/etc/sysctl.d/60-kernel-cloud.conf").content_string

    assert host.sysctl("kernel.panic") == int(settings.partition("kernel.panic = ")[2])


@pytest.mark.machine
def test_kernel_that_runs_is_the_installed_one(host: Host) -> None:
    assert host.check_output("uname -r") in {k.removeprefix("vmlinuz-") for k in kernels(host)}
