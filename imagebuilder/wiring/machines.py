"""Settings become machines: this one, those that images are booted on, and those that run."""

from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.wiring.distribution import DistributionWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from imagebuilder.adapters.local.acceleration import Acceleration
    from imagebuilder.adapters.local.booting import LocalBooter
    from imagebuilder.adapters.local.live_machines import SshLiveMachines
    from imagebuilder.adapters.local.qemu import VirtualMachines
    from imagebuilder.services.diagnosing import Diagnosing


class MachineWiring(DistributionWiring):
    """The part of the services that knows this machine, boots images, and logs in to others."""

    @cached_property
    def _live_machines(self) -> "SshLiveMachines":
        from imagebuilder.adapters.local.live_machines import SshLiveMachines

        return SshLiveMachines(self.commands, self.clock, self._home / "work")

    @cached_property
    def _booter(self) -> "LocalBooter":
        from imagebuilder.adapters.local.booting import LocalBooter
        from imagebuilder.adapters.local.container import Containers

        containers = Containers(self.commands, self.clock, self._home / "work")
        return LocalBooter(containers, self.machines)

    @cached_property
    def machines(self) -> "VirtualMachines":
        """Boots disks."""
        from imagebuilder.adapters.local.qemu import VirtualMachines

        work = self._home / "work"
        return VirtualMachines(self.commands, self.clock, self._acceleration, work)

    @cached_property
    def _acceleration(self) -> "Acceleration":
        from imagebuilder.adapters.local.acceleration import Acceleration

        return Acceleration(self.commands, self._home / "cache/acceleration.json")

    @cached_property
    def diagnosing(self) -> "Diagnosing":
        """Says what this machine lacks."""
        from imagebuilder.adapters.system.host import SystemHost
        from imagebuilder.services.diagnosing import Diagnosing

        shared = self.exchange.store if self.exchange else None
        return Diagnosing(SystemHost(self.commands), self.commands, self._home, shared)
