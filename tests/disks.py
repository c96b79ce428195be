"""Disks of small roots for tests: made by the real tools, in user space, within a second."""

import re
import subprocess
from pathlib import Path, PurePath

from imagebuilder.adapters.local.disk import LocalDisks
from imagebuilder.adapters.local.manifest import scan
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.domain.disk import DiskLayout
from imagebuilder.domain.layer import Tree, merged
from imagebuilder.domain.recipe import Firmware
from imagebuilder.domain.units import MIB
from imagebuilder.ports.disks import DiskRequest, Predecessor

EPOCH = 1_700_000_000
SIZE_BYTES = 160 * MIB


def output_of(*argv: str | PurePath) -> str:
    """Run a program of the machine to its good end and give what it printed."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        argv, capture_output=True, check=True, text=True, env={"PATH": path, "LC_ALL": "C"}
    ).stdout


def commands() -> SystemCommandRunner:
    return SystemCommandRunner(SystemClock())


def local_disks(folder: Path) -> LocalDisks:
    return LocalDisks(commands(), SystemClock(), folder / "work", folder / "store")


def tree_of(root: Path) -> Tree:
    return merged([scan(root)])


def a_request(
    root: Path,
    *,
    tree: Tree | None = None,
    predecessor: Predecessor | None = None,
    size_bytes: int = SIZE_BYTES,
    firmware: tuple[Firmware, ...] = (Firmware.BIOS,),
) -> DiskRequest:
    return DiskRequest(
        name="web",
        root=root,
        tree=tree_of(root) if tree is None else tree,
        size_bytes=size_bytes,
        firmware=firmware,
        source_date_epoch=EPOCH,
        predecessor=predecessor,
    )


class ReadBack:
    """The root file system of a raw disk, looked at with debugfs."""

    def __init__(self, raw: PurePath, firmware: tuple[Firmware, ...] = (Firmware.BIOS,)) -> None:
        layout = DiskLayout.for_firmware(Path(raw).stat().st_size, firmware)
        self.place = f"{raw}?offset={layout.root.start_bytes}"

    def ask(self, question: str) -> str:
        done = subprocess.run(
            ["debugfs", "-R", question, self.place], capture_output=True, check=True
        )
        return done.stdout.decode(errors="surrogateescape")

    def stat(self, path: str) -> dict[str, str]:
        found = self.ask(f'stat "{path}"')
        facts = dict(re.findall(r"(\w+): +(\S+)", found))
        facts |= {
            f"{name}_at": str(int(seconds, 16))
            for name, seconds in re.findall(r"(\w+time): 0x([0-9a-f]+):", found)
        }
        device = re.search(r"major/minor number: ([\d:]+)", found)
        return facts | ({"device": device[1]} if device else {})

    def dump(self, folder: Path) -> Tree:
        """Write all files to a folder and give its tree (as root with their owners)."""
        folder.mkdir()
        self.ask(f'rdump / "{folder}"')
        return tree_of(folder)
