"""Facts: what conditions ask of the image, each answered by one short script in the image itself.

Nothing is looked up in the host's file system, so no link in the image leads out of it.
"""

from shlex import quote

from imagebuilder.ports.machine import Machine, Script

_LIMIT_SECONDS = 120.0


class MachineFacts:
    """Answers by asking a machine."""

    def __init__(self, machine: Machine) -> None:
        """Ask machine."""
        self._machine = machine

    def binary_exists(self, name: str) -> bool:
        """Whether a program of this name is found on the path."""
        return self._is_so(f"command -v -- {quote(name)} >/dev/null")

    def file_exists(self, path: str) -> bool:
        """Whether there is a file, no folder; links are followed."""
        return self._is_so(f"[ -e {quote(path)} ] && [ ! -d {quote(path)} ]")

    def folder_exists(self, path: str) -> bool:
        """Whether there is a folder; links are followed."""
        return self._is_so(f"[ -d {quote(path)} ]")

    def file_digest(self, path: str, algorithm: str) -> str | None:
        """Give a file's digest by md5, sha1, sha256 or sha512 in hex; None when it is not there."""
        # A pipe or a device would never end, or never begin.
        text = f"[ -f {quote(path)} ] && {algorithm}sum < {quote(path)}"
        result = self._machine.run(Script(text=text + "\n", timeout_seconds=_LIMIT_SECONDS))
        said = result.stdout.decode(errors="replace").split()
        return said[0] if result.exit_status == 0 and said else None

    def _is_so(self, test: str) -> bool:
        script = Script(text=test + "\n", timeout_seconds=_LIMIT_SECONDS)
        return self._machine.run(script).exit_status == 0
