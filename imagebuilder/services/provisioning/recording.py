"""Recording: all that a component did, as one document of details.

No secret stands in it: what was given out as one is masked, and a step that hides its output has
none. Long texts are cut; the log of the step has them in full.

Source: AWS Task Orchestrator and Executor, detailedoutput.json; inputs and outputs are values here
instead of JSON in texts, and attempts, iterations and nested documents are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from imagebuilder.domain.component import Component
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.loops import CountingLoop, ListLoop, Loop, SplitLoop
from imagebuilder.services.provisioning.outcomes import Attempt, StepOutcome, Turn, status_of
from imagebuilder.services.provisioning.secrets import Secrets

_LONGEST_TEXT = 16 * 1024
_NO_LIMIT = -1
_HIDDEN = "(hidden by disableLogging)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a component. Shape: `outcomes` maps a phase to how its steps ended."""

    execution_id: str
    component: Component
    started_at: datetime
    ended_at: datetime
    failure: str
    outcomes: Mapping[str, Sequence[StepOutcome]]


def detailed_output(execution: Execution, secrets: Secrets) -> dict[str, Canonical]:
    """Give the document."""
    everything = [o for ended in execution.outcomes.values() for o in ended]
    status = "Failed" if execution.failure else status_of(everything).value
    origin = execution.component.origin
    phases: list[Canonical] = [
        {
            "name": phase,
            "status": status_of(ended).value,
            "steps": [_step(outcome, secrets) for outcome in ended],
        }
        for phase, ended in execution.outcomes.items()
    ]
    return {
        "executionId": execution.execution_id,
        "status": status,
        "startTime": _moment(execution.started_at),
        "endTime": _moment(execution.ended_at),
        "failureMessage": secrets.masked(execution.failure),
        "documents": [
            {
                "name": execution.component.name,
                "version": str(execution.component.version),
                "filePath": origin.document if origin else "",
                "status": status,
                "phases": phases,
            }
        ],
    }


def _step(outcome: StepOutcome, secrets: Secrets) -> Canonical:
    step = outcome.step
    return {
        "name": step.name,
        "status": outcome.status.value,
        "failureMessage": secrets.masked(outcome.failure),
        "timeoutSeconds": _NO_LIMIT if step.timeout_seconds is None else step.timeout_seconds,
        "onFailure": step.on_failure.value,
        "maxAttempts": step.max_attempts,
        "action": step.action.value,
        "startTime": _moment(outcome.started_at),
        "endTime": _moment(outcome.ended_at),
        "inputs": _shown(outcome.inputs, secrets),
        "outputs": _outputs(outcome.outputs, secrets, is_hidden=step.hides_output),
        "loop": None if step.loop is None else _loop(step.loop),
        "attempts": [_attempt(a, secrets, is_hidden=step.hides_output) for a in outcome.tries],
    }


def _attempt(attempt: Attempt, secrets: Secrets, *, is_hidden: bool) -> Canonical:
    return {
        "status": "Failed" if attempt.has_failed else "Success",
        "failureMessage": secrets.masked(attempt.problem),
        "seconds": round(attempt.seconds, 3),
        "turns": [_turn(turn, secrets, is_hidden=is_hidden) for turn in attempt.turns],
    }


def _turn(turn: Turn, secrets: Secrets, *, is_hidden: bool) -> Canonical:
    given: dict[str, Canonical] = {}
    if turn.iteration is not None:
        given = {"index": turn.iteration.index, "value": secrets.masked(turn.iteration.value)}
    return {
        **given,
        "exitCode": turn.result.exit_status,
        "timedOut": turn.result.has_timed_out,
        "seconds": round(turn.result.seconds, 3),
        "inputs": _shown(turn.inputs, secrets),
        "outputs": _outputs(turn.outputs, secrets, is_hidden=is_hidden),
        "stderr": _cut(secrets.masked(turn.result.stderr.decode(errors="replace"))),
        "detailedOutput": turn.detail,
    }


def _outputs(
    outputs: Sequence[Mapping[str, str]], secrets: Secrets, *, is_hidden: bool
) -> Canonical:
    if is_hidden:
        return [dict.fromkeys(output, _HIDDEN) for output in outputs]
    return [{key: _cut(secrets.masked(text)) for key, text in o.items()} for o in outputs]


def _shown(value: Canonical, secrets: Secrets) -> Canonical:
    return _all_cut(secrets.masked_value(value))


def _all_cut(value: Canonical) -> Canonical:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Mapping):
        return {key: _all_cut(part) for key, part in value.items()}
    if isinstance(value, int | float | None):
        return value
    return [_all_cut(part) for part in value]


def _loop(loop: Loop) -> Canonical:
    match loop:
        case CountingLoop() | SplitLoop():
            parts: dict[str, Canonical] = asdict(loop)
            return parts
        case ListLoop(items=items, name=name):
            return {"items": list(items), "name": name}


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}... ({len(text) - _LONGEST_TEXT:,} more characters)"


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
