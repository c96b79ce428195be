"""Settings become what makes runs, and what hands out those that wait."""

from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.wiring.planning import PlanningWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from imagebuilder.adapters.sql.leases import SqlLeaseStore
    from imagebuilder.domain.cascade import Publication
    from imagebuilder.domain.errors import ImageBuilderError
    from imagebuilder.ports.engine import RunEngine
    from imagebuilder.services.dispatching import Dispatching
    from imagebuilder.services.timekeeping import Timekeeping
    from imagebuilder.services.triggering import Triggering


class TriggerWiring(PlanningWiring):
    """The part of the services that lets pipelines run."""

    @cached_property
    def leases(self) -> "SqlLeaseStore":
        """Which process has which right."""
        from imagebuilder.adapters.sql.leases import SqlLeaseStore

        return SqlLeaseStore(self._database, self.clock)

    @cached_property
    def triggering(self) -> "Triggering":
        """Makes runs."""
        from imagebuilder.services.triggering import TriggerDesk, Triggering

        desk = TriggerDesk(
            pipelines=self.pipelines,
            runs=self.runs,
            teller=self.notifying,
            transactions=self._database,
            clock=self.clock,
            ids=self._ids,
        )
        return Triggering(desk)

    def _published(self, publication: "Publication", at: "datetime") -> object:
        """Let what follows a publication run."""
        return self.triggering.cascade(publication, at)

    def timekeeping(self, on_trouble: "Callable[[ImageBuilderError], None]") -> "Timekeeping":
        """Give what looks at the clock."""
        from imagebuilder.adapters.apscheduler.clock import ApschedulerClock
        from imagebuilder.services.timekeeping import Timekeeping, Watchmaker

        watchmaker = Watchmaker(
            scheduler=ApschedulerClock(self.clock),
            pipelines=self.pipelines,
            clock=self.clock,
            fire=self.triggering.fire,
            on_trouble=on_trouble,
        )
        return Timekeeping(watchmaker)

    def dispatching(self, engine: "RunEngine") -> "Dispatching":
        """Give what hands waiting runs to an engine."""
        from imagebuilder.services.dispatching import DispatchDesk, Dispatching

        desk = DispatchDesk(
            runs=self.runs,
            leases=self.leases,
            teller=self.notifying,
            transactions=self._database,
            clock=self.clock,
        )
        return Dispatching(desk, engine)
