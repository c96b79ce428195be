"""The pytest plugin that keeps tests from asking what runs where nothing runs, inside their walls.

At rest systemctl says of any service that all is well, or that none is; kernel settings, sockets
and processes are those of the builder. What asks so is an error there, never an answer.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import testinfra.modules
from testinfra.host import Host
from testinfra.modules.base import Module
from testinfra.modules.service import Service

_OF_WHAT_RUNS = ("process", "socket", "sysctl", "interface", "mount_point", "iptables")
_SIGN_OF_LIFE = "test -d /run/systemd/system"
"""Source: sd_booted(3)."""


def refuse_at_rest(host: Host, asked: str) -> None:
    """Do nothing where the system runs. Raises: pytest's failure: nothing runs there."""
    if host.backend.run(_SIGN_OF_LIFE).rc != 0:
        # No "except Exception" of a test may eat it.
        pytest.fail(f"Nothing runs at rest, so {asked} says nothing: mark it booted or machine.")


def pytest_configure() -> None:
    """Put a guard before each question about what runs."""
    for name in _OF_WHAT_RUNS:
        _guard_module(name, testinfra.modules.get_module_class(name))
    for kind in (Service, *_kinds(Service)):
        if "is_running" in vars(kind):
            _guard_running(kind)


def _kinds(kind: type) -> Iterator[type]:
    subclasses: list[type] = kind.__subclasses__()
    for below in subclasses:
        yield below
        yield from _kinds(below)


def _guard_module(name: str, kind: type[Module]) -> None:
    # testinfra has no hook before a question, so that its own methods are put behind a guard; types
    # know neither the function of a bound class method nor that it may be another.
    unguarded = kind.get_module.__func__  # type: ignore[attr-defined]  # what a class method wraps has no type

    def get_module(cls: type[Module], host: Host) -> Any:  # noqa: ANN401 - whatever it gives
        refuse_at_rest(host, f"host.{name}")
        return unguarded(cls, host)

    kind.get_module = classmethod(get_module)  # type: ignore[assignment,method-assign]  # a class is changed on purpose


def _guard_running(kind: type) -> None:
    # A property of the class, as above, whatever kind of service manager it asks.
    unguarded = vars(kind)["is_running"].fget

    def is_running(self: Any) -> Any:  # noqa: ANN401 - whatever it gives
        refuse_at_rest(self._host, f"service({self.name!r}).is_running")
        return unguarded(self)

    kind.is_running = property(is_running)  # type: ignore[attr-defined]  # a class is changed on purpose
