"""LocalBooter: images looked at on this machine, in a container or a virtual machine."""

from contextlib import AbstractContextManager
from pathlib import PurePath

from imagebuilder.adapters.local.container import Containers
from imagebuilder.adapters.local.qemu import VirtualMachines
from imagebuilder.domain.recipe import Firmware
from imagebuilder.ports.inspection import BootedMachine
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import OnLine


class LocalBooter:
    """Starts images for a look: roots in containers, disks in virtual machines."""

    def __init__(self, containers: Containers, machines: VirtualMachines) -> None:
        """Join the two ways."""
        self._containers = containers
        self._machines = machines

    def container(self, root: PurePath) -> AbstractContextManager[Machine]:
        """Boot a root folder in a container. Raises: BootFailed."""
        return self._containers.boot(root)

    def machine(
        self, disk: PurePath, firmware: Firmware, console: PurePath, on_line: OnLine | None
    ) -> AbstractContextManager[BootedMachine]:
        """Boot a disk file through its firmware to an SSH login. Raises: BootFailed."""
        return self._machines.boot(disk, firmware, console, on_line)
