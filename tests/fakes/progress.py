"""A Progress that notes what it is told."""

from dataclasses import dataclass, field

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.distribution import DeliveryStep
from imagebuilder.domain.run import StepState


@dataclass(slots=True)
class FakeProgress:
    """Notes what it is told. Shape: `steps` are (name, state or "running", detail)."""

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    details: dict[str, Canonical] = field(default_factory=dict)

    def step_started(self, name: str) -> None:
        self.steps.append((name, "running", ""))

    def line(self, text: str) -> None:
        self.lines.append(text)

    def detailed(self, name: str, document: Canonical) -> None:
        self.details[name] = document

    def step_ended(self, state: StepState, detail: str = "") -> None:
        name, _, _ = self.steps.pop()
        self.steps.append((name, str(state), detail))

    @property
    def states(self) -> dict[str, str]:
        """Give how each step ended last. Shape: name -> state."""
        return {name: state for name, state, _ in self.steps}


@dataclass(slots=True)
class FakeDeliveryProgress:
    """Notes what it is told. Shape: `states` are (target, state)."""

    states: list[tuple[str, str]] = field(default_factory=list)
    bytes_moved: dict[str, int] = field(default_factory=dict)
    troubles: list[tuple[str, str]] = field(default_factory=list)

    def changed(self, step: DeliveryStep) -> None:
        self.states.append((step.target, step.state.value))

    def moved(self, target: str, size_bytes: int) -> None:
        self.bytes_moved[target] = self.bytes_moved.get(target, 0) + size_bytes

    def troubled(self, target: str, why: str) -> None:
        self.troubles.append((target, why))
