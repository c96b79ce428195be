"""The examples of the repository in a house of their own, and their disks as anybody boots them."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class House:
    """A copy of the examples and a home of its own."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def built_in(cls, folder: Path) -> "House":
        """Copy recipes and components into a folder."""
        for name in ("recipes", "components"):
            shutil.copytree(ROOT / name, folder / name)
        return cls(folder)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the command and give what it said, whatever the exit status."""
        return subprocess.run(
            [str(ROOT / ".venv/bin/imagebuilder"), *words],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "IMAGEBUILDER_HOME": str(self.home),
                **self.environment,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *words: str) -> Any:
        """Run a command that must go well and give its answer."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    @property
    def home(self) -> Path:
        """Where everything is kept."""
        return self.folder / "home"

    def change(self, file: str, old: str, new: str) -> None:
        """Change a document."""
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@contextmanager
def plain_qemu(disk: Path, guest_port: int, more: Sequence[str] = ()) -> Iterator[int]:
    """Run a virtual machine as anybody would start it and give the port that leads to a guest's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    argv = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"),
        *("-display", "none", "-drive", f"file={disk},if=virtio,snapshot=on"),
        *("-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:{guest_port}"),
        *("-device", "virtio-net-pci,netdev=n", *more),
    ]
    machine = subprocess.Popen(argv)
    try:
        yield port
    finally:
        machine.kill()
        machine.wait()
