"""SystemStageProcesses: stages are done by `imagebuilder run-step`, in a process of its own.

So a build can be ended at any moment, takes no memory from who runs it, and dies with it.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.process import Command, CommandRunner, RunningProcess
from imagebuilder.ports.stage_processes import FaultKind, StageFault, StageReport

_RUN_STEP = (sys.executable, "-m", "imagebuilder", "run-step")
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 0.5
_LAST_WORDS_BYTES = 64 * 1024


class SystemStageProcesses:
    """Starts them by a CommandRunner, in the environment of this process."""

    def __init__(
        self,
        commands: CommandRunner,
        clock: Clock,
        environment: Mapping[str, str],
        folders: Callable[[str], AbstractContextManager[Path]],
    ) -> None:
        """Start them with commands, and measure their time with clock.

        `folders` gives working folders, which are taken away also after we were killed.
        """
        self._commands = commands
        self._clock = clock
        self._environment = environment
        self._folders = folders

    def run(
        self,
        run_id: RunId,
        stage: RunStage,
        limit_seconds: float | None,
        is_wanted: Callable[[], bool],
    ) -> StageReport | None:
        """Do a stage and give what its process left; None when it is not wanted any more."""
        with self._folders("stage-") as folder:
            left = folder / "report.json"
            command = Command(
                argv=[*_RUN_STEP, run_id, stage.value, "--report", str(left)],
                timeout_seconds=None,
                environment=self._environment,
                output_limit_bytes=_LAST_WORDS_BYTES,
            )
            with self._commands.start(command) as process:
                ending = self._attended(process, limit_seconds, is_wanted)
                if ending is None:
                    return None
            return _report(left) or _without_report(ending, process, limit_seconds)

    def _attended(
        self, process: RunningProcess, limit_seconds: float | None, is_wanted: Callable[[], bool]
    ) -> str | None:
        """Stay until it ends, and say how; None when it is not wanted any more."""
        began = asked = self._clock.monotonic()
        while (status := process.poll()) is None:
            now = self._clock.monotonic()
            if limit_seconds is not None and now - began > limit_seconds:
                return "timed-out"
            if now - asked >= _ASK_SECONDS:
                asked = now
                if not is_wanted():
                    return None
            time.sleep(_LOOK_SECONDS)
        return str(status)


def _report(left: Path) -> StageReport | None:
    """Give what a process left; None when it left nothing whole."""
    try:
        read: dict[str, Any] = json.loads(left.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    fault = read.get("fault")
    if fault is None:
        return StageReport(result=read["result"])
    return StageReport(fault=StageFault(**{**fault, "kind": FaultKind(fault["kind"])}))


def _without_report(
    ending: str, process: RunningProcess, limit_seconds: float | None
) -> StageReport:
    last = process.output().decode(errors="replace").strip().splitlines()[-5:]
    if ending == "timed-out":
        fault = StageFault(
            kind=FaultKind.FINAL,
            code="stage-timed-out",
            message=f"It took longer than the {limit_seconds:.0f} s that its pipeline allows.",
            context="\n".join(last),
            hint="Raise timeout in the pipeline, or see in the run's logs what takes so long.",
        )
    else:
        fault = StageFault(
            kind=FaultKind.LATER,
            code="stage-process-died",
            message=f"The process that did it ended with status {ending} and left no word.",
            context="\n".join(last),
            hint="A negative status is the signal that ended it; 9 is often a lack of memory.",
        )
    return StageReport(fault=fault)
