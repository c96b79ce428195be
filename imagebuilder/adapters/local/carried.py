"""PackageLists: what a machine that runs says of its packages, carried into a folder of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.domain.units import MIB
from imagebuilder.ports.machine import Machine, Script
from imagebuilder.ports.process import OutputFile

_LISTS = {
    "/usr/lib/os-release": MIB,
    "/etc/os-release": MIB,
    "/var/lib/dpkg/status": 64 * MIB,
}
"""Shape: file of the machine -> the most that is taken of it."""
_OTHERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/lib/apk/db", "/usr/lib/apk/db")
_SECONDS = 120.0


class PackageLists:
    """Carries them."""

    def __init__(self, work: Path) -> None:
        """Keep them in folders below work, as long as they are looked at."""
        self._work = work

    @contextmanager
    def carried(self, machine: Machine) -> Iterator[Path]:
        """Give a folder that has a machine's lists as its root has them; none of it is run."""
        with working_folder(self._work, "lists-") as root:
            for path, limit_bytes in _LISTS.items():
                target = root / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                output = OutputFile(path=target, limit_bytes=limit_bytes)
                script = Script(text=f"cat {path}\n", stdout_file=output, timeout_seconds=_SECONDS)
                if machine.run(script).exit_status != 0:
                    target.unlink(missing_ok=True)
            self._mark_others(machine, root)
            yield root

    def _mark_others(self, machine: Machine, root: Path) -> None:
        """Make the folders of other package managers, whose lists are not read, where they are."""
        tests = "\n".join(f"test ! -e {path} || echo {path}" for path in _OTHERS)
        found = machine.run(Script(text=f"{tests}\n", timeout_seconds=_SECONDS))
        for path in found.stdout.decode(errors="replace").split():
            if path in _OTHERS:
                (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
