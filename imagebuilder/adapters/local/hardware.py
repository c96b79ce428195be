"""The virtual hardware of a test boot, as QEMU's arguments.

As little as boots: a disk that forgets, a network that leads nowhere but through the ports
forwarded to it, randomness, and a serial console.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from imagebuilder.adapters.local.acceleration import Accelerator
from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.recipe import Firmware

OVMF_FOLDER = Path("/usr/share/OVMF")

Forward = tuple[int, int]
"""A port of this machine's loopback, and the guest's port it leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What to boot and on what.

    `public_key` may log in as root; it is handed to the guest's service manager, never to its disk.
    `is_online` lets the guest reach out: this machine's loopback and network among it.
    """

    disk: PurePath
    firmware: Firmware
    accelerator: Accelerator
    public_key: str
    forwards: tuple[Forward, ...]
    serial: str
    memory_mib: int = 1024
    processors: int = 2
    is_online: bool = False


class FirmwareMissing(Unavailable):
    """The firmware that an image should be booted with is not installed."""

    code = "firmware-missing"

    def __init__(self, file: Path) -> None:
        """Name the file and how to get it."""
        super().__init__(
            f"The UEFI firmware for virtual machines, {file}, is not installed on this machine.",
            hint="Install it with: imagebuilder doctor --fix",
        )


def qemu_argv(hardware: Hardware, ovmf: Path = OVMF_FOLDER) -> list[str]:
    """Give the whole command of a virtual machine.

    Raises: FirmwareMissing.
    """
    return [
        "qemu-system-x86_64",
        "-name",
        "image",
        "-nodefaults",
        "-no-user-config",
        "-machine",
        "q35",
        "-display",
        "none",
        "-no-reboot",
        # The guest is foreign code: should it break out of QEMU, it can start nothing.
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        *_processor(hardware.accelerator),
        *("-smp", str(hardware.processors), "-m", str(hardware.memory_mib)),
        *("-serial", hardware.serial),
        *_firmware(hardware.firmware, ovmf),
        *_disk(hardware.disk),
        *_network(hardware.forwards, is_online=hardware.is_online),
        *("-device", "virtio-rng-pci"),
        *("-smbios", f"type=11,value={login_credential(hardware.public_key)}"),
    ]


def _processor(accelerator: Accelerator) -> list[str]:
    match accelerator:
        case Accelerator.KVM:
            return ["-accel", "kvm", "-cpu", "host"]
        case Accelerator.TCG:
            # The plainest processor is emulated fastest, and all that Debian's amd64 asks for.
            return ["-accel", "tcg,thread=multi", "-cpu", "qemu64"]


def _firmware(firmware: Firmware, ovmf: Path) -> list[str]:
    match firmware:
        case Firmware.BIOS:
            return []
        case Firmware.UEFI:
            code, variables = ovmf / "OVMF_CODE_4M.fd", ovmf / "OVMF_VARS_4M.fd"
            for file in (code, variables):
                if not file.is_file():
                    raise FirmwareMissing(file)
            flash = "if=pflash,format=raw"
            return [
                *("-drive", f"{flash},unit=0,readonly=on,file={_escaped(code)}"),
                # Variables are written to a copy that is forgotten, as with a machine just bought.
                *("-drive", f"{flash},unit=1,snapshot=on,file={_escaped(variables)}"),
            ]


def _disk(disk: PurePath) -> list[str]:
    format_ = "qcow2" if _is_qcow2(Path(disk)) else "raw"
    source = f"file={_escaped(disk)},format={format_}"
    return [
        *("-drive", f"{source},if=none,id=disk,snapshot=on,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
    ]


def _is_qcow2(disk: Path) -> bool:
    with disk.open("rb") as opened:
        return opened.read(4) == b"QFI\xfb"


def _network(forwards: Sequence[Forward], *, is_online: bool) -> list[str]:
    ways = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{its}" for ours, its in forwards)
    restriction = "off" if is_online else "on"
    return [
        *("-netdev", f"user,id=net,restrict={restriction}{ways}"),
        # Without its ROM, which would try to boot from the network.
        *("-device", "virtio-net-pci,netdev=net,romfile="),
    ]


def login_credential(public_key: str) -> str:
    """Give what tells a guest, in a table of its firmware, who may log in to it as root.

    Source: systemd.exec(5), "Credentials"; systemd(1), "ssh.authorized_keys.root"; SMBIOS type 11.
    """
    encoded = base64.b64encode(public_key.encode()).decode()
    return f"io.systemd.credential.binary:ssh.authorized_keys.root={encoded}"


def _escaped(path: PurePath) -> str:
    """Write a path as the value of a QEMU option."""
    return str(path).replace(",", ",,")
