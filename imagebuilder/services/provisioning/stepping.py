"""Stepping: one step of a component, with its condition, its attempts, its loop and its restarts.

Source: AWS Task Orchestrator and Executor: the condition is asked once; an attempt is the whole
step anew with its whole time, which is for all iterations of its loop together; a failed iteration
leaves the loop; exit status 194 of what is executed restarts the machine and then the same work.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from imagebuilder.domain.component import ActionName, ComponentStep, Network, OnFailure
from imagebuilder.domain.conditions import Branch
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import ImageBuilderError, InvalidInput, Refused, Unavailable
from imagebuilder.domain.loops import Iteration, values_of
from imagebuilder.domain.plan import Upgrades
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.machine import Machine
from imagebuilder.ports.process import CommandResult, OnLine
from imagebuilder.services.provisioning.actions import Actions, ActionUnavailable
from imagebuilder.services.provisioning.facts import MachineFacts
from imagebuilder.services.provisioning.outcomes import Attempt, StepOutcome, StepStatus, Turn
from imagebuilder.services.provisioning.outside import OutsideValueChanged
from imagebuilder.services.provisioning.scripts import has_failed
from imagebuilder.services.provisioning.secrets import MaskedLines, Secrets
from imagebuilder.services.provisioning.values import Place, Surroundings, Values

_RESTART_STATUS = 194
_RESTARTS_LIMIT = 10
_RESTARTING = frozenset({ActionName.EXECUTE_BASH, ActionName.EXECUTE_BINARY})
_UNLIMITED = frozenset({ActionName.REBOOT, ActionName.EXECUTE_DOCUMENT})
_SHORTEST_LIMIT_SECONDS = 0.1
_TOLD_LINES = 1000
_UNFILLED = (InvalidInput, Refused, Unavailable)
"""What is raised where a value, a condition or a loop cannot be had; the step has failed by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the steps of one phase have in common."""

    phase: str
    machine: Machine
    actions: Actions
    values: Values
    clock: Clock
    secrets: Secrets
    folder: PurePath | None = None
    upgrades: Upgrades | None = None
    network: Network = Network.NONE
    on_line: OnLine | None = None


class Stepping:
    """Runs one step."""

    def __init__(self, scene: Scene, step: ComponentStep) -> None:
        """Run step in scene."""
        self._scene = scene
        self._step = step
        self._around = Surroundings(scene.machine)
        self._loop_name = step.loop.name if step.loop else ""
        self._branch: Branch | None = None
        self._reason = ""
        self._told: deque[str] = deque(maxlen=_TOLD_LINES)

    def outcome(self) -> StepOutcome:
        """Run it until it succeeds or its attempts are used up.

        Raises: ActionUnavailable; MachineLost; OutsideValueChanged; Unavailable: what its action
        needs, in its last attempt.
        """
        started_at = self._scene.clock.now()
        tries = self._tries()
        return self._ended(started_at, self._branch or Branch.EXECUTE, tries)

    def failed(self, attempt: Attempt) -> StepOutcome:
        """Give the outcome of an attempt that was made elsewhere."""
        return self._ended(self._scene.clock.now(), Branch.EXECUTE, [attempt])

    def is_due(self) -> bool:
        """Whether its condition lets it run now."""
        return self._decided() is Branch.EXECUTE

    def iterations(self) -> Sequence[Iteration | None]:
        """Give the turns of the step's loop; one that is none when it has no loop."""
        loop = self._step.loop
        return (None,) if loop is None else values_of(loop, self._text)

    def turn_inputs(self, iteration: Iteration | None) -> Canonical:
        """Give the step's inputs in a turn, with their references filled."""
        return self._scene.values.resolved(self._step.inputs, self._place(iteration), self._around)

    def _ended(self, started_at: datetime, branch: Branch, tries: Sequence[Attempt]) -> StepOutcome:
        failure = _failure(self._step, branch, tries)
        return StepOutcome(
            step=self._step,
            status=_status(self._step, branch, failure),
            started_at=started_at,
            ended_at=self._scene.clock.now(),
            tries=tuple(tries),
            failure=failure,
            reason=self._reason,
        )

    def _decided(self) -> Branch:
        """Ask its condition, once; one that could not be asked is asked again."""
        if self._branch is None:
            guard = self._step.guard
            if guard is None:
                self._branch = Branch.EXECUTE
            else:
                facts = MachineFacts(self._scene.machine)
                self._branch, self._reason = guard.branch(facts, self._text)
            if self._branch is not Branch.EXECUTE:
                how = "skipped" if self._branch is Branch.SKIP else "aborted"
                self._say(f"{how}: {self._reason}")
        return self._branch

    def _tries(self) -> list[Attempt]:
        step = self._step
        tries: list[Attempt] = []
        for number in range(1, step.max_attempts + 1):
            attempt = self._attempt(is_last=number == step.max_attempts)
            if attempt is None:
                return []
            tries.append(attempt)
            if not attempt.has_failed:
                break
            if number < step.max_attempts:
                why = f": {attempt.problem}" if attempt.problem else ""
                self._say(f"attempt {number} of {step.max_attempts} failed{why}, trying again")
        return tries

    def _attempt(self, *, is_last: bool) -> Attempt | None:
        """Try it once; None when its condition does not let it run."""
        try:
            if self._decided() is not Branch.EXECUTE:
                return None
            iterations = self.iterations()
        except _UNFILLED as fault:
            return Attempt(turns=(self._unfilled(fault),))
        try:
            return Attempt(turns=tuple(self._turns(iterations)))
        except Unavailable as gone:
            if is_last or isinstance(gone, OutsideValueChanged):
                raise
            return Attempt(problem=gone.message)

    def _turns(self, iterations: Sequence[Iteration | None]) -> list[Turn]:
        """Go through the loop up to the first turn that fails; the time is for all of it."""
        limit = None if self._step.action in _UNLIMITED else self._step.timeout_seconds
        left = None if limit is None else float(limit)
        turns: list[Turn] = []
        for iteration in iterations:
            if iteration is not None:
                self._say(f"iteration {iteration.index}: {iteration.value}")
            turn = self._turn(iteration, left)
            turns.append(turn)
            if turn.has_failed:
                break
            left = _left(left, turn.result)
        return turns

    def _unfilled(self, fault: ImageBuilderError, iteration: Iteration | None = None) -> Turn:
        """Give the failed turn of a step that lacks a value. Raises: OutsideValueChanged."""
        if isinstance(fault, OutsideValueChanged):
            raise fault
        done = self._shown(_refused(self._step, fault))
        return Turn(inputs=None, result=done, outputs=(), iteration=iteration)

    def _shown(self, result: CommandResult) -> CommandResult:
        """Give what may be seen of a result, and tell the end of a failed one if nobody has yet."""
        if self._step.hides_output:
            return replace(result, stdout=b"", stderr=b"")
        result = self._scene.secrets.masked_result(result)
        last = replace(result, stdout=b"").last_lines.splitlines() if has_failed(result) else []
        for line in last:
            if line not in self._told:
                self._say(line)
        return result

    def _turn(self, iteration: Iteration | None, limit_seconds: float | None) -> Turn:
        scene, step = self._scene, self._step
        try:
            inputs = self.turn_inputs(iteration)
        except _UNFILLED as fault:
            return self._unfilled(fault, iteration)
        planned = (scene.upgrades or {}).get(step.name)
        call = ActionCall(
            action=step.action,
            step=step.name,
            phase=scene.phase,
            inputs=inputs,
            machine=scene.machine,
            timeout_seconds=limit_seconds,
            folder=scene.folder,
            upgrades=planned.upgrades if planned else None,
            network=scene.network,
        )
        done = self._done(call)
        return Turn(
            inputs=inputs,
            result=self._shown(done.result),
            outputs=done.outputs,
            detail=done.detail,
            iteration=iteration,
        )

    def _done(self, call: ActionCall) -> ActionResult:
        """Do the work, and again after each restart that it asks for."""
        action = self._scene.actions.get(call.action)
        if action is None:
            raise ActionUnavailable(self._step)
        lines = None
        if self._scene.on_line is not None and not self._step.hides_output:
            lines = MaskedLines(self._scene.secrets, self._tell)
        for number in range(_RESTARTS_LIMIT + 1):
            self._told.clear()
            try:
                done = action.run(replace(call, on_line=lines))
            except InvalidInput as fault:
                done = ActionResult(result=_refused(self._step, fault))
            if lines is not None:
                lines.end()
            if not _asks_for_restart(call, done.result):
                break
            if number == _RESTARTS_LIMIT:
                return replace(done, result=_restarted_too_often(done.result))
            self._say("exit status 194: the machine restarts, then the step runs again")
            call.machine.restart()
            call = replace(call, timeout_seconds=_left(call.timeout_seconds, done.result))
        return done

    def _place(self, iteration: Iteration | None = None) -> Place:
        return Place(
            phase=self._scene.phase,
            step=self._step.name,
            loop=self._loop_name,
            iteration=iteration,
        )

    def _text(self, text: str) -> str:
        return self._scene.values.resolved_text(text, self._place(), self._around)

    def _tell(self, line: str) -> None:
        """Pass a line of its action on, and remember it."""
        self._told.extend(line.splitlines())
        if self._scene.on_line is not None:
            self._scene.on_line(line)

    def _say(self, text: str) -> None:
        if self._scene.on_line is not None:
            self._scene.on_line(self._scene.secrets.masked(text))


def _refused(step: ComponentStep, fault: ImageBuilderError) -> CommandResult:
    said = "\n".join(part for part in (fault.message, fault.context, fault.hint) if part)
    return CommandResult(
        argv=(step.action,), exit_status=1, stdout=b"", stderr=said.encode(), seconds=0.0
    )


def _restarted_too_often(result: CommandResult) -> CommandResult:
    said = (
        f"It asked for a restart more than {_RESTARTS_LIMIT} times: it must stop exiting with "
        f"{_RESTART_STATUS} when its work is done.\n"
    )
    before = result.stderr.rstrip(b"\n") + b"\n" if result.stderr.strip() else b""
    return replace(result, stderr=before + said.encode())


def _asks_for_restart(call: ActionCall, result: CommandResult) -> bool:
    asks = result.exit_status == _RESTART_STATUS and not result.has_timed_out
    return asks and call.action in _RESTARTING


def _left(limit_seconds: float | None, result: CommandResult) -> float | None:
    if limit_seconds is None:
        return None
    return max(_SHORTEST_LIMIT_SECONDS, limit_seconds - result.seconds)


def _status(step: ComponentStep, branch: Branch, failure: str) -> StepStatus:
    if branch is Branch.SKIP:
        return StepStatus.SKIPPED
    if not failure:
        return StepStatus.SUCCESS
    ignores = step.on_failure is OnFailure.IGNORE
    return StepStatus.IGNORED_FAILURE if ignores else StepStatus.FAILED


def _failure(step: ComponentStep, branch: Branch, tries: Sequence[Attempt]) -> str:
    """Say how a step failed, as a clause that goes on after its name; empty when it did not."""
    if branch is Branch.ABORT:
        return "was aborted by its condition"
    if not tries or not tries[-1].has_failed:
        return ""
    last = tries[-1]
    if last.result.has_timed_out:
        how = f"took longer than its limit of {step.timeout_seconds} s"
    else:
        how = f"ended with exit status {last.result.exit_status}"
    failed = [str(t.iteration.index) for t in last.turns if t.has_failed and t.iteration]
    where = f" in iteration {', '.join(failed)} of its loop" if failed else ""
    attempts = f" in the last of {step.max_attempts} attempts" if step.max_attempts > 1 else ""
    return f"{how} after {last.result.seconds:.1f} s{where}{attempts}"
