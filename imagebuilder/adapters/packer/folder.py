"""The folder of one build: template, secrets, cache and log of Packer, for its owner alone."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.adapters.packer.events import Event, event_of
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.packer import SettingPath
from imagebuilder.domain.units import MIB
from imagebuilder.ports.live_builds import LiveOrder

MASK = "****"
_AT_ONCE_BYTES = 16 * MIB
RUN_VARIABLE = "IMAGEBUILDER_PACKER_RUN"
"""By it every process of a build is known, also when its own parent is no more."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that a source names but does not hold."""

    source: str
    path: SettingPath
    variable: str
    value: str


def secrets_of(order: LiveOrder, secret_of: Callable[[str], bytes]) -> tuple[Secret, ...]:
    """Give the values of all references in an order. Raises: what secret_of raises."""
    found = [
        (source.name, path, reference)
        for source in order.sources
        for path, reference in source.references.items()
    ]
    return tuple(
        Secret(name, path, f"secret_{number}", secret_of(reference).decode(errors="replace"))
        for number, (name, path, reference) in enumerate(found)
    )


class BuildFolder:
    """Where Packer works. Invariant: what is written here none but its owner can read."""

    def __init__(self, path: Path, sockets: Path, secrets: Sequence[Secret]) -> None:
        """Use folders that were just made; the path of sockets is short enough for one."""
        path.chmod(0o700)
        sockets.chmod(0o700)
        self._sockets = sockets
        self.path = path
        self._secrets = secrets
        self.log = path / "packer.out"
        self.log.touch(mode=0o600)
        (path / "cache").mkdir(mode=0o700)

    @property
    def hooks(self) -> Path:
        """Where machines wait for us."""
        return self.path / "machines"

    def write(self, name: str, content: Canonical) -> str:
        """Keep a document and give where it is."""
        path = self.path / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=1)
        return str(path)

    def write_secrets(self) -> str:
        """Keep the values of the template's variables and give where they are."""
        return self.write("variables.json", {each.variable: each.value for each in self._secrets})

    def masked(self, text: str) -> str:
        """Give a text with every secret in it replaced, the longest first."""
        for value in sorted((each.value for each in self._secrets), key=len, reverse=True):
            text = text.replace(value, MASK) if value else text
        return text

    def environment(self, ours: Mapping[str, str], trace: Path) -> Mapping[str, str]:
        """Give what Packer sees: ours, and that it keeps to this folder and asks for no news."""
        return {
            **ours,
            RUN_VARIABLE: str(trace),
            "CHECKPOINT_DISABLE": "1",
            "PACKER_NO_COLOR": "1",
            "PACKER_CACHE_DIR": str(self.path / "cache"),
            "PACKER_LOG_PATH": str(self.path / "packer.log"),
            "TMPDIR": str(self._sockets),
        }


class Tail:
    """Reads a file that somebody else writes, a line at a time."""

    def __init__(self, file: Path) -> None:
        """Begin at its beginning."""
        self._file = file
        self.read_bytes = 0
        self._rest = ""

    def events(self, *, is_last: bool = False) -> list[Event]:
        """Give what came since, up to the last whole line; at the end also one that is not."""
        with self._file.open("rb") as opened:
            opened.seek(self.read_bytes)
            content = opened.read(-1 if is_last else _AT_ONCE_BYTES)
        self.read_bytes += len(content)
        *lines, self._rest = (self._rest + content.decode(errors="replace")).split("\n")
        if is_last:
            lines.append(self._rest)
        return [event for event in map(event_of, lines) if event is not None]
