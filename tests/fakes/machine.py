"""A machine made of answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from imagebuilder.ports.machine import Machine, MachineLost, Script
from imagebuilder.ports.process import CommandResult, OnLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a script says on a fake machine."""

    exit_status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    has_timed_out: bool = False


def nothing_to_say(_script: Script) -> Answer:
    return Answer()


@dataclass(slots=True)
class FakeMachine:
    """Answers each script by a function and remembers it; `is_lost` makes it go away."""

    answer: Callable[[Script], Answer] = nothing_to_say
    scripts: list[Script] = field(default_factory=list)
    is_lost: bool = False

    def run(self, script: Script, on_line: OnLine | None = None) -> CommandResult:
        self.scripts.append(script)
        if self.is_lost:
            raise MachineLost("fake machine", "it was told to go away")
        answer = self.answer(script)
        if on_line is not None:
            for line in answer.stdout.decode(errors="replace").splitlines():
                on_line(line)
        return CommandResult(
            argv=(script.interpreter,),
            exit_status=answer.exit_status,
            stdout=answer.stdout,
            stderr=answer.stderr,
            seconds=0.0,
            has_timed_out=answer.has_timed_out,
        )


def a_machine_that_says(stdout: str) -> Machine:
    return FakeMachine(lambda _script: Answer(stdout=stdout.encode()))
