"""Locks in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagebuilder.ports.locks import InProgress


@dataclass(slots=True)
class FakeLocks:
    """Locks of one process and of others. Shape: `held` maps a lock to who has it."""

    held: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    shared: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def hold(self, name: str, who: str) -> Iterator[None]:
        if name in self.held or self.shared.get(name):
            raise InProgress(name, self.held.get(name) or ", ".join(self.shared[name]))
        self.taken.append(name)
        self.held[name] = who
        try:
            yield
        finally:
            del self.held[name]

    @contextmanager
    def share(self, name: str, who: str) -> Iterator[None]:
        self.shared.setdefault(name, []).append(who)
        try:
            yield
        finally:
            self.shared[name].remove(who)

    def is_held(self, name: str) -> bool:
        return name in self.held
