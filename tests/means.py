"""What components are run with in tests."""

from typing import Any

from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.components import Means
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.values import FakeValues


def some_means(**more: Any) -> Means:
    """Give means; what a test does not name is a fake, and all actions are our own."""
    values: dict[str, Any] = {
        "actions": own_actions(),
        "clock": FakeClock(),
        "ids": FakeIds(),
        "source": FakeValues(),
    }
    return Means(**(values | more))
