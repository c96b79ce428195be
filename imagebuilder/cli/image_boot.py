"""`imagebuilder image boot`."""

import re
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from imagebuilder.cli.image_export import artifact_of
from imagebuilder.cli.options import ReferenceArgument
from imagebuilder.cli.output import note, told_errors
from imagebuilder.domain.errors import InvalidInput, StepFailed
from imagebuilder.domain.recipe import ArtifactFormat, Firmware
from imagebuilder.ports.locks import STORE_LOCK

if TYPE_CHECKING:
    from imagebuilder.bootstrap import Application

_BOOTABLE = (ArtifactFormat.QCOW2, ArtifactFormat.RAW)
_LARGEST_PORT = 65535


def boot(
    reference: ReferenceArgument,
    *,
    firmware: Annotated[
        Firmware, typer.Option(help="How the machine finds the boot loader.")
    ] = Firmware.BIOS,
    forward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS:ITS", help="Lead a port of this machine's loopback to one of the image."
        ),
    ] = None,
    memory: Annotated[int, typer.Option(min=128, metavar="MIB", help="Its memory in MiB.")] = 1024,
) -> None:
    """Boot a version in a virtual machine on this terminal; what it writes is forgotten."""
    with told_errors():
        forwards = tuple(_forward(text) for text in forward or ())
        from imagebuilder.bootstrap import Application  # noqa: PLC0415 - start-up

        application = Application()
        version = application.cataloguing.show(reference)
        artifact = artifact_of(version, _BOOTABLE)
        with ExitStack() as held:
            held.enter_context(
                application.locks.share(STORE_LOCK, f"image boot {version.reference}")
            )
            application.retiring.require_files(version)
            application.blobs.verify(artifact.digest)
            disk = application.blobs.path(artifact.digest)
            prepared = held.enter_context(
                application.machines.interactive(disk, firmware, forwards, memory)
            )
            note(f"{version.reference} boots; what it writes is forgotten.")
            note("End it with: Ctrl-A X")
            note(f"Log in from another terminal with: {shlex.join(prepared.ssh_argv)}")
            for ours, its in forwards:
                note(f"Its port {its} is 127.0.0.1:{ours}")
            _run(application, prepared.argv)


def _run(application: "Application", argv: Sequence[str]) -> None:
    from imagebuilder.ports.process import Command  # noqa: PLC0415 - start-up

    # QEMU keeps what the guest writes in a file that it opens and unlinks in TMPDIR.
    work = application.settings.home / "work"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(work)}
    status = application.commands.attach(
        Command(argv=argv, timeout_seconds=None, environment=environment)
    )
    if status != 0:
        raise MachineEndedBadly(status)


def _forward(text: str) -> tuple[int, int]:
    matched = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text)
    ports = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not all(1 <= port <= _LARGEST_PORT for port in ports):
        raise ForwardMalformed(text)
    return ports


class ForwardMalformed(InvalidInput):
    """A --forward that leads nowhere."""

    code = "forward-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the form."""
        super().__init__(
            f"--forward {text!r} is not two ports.",
            context=f"Ports are from 1 to {_LARGEST_PORT}.",
            hint="Write --forward 8080:80 to reach the image's port 80 at 127.0.0.1:8080.",
        )


class MachineEndedBadly(StepFailed):
    """The virtual machine that a person looked at did not end well."""

    code = "machine-ended-badly"

    def __init__(self, status: int) -> None:
        """Say how it ended."""
        super().__init__(
            f"The virtual machine ended with exit status {status}.",
            hint="Look at what QEMU said above; a port that is taken can be exchanged for another.",
        )
