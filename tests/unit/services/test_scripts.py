"""Actions made of scripts: in order, within one time limit, up to the first that fails."""

from collections.abc import Sequence
from dataclasses import replace

from imagebuilder.domain.component import ActionName
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import CommandResult, OnLine
from imagebuilder.services.provisioning.scripts import ScriptAction, stdout_outputs
from tests.fakes.machine import Answer, FakeMachine


class SlowMachine(FakeMachine):
    """A machine on which every script takes four seconds."""

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        return replace(FakeMachine.run(self, script, on_line), seconds=4.0)


def three(_call: ActionCall) -> Sequence[Script]:
    return [Script(text=name) for name in "abc"]


def done(machine: FakeMachine, timeout_seconds: float | None = 10.0) -> ActionResult:
    call = ActionCall(
        action=ActionName.EXECUTE_BASH,
        phase="build",
        inputs=None,
        machine=machine,
        timeout_seconds=timeout_seconds,
    )
    return ScriptAction(three, stdout_outputs).run(call)


def test_scripts_when_there_are_several_then_the_time_is_for_all_of_them() -> None:
    machine = SlowMachine()
    assert done(machine).result.seconds == 12.0
    assert [script.timeout_seconds for script in machine.scripts] == [10.0, 6.0, 2.0]


def test_scripts_when_there_is_no_limit_then_none_has_one() -> None:
    machine = FakeMachine()
    done(machine, None)
    assert [script.timeout_seconds for script in machine.scripts] == [None, None, None]


def test_scripts_when_one_fails_then_the_rest_are_not_run() -> None:
    machine = FakeMachine(lambda script: Answer(exit_status=int(script.text == "b")))
    assert done(machine).result.exit_status == 1
    assert [script.text for script in machine.scripts] == ["a", "b"]


def test_scripts_when_all_print_then_the_output_is_all_of_it_without_its_last_line_end() -> None:
    machine = FakeMachine(lambda script: Answer(stdout=f"{script.text}\n".encode()))
    (outputs,) = done(machine).outputs
    assert outputs == {"stdout": "a\nb\nc"}
