"""The connection to the machine under work: every command and file goes over the wall to us.

It runs inside the confinement, and may import only what is copied there with it.
"""

import base64
import shlex
import socket
from pathlib import Path

from ansible.errors import AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase

from imagebuilder.adapters.confined.frames import frame_from, framed, message_in

DOCUMENTATION = """
name: relay
short_description: The machine that imagebuilder works on
description: Commands are run by imagebuilder, outside of the confinement of the playbook.
author: imagebuilder
options: {}
"""
_CHUNK_BYTES = 512 * 1024


class Connection(ConnectionBase):  # type: ignore[misc] # Ansible has no types
    """Runs commands as the machine's root; the host's address is the path of a socket."""

    transport = "relay"
    has_pipelining = True

    def _connect(self) -> "Connection":
        self._connected = True
        return self

    def exec_command(
        self,
        cmd: str,
        in_data: bytes | None = None,
        sudoable: bool = True,  # noqa: FBT001, FBT002 - as Ansible has it
    ) -> tuple[int, bytes, bytes]:
        """Run a command and give its exit status, output and errors."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(cmd, in_data or b"")

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the confinement to the machine."""
        super().put_file(in_path, out_path)
        if not Path(in_path).is_file():
            raise AnsibleFileNotFound(f"There is no file {in_path}.")
        target = shlex.quote(out_path)
        self._must_run(f": > {target}", b"")
        with Path(in_path).open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                self._must_run(f"cat >> {target}", chunk)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the machine into the confinement."""
        super().fetch_file(in_path, out_path)
        source = shlex.quote(in_path)
        status, _, _ = self._run(f"test -f {source}", b"")
        if status != 0:
            raise AnsibleFileNotFound(f"There is no file {in_path} on the machine.")
        with Path(out_path).open("wb") as target:
            number = 0
            size = _CHUNK_BYTES
            while size == _CHUNK_BYTES:
                reading = f"dd if={source} bs={_CHUNK_BYTES} skip={number} count=1 status=none"
                size = target.write(self._must_run(reading, b""))
                number += 1

    def close(self) -> None:
        """Be closed; each command had a connection of its own."""
        self._connected = False

    def _must_run(self, text: str, stdin: bytes) -> bytes:
        status, output, errors = self._run(text, stdin)
        if status != 0:
            said = errors.decode(errors="replace").strip()
            raise AnsibleError(f"A file could not be transferred: {said}")
        return output

    def _run(self, text: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        question = {"run": text, "stdin": base64.b64encode(stdin).decode(), "number": 1}
        try:
            with socket.socket(socket.AF_UNIX) as channel:
                channel.connect(self._play_context.remote_addr)
                channel.sendall(framed(question))
                answer = message_in(frame_from(channel))
        except (OSError, EOFError) as gone:
            raise AnsibleError("The machine is no longer there.") from gone
        if "error" in answer:
            raise AnsibleError(str(answer["error"]))
        if answer.get("dropped_bytes"):
            raise AnsibleError("The command printed more than can be taken.")
        return (
            int(str(answer["exit_status"])),
            base64.b64decode(str(answer["stdout"])),
            base64.b64decode(str(answer["stderr"])),
        )
