"""A RunEngine that does nothing but remember."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imagebuilder.domain.errors import Unavailable
from imagebuilder.ports.engine import EngineOrder


@dataclass(slots=True)
class FakeRunEngine:
    """Keeps what it is handed, call by call; raises `trouble` instead when there is some."""

    calls: list[list[EngineOrder]] = field(default_factory=list)
    trouble: Unavailable | None = None

    @property
    def orders(self) -> list[EngineOrder]:
        """All that was handed over, in order."""
        return [order for call in self.calls for order in call]

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done."""
        if self.trouble is not None:
            raise self.trouble
        self.calls.append(list(orders))
