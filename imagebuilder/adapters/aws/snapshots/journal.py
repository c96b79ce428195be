"""UploadJournal: how far an upload came, kept so that a killed one goes on where it was.

A file that only grows: who it is for, the snapshot, and each block that was taken with its digest.
What was written last may be cut off, and is then not believed.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

_Identity = dict[str, str]
_NOTE = re.compile(rb"(\d{1,12}) ([0-9a-f]{64})")


class UploadJournal:
    """The journal of one upload; blocks may be noted by many threads.

    Shape: `done` maps the index of each block that was taken to its SHA-256.
    """

    def __init__(self, path: Path, identity: _Identity) -> None:
        """Go on with the journal at a path, or begin it if that is of anything else."""
        self.attempt = 0
        self.snapshot = ""
        self.done: dict[int, bytes] = {}
        self._identity = identity
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._read(path.read_bytes())

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)

    def begin(self, snapshot: str) -> None:
        """Note what the blocks go to; those of another snapshot are forgotten."""
        if snapshot == self.snapshot:
            return
        self.snapshot, self.done = snapshot, {}
        self._start()

    def note(self, index: int, digest: bytes) -> None:
        """Note that a block was taken."""
        self.done[index] = digest
        os.write(self._descriptor, f"{index} {digest.hex()}\n".encode())

    def start_over(self) -> None:
        """Forget the snapshot; the next one is begun under another token."""
        self.attempt += 1
        self.snapshot, self.done = "", {}
        self._start()

    def _start(self) -> None:
        head = {"for": self._identity, "attempt": self.attempt, "snapshot": self.snapshot}
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{json.dumps(head)}\n".encode())
        os.fsync(self._descriptor)

    def _read(self, text: bytes) -> None:
        head_line, *lines = text.split(b"\n")[:-1] or [b""]
        try:
            head: dict[str, Any] = json.loads(head_line)
            if head["for"] != self._identity:
                return
            self.attempt, self.snapshot = int(head["attempt"]), str(head["snapshot"])
        except (ValueError, KeyError, TypeError):
            return
        believed = len(head_line) + 1
        for line in lines:
            noted = _NOTE.fullmatch(line)
            if noted is None:
                break
            self.done[int(noted[1])] = bytes.fromhex(noted[2].decode())
            believed += len(line) + 1
        # What comes next begins a line of its own.
        os.ftruncate(self._descriptor, believed)
