"""Values of an account that was never asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.ports.values import OutsideValue, ValueNotFound


@dataclass(slots=True)
class FakeValues:
    """Gives what a test says. Shape: `parameters` and `instance` map a path to its value.

    `asked` are the paths in their order.
    """

    parameters: Mapping[str, OutsideValue] = field(default_factory=dict)
    instance: Mapping[str, OutsideValue] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def parameter(self, path: str) -> OutsideValue:
        self.asked.append(path)
        if path not in self.parameters:
            raise ValueNotFound(f"aws:ssm:{path}", "a test")
        return self.parameters[path]

    def metadata(self, path: str) -> OutsideValue:
        self.asked.append(path)
        if path not in self.instance:
            raise ValueNotFound(f"aws:imds:{path}", "a test")
        return self.instance[path]

    def account(self) -> str:
        return "111122223333"

    def region(self) -> str:
        return "eu-central-1"
