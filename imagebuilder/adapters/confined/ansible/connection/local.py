"""No connection to localhost: takes the place of Ansible's own, to say why.

What playbooks can do without one, such as lookups, is done inside the confinement.
"""

from ansible.errors import AnsibleError

from imagebuilder.adapters.confined.ansible.connection import relay

DOCUMENTATION = """
name: local
short_description: Refuses to work on the building machine
description: Tasks are for the image; localhost is not part of it.
author: imagebuilder
options: {}
"""


class Connection(relay.Connection):
    """Never opens, so that nothing is run."""

    transport = "local"

    def _connect(self) -> "Connection":
        raise AnsibleError(
            "This task is for localhost, the building machine, and tasks run on the image only. "
            "Write 'hosts: all', and leave out delegate_to, local_action and 'connection: local'."
        )
