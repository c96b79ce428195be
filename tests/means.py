"""Components run in tests: with which means, on which machine, and steps to run."""

from collections.abc import Mapping
from typing import Any

from imagebuilder.domain.component import Component, ComponentStep
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.components import ComponentRunner, Means
from tests.build import a_component_step
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.machine import Answer, FakeMachine
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


def runner(
    component: Component,
    machine: FakeMachine,
    parameters: Mapping[str, str] | None = None,
    **more: Any,
) -> ComponentRunner:
    """Give a runner; what a test does not name is a fake."""
    more.setdefault("means", some_means())
    return ComponentRunner(
        component=component, parameters=parameters or {}, machine=machine, **more
    )


def saying(*answers: Answer) -> FakeMachine:
    """Give a machine that answers one after the other, then always the same."""
    left = list(answers)
    return FakeMachine(lambda _script: left.pop(0) if len(left) > 1 else left[0])


def echoing() -> FakeMachine:
    """Give a machine whose shell knows `echo WORDS` and `exit NUMBER`, and does nothing else."""

    def answer(script: Script) -> Answer:
        word, _, rest = script.text.strip().partition(" ")
        if word == "exit":
            return Answer(exit_status=int(rest), stderr=b"it broke")
        return Answer(stdout=f"{rest}\n".encode() if word == "echo" else b"")

    return FakeMachine(answer)


def bash(name: str, command: str = "true", **more: Any) -> ComponentStep:
    """Give a step that runs one command."""
    return a_component_step(name, inputs={"commands": [command]}, **more)


def texts(machine: FakeMachine) -> list[str]:
    """Give what was run, without line ends."""
    return [script.text.rstrip("\n") for script in machine.scripts]
