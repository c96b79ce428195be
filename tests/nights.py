"""Nights: pipelines whose slots a test lets come, and a real `serve` that does their runs."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import yaml

from imagebuilder.bootstrap import Application
from imagebuilder.domain.ids import PipelineName, RunId
from imagebuilder.domain.run import Run, RunQuery, RunStage, StageRun
from imagebuilder.ports.scheduling import DueSlot
from imagebuilder.settings import read_settings
from tests.roots import Workbench, wait_until

_SETTLED_SECONDS = 600.0
_LEAVES_SECONDS = 60.0


class Nights:
    """A workbench whose pipelines are run by `imagebuilder serve`, one night after the other.

    The nights are ahead of the clock, so that no schedule gets there by itself.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        bench.environment |= {"IMAGEBUILDER_ACTOR": "ada"}

    @cached_property
    def application(self) -> Application:
        """The services over the same home, in this process."""
        return Application(read_settings(self.bench._environment()))

    @cached_property
    def first_night(self) -> datetime:
        """The slot of the first night, of all pipelines: half a day ahead."""
        ahead = self.application.clock.now() + timedelta(hours=12)
        return ahead.replace(minute=0, second=0, microsecond=0)

    def pipeline(self, name: str, recipe: str = "", **more: object) -> None:
        """Let a pipeline be in force that is due each night."""
        document = {
            "kind": "Pipeline",
            "name": name,
            "recipe": recipe or name,
            "schedule": {"cron": f"0 {self.first_night.hour} * * *"},
            **more,
        }
        path = self.bench.folder / f"recipes/pipelines/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        self.said("pipeline", "apply", path)

    def said(self, *words: object) -> str:
        """Give what a command prints, which has to go well."""
        done = self.bench.run(*words)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def json(self, *words: object) -> Any:
        """Give what a command prints with --json, which has to go well."""
        return json.loads(self.said(*words, "--json"))

    def slot(self, night: int) -> datetime:
        """Give the slot of a night, counted from 1."""
        return self.first_night + timedelta(days=night - 1)

    def fall(self, night: int, *pipelines: str) -> list[Run]:
        """Let a night come, for some pipelines, and give the runs that it makes."""
        slot = self.slot(night)
        due = [DueSlot(pipeline=PipelineName(each), slot_at=slot) for each in pipelines]
        return list(self.application.triggering.fire(due))

    def miss(self, pipeline: str, days: int) -> None:
        """Let a pipeline be as if nobody had been there for so many nights."""
        store = self.application.pipelines
        applied = store.get(pipeline)
        long_ago = self.slot(1) - timedelta(days=days, hours=1)
        store.remove(applied.pipeline.name)
        store.put(replace(applied, first_applied_at=long_ago, cursor_at=long_ago))

    def runs(self, pipeline: str | None = None) -> list[Run]:
        """Give the runs of a pipeline or of all, the newest first."""
        name = PipelineName(pipeline) if pipeline else None
        return list(self.application.runs.find(RunQuery(pipeline=name, limit=1000)))

    def settle(self) -> None:
        """Wait until no run waits or is at work."""
        wait_until(self._is_settled, "an end of all runs", _SETTLED_SECONDS)

    def _is_settled(self) -> bool:
        return all(run.state.is_final or run.state == "awaiting-approval" for run in self.runs())

    def stages(self, run_id: RunId) -> dict[RunStage, StageRun]:
        """Give the stages that a run came to."""
        return {stage.stage: stage for stage in self.application.runs.stages(run_id)}

    @contextmanager
    def served(self, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Let `imagebuilder serve` be there; it has to leave in peace afterwards."""
        log = self.bench.folder / "serve.log"
        with log.open("ab") as opened:
            process = subprocess.Popen(
                self.bench._argv(["serve", *options]),
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=opened,
                env=self.bench._environment(),
                cwd=self.bench.folder,
            )
        try:
            wait_until(lambda: self.application.is_served or process.poll() is not None, "serve")
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(_LEAVES_SECONDS) == 0, log.read_text()
            assert "Traceback" not in log.read_text()
        finally:
            process.kill()
            process.wait()
