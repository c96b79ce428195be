"""Machines that run already, made of answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagebuilder.ports.live import HostUnreachable, Login
from imagebuilder.ports.machine import Machine
from tests.fakes.machine import FakeMachine


@dataclass(slots=True)
class FakeLiveMachines:
    """One machine at every address but those that are away; `open` are the logins not yet ended."""

    machine: FakeMachine = field(default_factory=FakeMachine)
    away: set[str] = field(default_factory=set)
    logins: list[Login] = field(default_factory=list)
    open: list[Login] = field(default_factory=list)

    @contextmanager
    def connected(self, login: Login) -> Iterator[Machine]:
        self.logins.append(login)
        if login.address in self.away:
            raise HostUnreachable(login, "it is away")
        self.open.append(login)
        try:
            yield self.machine
        finally:
            self.open.remove(login)
