"""Whether this machine's hardware virtualisation really works.

A device node and its ioctls say little: on some hosts they answer at once and then run guests a
hundred times slower than emulation does. So a guest of one sector is run under a time limit.
"""

import json
import os
import tempfile
from enum import StrEnum
from pathlib import Path

from imagebuilder.ports.process import Command, CommandRunner

_SECTOR_BYTES = 512
_EXIT_PORT = 0xF4
_EXIT_VALUE = 0x10
_EXIT_STATUS = _EXIT_VALUE << 1 | 1
"""What QEMU's isa-debug-exit makes of a value written to it."""
_CODE = bytes(
    [
        *(0xBA, _EXIT_PORT, 0x00),  # mov dx, port
        *(0xB0, _EXIT_VALUE),  # mov al, value
        0xEE,  # out dx, al
        *(0xF4, 0xEB, 0xFD),  # hlt, for ever
    ]
)
BOOT_SECTOR = _CODE.ljust(_SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
"""Real-mode code at 0000:7C00 that ends its machine.

Source: BIOS Boot Specification 1.01, 6.5.1.
"""


class Accelerator(StrEnum):
    """How a virtual machine's instructions are run; the values are QEMU's names."""

    KVM = "kvm"
    TCG = "tcg"


class Acceleration:
    """Finds out once per start of this machine, and remembers."""

    def __init__(
        self,
        runner: CommandRunner,
        state: Path,
        *,
        limit_seconds: float = 1.0,
        device: Path = Path("/dev/kvm"),
        boot_id: Path = Path("/proc/sys/kernel/random/boot_id"),
    ) -> None:
        """Remember in the file state; a working KVM ends the sector in a tenth of limit_seconds."""
        self._runner = runner
        self._state = state
        self._limit_seconds = limit_seconds
        self._device = device
        self._boot_id = boot_id

    def verdict(self) -> Accelerator:
        """Give KVM if it was seen to work since this machine started, else TCG."""
        if not os.access(self._device, os.R_OK | os.W_OK):
            return Accelerator.TCG
        known = self._known()
        if known is None:
            known = Accelerator.KVM if self._sector_ends() else Accelerator.TCG
            self._remember(known)
        return known

    def distrust(self) -> None:
        """Remember that a real guest did not live under KVM, whatever the sector did."""
        self._remember(Accelerator.TCG)

    def _sector_ends(self) -> bool:
        with tempfile.NamedTemporaryFile(prefix="kvm-sector-") as image:
            image.write(BOOT_SECTOR)
            image.flush()
            result = self._runner.run(
                Command(argv=_probe_argv(image.name), timeout_seconds=self._limit_seconds)
            )
        return result.exit_status == _EXIT_STATUS and not result.has_timed_out

    def _known(self) -> Accelerator | None:
        try:
            state = json.loads(self._state.read_text())
            if state["boot_id"] == self._boot_id.read_text().strip():
                return Accelerator(state["accelerator"])
        except (OSError, ValueError, KeyError, TypeError):
            # No memory, or one that cannot be read: it is found out again.
            return None
        return None

    def _remember(self, verdict: Accelerator) -> None:
        state = {"boot_id": self._boot_id.read_text().strip(), "accelerator": verdict.value}
        self._state.parent.mkdir(parents=True, exist_ok=True)
        new = self._state.with_name(f"{self._state.name}.{os.getpid()}")
        new.write_text(json.dumps(state))
        new.replace(self._state)


def _probe_argv(image: str) -> list[str]:
    return [
        "qemu-system-x86_64",
        "-nodefaults",
        "-no-user-config",
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "16",
        "-display",
        "none",
        "-no-reboot",
        *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=0x04"),
        *("-drive", f"file={image},format=raw,if=ide,read-only=on,snapshot=on"),
    ]
