"""LiveMachines: machines that run already, and how to log in to them.

Every adapter must keep: nothing is run on a machine that did not show the host key it should; no
key and no password stands in any argv, log or error.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from imagebuilder.domain.errors import Refused, Unavailable
from imagebuilder.ports.machine import Machine

SSH_PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to a machine that runs already.

    `key` and `known_hosts` are files, None for those that SSH uses by itself; `accepts_new` takes
    the host key of a machine that was never seen, not one that changed.
    """

    address: str
    user: str = "root"
    port: int = SSH_PORT
    key: PurePath | None = None
    known_hosts: PurePath | None = None
    accepts_new: bool = False

    def __str__(self) -> str:
        """Read as people write it; no port when it is the usual one."""
        port = "" if self.port == SSH_PORT else f":{self.port}"
        return f"{self.user}@{self.address}{port}"


class LiveMachines(Protocol):
    """Reaches machines that run already."""

    def connected(self, login: Login) -> AbstractContextManager[Machine]:
        """Log in; the connection is closed with the context.

        Raises: HostUnreachable; LoginRefused: a key was not taken, or root's rights were not given.
        """
        ...


class HostUnreachable(Unavailable):
    """A machine does not answer."""

    code = "host-unreachable"

    def __init__(self, login: Login, reason: str) -> None:
        """Name it and what was seen."""
        super().__init__(
            f"{login} cannot be reached.",
            context=reason,
            hint="Check the address, the port and the way there, then try again.",
        )


class LoginRefused(Refused):
    """A machine does not let us in, or is not the one it should be."""

    code = "login-refused"

    def __init__(self, login: Login, reason: str, *, hint: str) -> None:
        """Name it and what was said."""
        super().__init__(f"The login to {login} was refused.", context=reason, hint=hint)
