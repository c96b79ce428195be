"""A machine whose facts are said by the test."""

from dataclasses import dataclass, field
from pathlib import PurePath


@dataclass(slots=True, kw_only=True)
class FakeHost:
    """Has everything but what is named as missing."""

    missing: set[str] = field(default_factory=set)
    has_root: bool = True
    free: int = 100 * 2**30
    no_overlay: str = ""
    no_user_namespace: str = ""

    def has_program(self, name: str) -> bool:
        """Whether a program is not said to be missing."""
        return name not in self.missing

    def has_file(self, path: PurePath) -> bool:
        """Whether a file is not said to be missing."""
        return str(path) not in self.missing

    def is_root(self) -> bool:
        """Whether we are said to be root."""
        return self.has_root

    def free_bytes(self, folder: PurePath) -> int:
        """Give the space that is said to be free."""
        return self.free

    def why_no_overlay(self, folder: PurePath) -> str:
        """Give why layers are said not to be mountable."""
        return self.no_overlay

    def why_no_user_namespace(self) -> str:
        """Give why user namespaces are said to be impossible."""
        return self.no_user_namespace
