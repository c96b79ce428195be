"""Settings become what brings versions to targets, looks after them there and takes them away."""

from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.wiring.doors import DoorWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagebuilder.adapters.local.disk import LocalDisks
    from imagebuilder.adapters.sql.distributions import SqlDistributionStore
    from imagebuilder.domain.ids import VersionId
    from imagebuilder.ports.engine import RunEngine
    from imagebuilder.services.distributing.desk import DistributionDesk
    from imagebuilder.services.distributing.distributing import Distributing
    from imagebuilder.services.distributing.inspecting import Inspecting
    from imagebuilder.services.distributing.withdrawing import Withdrawing
    from imagebuilder.services.leading import Chore
    from imagebuilder.services.pipelines.shipping import Shipping


_OVERDUE_SECONDS = 600.0


class DistributionWiring(DoorWiring):
    """The part of the services that distributes, wired for one set of settings."""

    @cached_property
    def distributing(self) -> "Distributing":
        """Brings versions to targets."""
        from imagebuilder.services.distributing.distributing import Distributing

        return Distributing(self._distribution_desk(self.settings.actor))

    @cached_property
    def inspecting(self) -> "Inspecting":
        """Answers what is at targets."""
        from imagebuilder.services.distributing.inspecting import Inspecting

        return Inspecting(self._distribution_desk(self.settings.actor))

    @cached_property
    def withdrawing(self) -> "Withdrawing":
        """Takes versions from targets."""
        from imagebuilder.services.distributing.withdrawing import Withdrawing

        return Withdrawing(self._distribution_desk(self.settings.actor))

    def _chores(self, engine: "RunEngine") -> "Sequence[Chore]":
        from imagebuilder.services.leading import Chore

        withdrawals = Chore(
            name="withdrawals",
            every_seconds=_OVERDUE_SECONDS,
            do=self._withdraw_overdue,
            is_slow=True,
        )
        return [*super()._chores(engine), withdrawals]

    def _withdraw_overdue(self) -> None:
        """Withdraw what nobody may use any more; what is in the way is told, and tried again."""
        from imagebuilder.domain.errors import ImageBuilderError

        try:
            withdrawing = self.withdrawing
            withdrawing.catch_up(withdrawing.overdue(), "revoked or retired")
        except ImageBuilderError as error:
            self._on_trouble("withdrawals", error)

    @cached_property
    def shipping(self) -> "Shipping":
        """Distributes what runs of pipelines made."""
        from imagebuilder.services.pipelines.shipping import Shipping

        return Shipping(self._distribution_desk, self.versions, self.runs, self.run_files)

    @cached_property
    def distributions(self) -> "SqlDistributionStore":
        """How far versions came on their way to targets."""
        from imagebuilder.adapters.sql.distributions import SqlDistributionStore

        return SqlDistributionStore(self._database)

    def _distribution_desk(self, actor: str) -> "DistributionDesk":
        """Give all that distributing works with, in the name of somebody."""
        from imagebuilder.adapters.local.scratch_folders import LocalScratch
        from imagebuilder.services.distributing.desk import (
            DistributionBooks,
            DistributionDesk,
            Warehouse,
        )
        from imagebuilder.wiring.carriers import carriers

        books = DistributionBooks(
            versions=self.versions,
            standings=self.standings,
            placements=self.placements,
            distributions=self.distributions,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            ids=self._ids,
        )
        warehouse = Warehouse(
            disks=lambda: self._disks,
            blobs=self.blobs,
            bundle=self._bundle,
            scratch=LocalScratch(self._home / "deliveries"),
        )
        return DistributionDesk(
            books=books,
            gating=self.gating,
            locks=self.locks,
            reading=self.distribution_reading,
            # Not the key of the settings itself: one that was ended signs no list either.
            carriers=carriers(
                self.commands, self.clock, self.settings.notices.aws_endpoint, self.attesting
            ),
            warehouse=warehouse,
            actor=actor,
        )

    def _bundle(self, version_id: "VersionId") -> bytes:
        """Give what was signed of a version as it lies beside a file, empty when nothing was."""
        from imagebuilder.formats.sigstore import lines_of

        return lines_of([content for _, content in self.attesting.bundles(version_id)])

    @cached_property
    def _disks(self) -> "LocalDisks":
        from imagebuilder.adapters.local.disk import LocalDisks

        return LocalDisks(self.commands, self.clock, self._home / "work", self._home / "disks")
