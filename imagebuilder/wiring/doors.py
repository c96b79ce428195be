"""Settings become what lets the world in: hooks that start pipelines."""

from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.settings import secret_of
from imagebuilder.wiring.engine import EngineWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.adapters.prometheus.page import PrometheusPage
    from imagebuilder.domain.hook import HookWish
    from imagebuilder.domain.run import Run
    from imagebuilder.services.admitting import Admitting


class DoorWiring(EngineWiring):
    """The part of the services that programs outside speak with."""

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
