"""What the double does itself: operations by service and name, and what one is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.backends import get_backend

if TYPE_CHECKING:
    from tests.aws_double.accounts import Caller
    from tests.aws_double.world import World

Answer = Mapping[str, Any]


class PassedOn(Exception):
    """Let moto answer after all, perhaps for another account or with more parameters."""

    def __init__(
        self, *, account: str | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        """More parameters can go with requests that are forms."""
        super().__init__()
        self.account = account
        self.more = more or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: who asks for what, where."""

    world: World
    caller: Caller
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]

    @property
    def account(self) -> str:
        """The account of who asks."""
        return self.caller.account

    def get(self, name: str) -> Any:
        """Give a parameter, or None."""
        return self.parameters.get(name)

    def moto(self, service: str | None = None) -> Any:
        """Give what moto knows of a service for this account and region."""
        backends = get_backend(service or self.service)[self.account]  # type: ignore[call-overload]  # moto lists names as literals
        return backends[self.region if self.region in backends.regions else "aws"]


Handler = Callable[[Asked], Answer | None]

OPERATIONS: Final[dict[tuple[str, str], Handler]] = {}
UNLOCKED: Final[set[tuple[str, str]]] = set()
"""Operations that may run beside all others."""


def operation(service: str, name: str, *, is_locked: bool = True) -> Callable[[Handler], Handler]:
    """Let a function be what the double does for an operation."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[service, name] = handler
        if not is_locked:
            UNLOCKED.add((service, name))
        return handler

    return register
