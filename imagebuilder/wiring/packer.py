"""Settings become what has Packer build images; the only place that knows Packer and QEMU."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from imagebuilder.adapters.local.acceleration import Acceleration
    from imagebuilder.adapters.packer.builder import PackerBuilder
    from imagebuilder.adapters.packer.template import LocalHardware
    from imagebuilder.adapters.packer.traces import Traces
    from imagebuilder.ports.clock import Clock
    from imagebuilder.ports.live_builds import LiveOrder, RecordedImages
    from imagebuilder.ports.process import CommandRunner
    from imagebuilder.settings import Settings


def packer_builder(
    settings: "Settings",
    commands: "CommandRunner",
    clock: "Clock",
    acceleration: "Acceleration",
    recorded: "RecordedImages",
) -> "PackerBuilder":
    """Give what has Packer build images; those that are `recorded` stay."""
    from imagebuilder.adapters.aws.packer_sources import AmazonSources
    from imagebuilder.adapters.local.workplace import short_folder, working_folder
    from imagebuilder.adapters.packer.builder import PackerBuilder, PackerMeans
    from imagebuilder.settings import secret_of

    return PackerBuilder(
        PackerMeans(
            commands=commands,
            clock=clock,
            folders=partial(working_folder, settings.home / "work"),
            sockets=partial(short_folder, settings.home / "work"),
            secret_of=secret_of,
            hardware=partial(_hardware, commands, acceleration),
            traces=packer_traces(settings.home, recorded),
            places=AmazonSources(secret_of),
            environment=settings.environment,
        )
    )


def packer_traces(home: Path, recorded: "RecordedImages") -> "Traces":
    """Give what is known of builds by Packer that run, or were killed."""
    from imagebuilder.adapters.aws.packer_sources import AmazonSources
    from imagebuilder.adapters.packer.traces import Traces
    from imagebuilder.settings import secret_of

    return Traces(home / "packer", AmazonSources(secret_of), recorded)


def _hardware(
    commands: "CommandRunner", acceleration: "Acceleration", order: "LiveOrder", folder: Path
) -> "LocalHardware":
    """Give what a machine that is started here gets: a key of its own if it is of our disk."""
    from imagebuilder.adapters.local.hardware import login_credential
    from imagebuilder.adapters.local.imports import require_plain
    from imagebuilder.adapters.local.ssh_machine import make_key
    from imagebuilder.adapters.packer.template import LocalHardware

    if not any(source.type == "qemu" for source in order.sources):
        return LocalHardware(accelerator="none")
    accelerator = acceleration.verdict().value
    if order.disk is None:
        return LocalHardware(accelerator=accelerator)
    # Packer has qemu-img guess what the disk is.
    require_plain(commands, order.disk, folder)
    return LocalHardware(
        accelerator=accelerator,
        disk=order.disk,
        public_key_credential=login_credential(make_key(commands, folder).strip()),
        key=folder / "key",
    )
