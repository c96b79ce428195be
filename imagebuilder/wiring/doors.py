"""Settings become what lets the world in: hooks, watched folders, and what is told of the work."""

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.settings import secret_of
from imagebuilder.wiring.engine import EngineWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from imagebuilder.adapters.prometheus.page import PrometheusPage
    from imagebuilder.domain.errors import ImageBuilderError
    from imagebuilder.domain.hook import HookWish
    from imagebuilder.domain.ids import PipelineName
    from imagebuilder.domain.run import Run
    from imagebuilder.ports.engine import RunEngine
    from imagebuilder.services.admitting import Admitting
    from imagebuilder.services.leading import Chore
    from imagebuilder.services.mirroring import Mirroring


_LOOK_SECONDS = 2.0
_LONGEST_FAULT = 2000


class DoorWiring(EngineWiring):
    """The part of the services that programs outside speak with."""

    _watched: "tuple[Path, ...]" = ()

    @cached_property
    def admitting(self) -> "Admitting":
        """Lets calls of hooks in."""
        from imagebuilder.adapters.sql.hook_calls import SqlHookCalls
        from imagebuilder.services.admitting import Admitting, Gatehouse

        gatehouse = Gatehouse(
            key=self.settings.notices.hook_key,
            secret_of=secret_of,
            start=self._start_for_hook,
            calls=SqlHookCalls(self._database),
            transactions=self._database,
            clock=self.clock,
        )
        return Admitting(gatehouse)

    def watch(self, folders: "Sequence[PurePath]") -> None:
        """Let what pipeline documents in some folders say be in force, while this process leads."""
        self._watched = tuple(Path(folder).absolute() for folder in folders)

    def _chores(self, engine: "RunEngine") -> "Sequence[Chore]":
        from imagebuilder.services.leading import Chore

        chores = list(super()._chores(engine))
        for folder in self._watched:
            mirroring = self.mirroring(folder)
            chores.append(
                Chore(
                    name=f"watch {folder}",
                    every_seconds=_LOOK_SECONDS,
                    do=mirroring.look,
                    begin=mirroring.forget,
                    is_slow=True,
                )
            )
        return chores

    def mirroring(self, folder: Path) -> "Mirroring":
        """Give what lets the documents in a folder be in force."""
        from imagebuilder.adapters.system.folder_sight import SystemFolderSight
        from imagebuilder.services.mirroring import Mirror, Mirroring

        actor = f"watch {folder}"
        mirror = Mirror(
            folder=folder,
            actor=actor,
            sight=SystemFolderSight(),
            documents=self._documents,
            books=self._applying_of(actor),
            uses=self.authoring.used_paths,
            start=partial(self._start_for_document, actor),
            on_fault=self._on_fault,
        )
        return Mirroring(mirror)

    def _on_fault(self, error: "ImageBuilderError", pipeline: "PipelineName | None") -> None:
        from logging import getLogger

        from imagebuilder.domain.notice import Event

        said = " ".join(part for part in (error.message, error.context) if part)
        more = {"code": error.code, "pipeline": pipeline or ""}
        getLogger("imagebuilder.watch").warning("%s", said, extra=more)
        if pipeline is not None:
            self.notifying.tell_of_pipeline(pipeline, Event.FAULTY, said[:_LONGEST_FAULT])

    def _start_for_document(self, actor: str, pipeline: "PipelineName", why: str) -> None:
        from imagebuilder.domain.pipeline import Trigger
        from imagebuilder.services.triggering import StartOrder

        order = StartOrder(pipeline=pipeline, trigger=Trigger.DOCUMENT, by=actor, why=why)
        self.triggering.start(order)

    def write_logs(self) -> None:
        """Let what is done from now on be logged on stderr."""
        import sys

        from imagebuilder.adapters.logs.lines import LogForm, set_up

        given = self.settings.logs
        suits = LogForm.CONSOLE if sys.stderr.isatty() else LogForm.JSON
        set_up(LogForm(given.form) if given.form else suits, given.level, sys.stderr)

    @cached_property
    def metrics(self) -> "PrometheusPage":
        """Tells how the work goes, in numbers."""
        from imagebuilder.adapters.prometheus.page import PrometheusPage
        from imagebuilder.adapters.sql.measures import SqlMeasures
        from imagebuilder.services.measuring import Instruments, Measuring

        instruments = Instruments(
            runs=self.runs,
            pipelines=self.pipelines,
            leases=self.leases,
            notices=self.notices,
            standings=self.standings,
            measures=SqlMeasures(self._database),
            clock=self.clock,
        )
        return PrometheusPage(Measuring(instruments).measure)

    def _start_for_hook(self, pipeline: str, wish: "HookWish") -> "Sequence[Run]":
        from imagebuilder.domain.pipeline import Trigger
        from imagebuilder.services.triggering import StartOrder

        order = StartOrder(
            pipeline=pipeline,
            trigger=Trigger.HOOK,
            by="a hook",
            why=wish.reason,
            variants=wish.variants,
            overrides=wish.parameters,
        )
        return self.triggering.start(order)
