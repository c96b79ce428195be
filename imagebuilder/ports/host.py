"""HostFacts: what this machine has and allows, asked before work begins.

Every adapter must keep: asking changes nothing that outlives the answer.
"""

from pathlib import PurePath
from typing import Protocol


class HostFacts(Protocol):
    """Answers questions about the machine we run on."""

    def has_program(self, name: str) -> bool:
        """Whether a program is installed, in the administrator's folders too."""
        ...

    def has_file(self, path: PurePath) -> bool:
        """Whether there is a file."""
        ...

    def is_root(self) -> bool:
        """Whether we may do all that root may."""
        ...

    def free_bytes(self, folder: PurePath) -> int:
        """Give the free space where a folder is, or would be made."""
        ...

    def why_no_overlay(self, folder: PurePath) -> str:
        """Give why layers cannot be mounted where a folder is, or nothing when they can."""
        ...

    def why_no_user_namespace(self) -> str:
        """Give why no user namespace can be made, or nothing when one can."""
        ...
