"""A run whose every stage is done by a process of its own, as workers do them."""

import multiprocessing
import os
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from imagebuilder.bootstrap import Application
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.run import Run, RunState
from imagebuilder.services.pipelines.planning import BuildRequest
from imagebuilder.settings import read_settings
from tests.build import a_run
from tests.fakes.progress import FakeProgress

_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class StagedRun:
    """A run of a recipe in a house, and what its stages gave so far.

    Shape: `answers` maps a stage to its answer; `environment` are more settings than the home.
    """

    folder: Path
    home: Path
    recipe: Path
    run_id: str = "run-staged"
    answers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def application(self) -> Application:
        """Give the services of that house."""
        home = {"IMAGEBUILDER_HOME": str(self.home)}
        return Application(read_settings(home | self.environment))

    @property
    def run(self) -> Run:
        """Give what is recorded of the run."""
        return self.application().runs.get(self.run_id)

    def start(self) -> "StagedRun":
        """Keep the run as one that is under way."""
        application = self.application()
        image = ImageName(self.recipe.stem)
        application.runs.save(a_run(self.run_id, image=image, started_at=application.clock.now()))
        return self

    def end(self) -> None:
        """Keep that the run has ended."""
        application = self.application()
        ended = a_run(
            self.run_id,
            image=ImageName(self.recipe.stem),
            state=RunState.SUCCEEDED,
            ended_at=application.clock.now(),
        )
        application.runs.save(ended)

    def do(self, stage: str) -> str:
        """Let a process do a stage to its end and give its answer, or the code of its error."""
        reading, process = self.begin(stage)
        answer: str = reading.recv()
        process.join()
        self.answers[stage] = answer
        return answer

    def begin(self, stage: str) -> tuple[Connection, SpawnProcess]:
        """Let a process begin a stage."""
        reading, writing = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_work, args=(self, stage, writing))
        process.start()
        writing.close()
        return reading, process


def _work(staged: StagedRun, stage: str, writing: Connection) -> None:
    os.chdir(staged.folder)
    try:
        answer = _done(staged, stage)
    except ImageBuilderError as error:
        answer = f"{error.code}: {error.message} {error.context}"
    writing.send(answer)


def _done(staged: StagedRun, stage: str) -> str:
    stages, run = staged.application().stages, staged.run
    request, shown = BuildRequest(recipe_path=str(staged.recipe)), FakeProgress()
    match stage:
        case "build":
            return str(stages.build(run, request, shown))
        case "validate":
            built = Digest.parse(staged.answers["build"])
            return str(stages.validate(run, request, built, shown))
        case _:
            built, reports = (Digest.parse(staged.answers[name]) for name in ("build", "validate"))
            return stages.record(run, request, built, reports, shown).reference
