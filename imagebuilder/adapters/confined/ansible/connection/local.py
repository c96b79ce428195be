"""No connection to localhost: takes the place of Ansible's own, to say why.

Who asks for Ansible's own by its full name stays inside the confinement, with nothing to change.
"""

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: local
short_description: Refuses to work on the building machine
description: Tasks are for the image; localhost is not part of it.
author: imagebuilder
options: {}
"""
_REFUSAL = (
    "This task is for localhost, the building machine, and tasks run on the image only. "
    "Write 'hosts: all', and leave out delegate_to, local_action and 'connection: local'."
)


class Connection(ConnectionBase):
    """Refuses."""

    transport = "local"
    has_pipelining = True

    def _connect(self) -> "Connection":
        raise AnsibleError(_REFUSAL)

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Refuse to run a command."""
        raise AnsibleError(_REFUSAL)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Refuse to write a file."""
        raise AnsibleError(_REFUSAL)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Refuse to read a file."""
        raise AnsibleError(_REFUSAL)

    def close(self) -> None:
        """Do nothing: it never opened."""
