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

    @contextmanager
    def hold(self, name: str, who: str) -> Iterator[None]:
        if name in self.held:
            raise InProgress(name, self.held[name])
        self.taken.append(name)
        self.held[name] = who
        try:
            yield
        finally:
            del self.held[name]

    def is_held(self, name: str) -> bool:
        return name in self.held
