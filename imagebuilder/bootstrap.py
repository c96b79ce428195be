"""Settings become wired services; the only place that knows both sides.

Each part is imported and made when it is first asked for: `imagebuilder --version` needs none of
them, and a build that finds nothing changed needs only the catalogue and the documents.
"""

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

from imagebuilder.wiring.machines import MachineWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imagebuilder.adapters.local.roots import LocalWorkshop
    from imagebuilder.domain.component import ActionName
    from imagebuilder.domain.recipe import AmiParent
    from imagebuilder.ports.actions import Action
    from imagebuilder.ports.progress import Progress
    from imagebuilder.services.building.stacking import Stacking
    from imagebuilder.services.caring import Caring
    from imagebuilder.services.freeing import Freeing
    from imagebuilder.services.pipelines.deciding import Deciding, Decisions
    from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job
    from imagebuilder.services.pipelines.importing import Importing
    from imagebuilder.services.pipelines.journey import BuildImage
    from imagebuilder.services.pipelines.making import Workers
    from imagebuilder.services.pipelines.packing import LiveShop
    from imagebuilder.services.pipelines.performing import Performing
    from imagebuilder.services.pipelines.rebuilding import Rebuilding
    from imagebuilder.services.pipelines.running import Running
    from imagebuilder.services.pipelines.serving import ServeOrder, Serving
    from imagebuilder.services.pipelines.stages import Stages
    from imagebuilder.services.pipelines.trying import Trying
    from imagebuilder.services.pipelines.visiting import Visiting
    from imagebuilder.services.pipelines.watching import RecordedProgress
    from imagebuilder.services.provisioning.components import Means
    from imagebuilder.services.retiring import Retiring


class Application(MachineWiring):
    """The services, wired for one set of settings."""

    @cached_property
    def retiring(self) -> "Retiring":
        """Plans what retention documents say, and does what was planned."""
        from imagebuilder.services.retiring import Records, Retiring, Signature

        records = Records(
            retention=self.retention,
            standings=self.standings,
            channels=self.channels,
            placements=self.placements,
            labels=self.labels,
            audit=self.audit,
            transactions=self._database,
        )
        signature = Signature(actor=self.settings.actor, clock=self.clock, ids=self._ids)
        return Retiring(records, self.freeing, self._documents, signature)

    @cached_property
    def freeing(self) -> "Freeing":
        """Takes away what no version needs."""
        from imagebuilder.adapters.local.at_hand import RawsAtHand
        from imagebuilder.adapters.local.layer_shelf import FileLayerShelf
        from imagebuilder.adapters.local.leftovers import Leftovers
        from imagebuilder.services.freeing import Freeing, Ledger, Shelves

        shelves = Shelves(
            layers=FileLayerShelf(self._home / "layers"),
            blobs=self._blob_files,
            disks=RawsAtHand(self._home / "disks"),
            claims=self.claims,
            leftovers=Leftovers(self._home),
            shared=self._shared_shelf,
        )
        ledger = Ledger(versions=self.versions, retention=self.retention, runs=self.runs)
        return Freeing(shelves, ledger, self.locks, self.clock)

    @cached_property
    def performing(self) -> "Performing":
        """Does single stages of runs."""
        from imagebuilder.services.pipelines.performing import Performing

        parents = self.building.build_parents
        return Performing(self.runs, lambda: self.stages, parents, lambda: self.shipping)

    def serving(self, order: "ServeOrder") -> "Serving":
        """Give what lets this process do runs until it is to leave."""
        from imagebuilder.services.pipelines.serving import Crew, Serving

        crew = Crew(
            room=self._room(order),
            work=self._running,
            presence=self.presence,
            leading=self._leading,
            began=lambda: None,
        )
        return Serving(crew)

    @property
    def _running(self) -> "Running":
        from imagebuilder.adapters.local.workplace import working_folder
        from imagebuilder.adapters.system.stage_processes import SystemStageProcesses
        from imagebuilder.services.pipelines.running import Books, Running
        from imagebuilder.services.pipelines.staffing import Offices, PipelineStaff
        from imagebuilder.services.promoting import Promoting

        offices = Offices(
            deciding=self.deciding,
            promoting=lambda actor: Promoting(self._switchboard, actor),
            gating=lambda: self.gating,
            ended=self.triggering.ended,
            versions=self.versions,
            clock=self.clock,
        )
        books = Books(
            runs=self.runs,
            pipelines=self.pipelines,
            teller=self.notifying,
            transactions=self._database,
            clock=self.clock,
        )
        processes = SystemStageProcesses(
            self.commands,
            self.clock,
            self.settings.environment,
            folders=partial(working_folder, self._home / "work"),
        )
        return Running(books, PipelineStaff(offices), processes, self.presence)

    @cached_property
    def deciding(self) -> "Deciding":
        """Decides whether recipes must be built."""
        from imagebuilder.services.pipelines.deciding import Deciding

        return Deciding(self._decisions)

    def _decisions(self) -> "Decisions":
        from imagebuilder.adapters.system.read_once import ReadOnce
        from imagebuilder.services.authoring import Authoring
        from imagebuilder.services.pipelines.deciding import Decisions
        from imagebuilder.services.pipelines.planning import Planning

        documents = ReadOnce(self._documents)
        inventory = self._inventory(documents, self._archives(is_lasting=True))
        planning = Planning(Authoring(documents), inventory, self.clock)
        return Decisions(planning, self.building.missing_parents)

    @cached_property
    def caring(self) -> "Caring":
        """Looks after the catalogue as a whole."""
        from imagebuilder.adapters.sql.care import SqlCatalogueCare
        from imagebuilder.services.caring import Belongings, Caring

        def running() -> "Sequence[str]":
            self.sweeping.sweep()
            return [run.id for run in self.runs.running()]

        belongings = Belongings(
            versions=self.versions,
            blobs=self.blobs,
            layers=lambda: self._layers,
            running=running,
        )
        return Caring(
            SqlCatalogueCare(self._database),
            belongings,
            self.clock,
            actor=self.settings.actor,
            kept_aside=self._home,
        )

    @cached_property
    def building(self) -> "BuildImage":
        """Builds images."""
        from imagebuilder.services.pipelines.journey import BuildImage

        def fetch(ami: "AmiParent", watcher: "Progress") -> object:
            return self.importing.import_parent(ami, watcher)

        return BuildImage(self._desk, self._make, fetch, process=f"process {os.getpid()}")

    @cached_property
    def importing(self) -> "Importing":
        """Records images that others made."""
        from imagebuilder.wiring.importing import importer

        endpoint = self.settings.notices.aws_endpoint
        return importer(self._desk, self._workers, self.commands, self._home, endpoint)

    @cached_property
    def stages(self) -> "Stages":
        """Does builds in parts."""
        from imagebuilder.services.pipelines.stages import Stages

        return Stages(self._desk, lambda: self._workers, process=f"process {os.getpid()}")

    @cached_property
    def _desk(self) -> "Desk":
        from imagebuilder.services.pipelines.desk import Desk

        return Desk(
            authoring=self.authoring,
            planning=self.planning,
            usability=self._usability,
            cataloguing=self.cataloguing,
            attesting=self.attesting,
            matching=self.matching,
            assessing=self._assessing,
            sweeping=self.sweeping,
            layers=self._layers,
            blobs=self.blobs,
            sources=self._archives()[0],
            runs=self.runs,
            run_files=self.run_files,
            claims=self.claims,
            locks=self.locks,
            clock=self.clock,
            ids=self._ids,
            complaints=self.exchange.complaints if self.exchange else tuple,
        )

    @cached_property
    def stacking(self) -> "Stacking":
        """Finds or makes layers."""
        from imagebuilder.services.building.stacking import Stacking

        return Stacking(self._layers, self.blobs, self.clock, self.means)

    @cached_property
    def means(self) -> "Means":
        """What components are run with."""
        from imagebuilder.adapters.confined.ansible.playbooks import RunAnsible
        from imagebuilder.adapters.local.workplace import working_folder
        from imagebuilder.adapters.system.tree_copy import CopyTree
        from imagebuilder.domain.component import ActionName
        from imagebuilder.services.provisioning.actions import own_actions
        from imagebuilder.services.provisioning.components import Means
        from imagebuilder.services.provisioning.testing import RunTestinfra

        folders = partial(working_folder, self._home / "work")
        added: dict[ActionName, Action] = {
            ActionName.COPY_TREE: CopyTree(folders),
            ActionName.RUN_ANSIBLE: RunAnsible(self.commands, folders, self.clock),
            ActionName.RUN_TESTINFRA: RunTestinfra(self._suite),
            **self._transfers,
        }
        return Means(
            actions=own_actions(added),
            clock=self.clock,
            ids=self._ids,
            source=self._values,
        )

    @property
    def _transfers(self) -> "Mapping[ActionName, Action]":
        from imagebuilder.adapters.aws.objects import S3Objects
        from imagebuilder.adapters.local.workplace import transfer_folder
        from imagebuilder.adapters.web.downloads import DownloadLimits, UrllibFetcher
        from imagebuilder.services.provisioning.transferring import Transferring, transfer_actions

        given = self.settings.downloads
        limits = DownloadLimits(
            largest_bytes=given.limit_bytes, hosts=given.hosts, proxy=given.proxy
        )
        objects = S3Objects(endpoint=given.s3_endpoint, largest_bytes=given.limit_bytes)
        return transfer_actions(
            Transferring(
                web=UrllibFetcher(self.clock, limits),
                objects=objects,
                scratch=partial(transfer_folder, self._home / "work"),
                clock=self.clock,
                largest_bytes=given.limit_bytes,
            )
        )

    def _make(self, job: "Job", progress: "RecordedProgress") -> "BuildResult":
        from imagebuilder.services.pipelines.stages import in_one

        return in_one(self._desk, self._workers, job, progress)

    @cached_property
    def _workers(self) -> "Workers":
        from imagebuilder.adapters.confined.syft import SyftReader
        from imagebuilder.adapters.local.contents import RootContents
        from imagebuilder.services.building.stocktaking import Stocktaking
        from imagebuilder.services.pipelines.making import Workers

        syft = self.settings.syft
        return Workers(
            stacking=self.stacking,
            workshop=self._workshop,
            disks=self._disks,
            tests=self._suite,
            booter=self._booter,
            means=self.means,
            stocktaking=Stocktaking(
                RootContents(),
                self._archives()[1],
                self.blobs,
                SyftReader(self.commands, syft) if syft else None,
            ),
            live=self._live,
        )

    @cached_property
    def _live(self) -> "LiveShop":
        from imagebuilder.adapters.aws.packer_sources import AmazonSources
        from imagebuilder.adapters.local.carried import PackageLists
        from imagebuilder.adapters.local.contents import RootContents
        from imagebuilder.adapters.local.imports import LocalDiskImporter
        from imagebuilder.services.building.stocktaking import Stocktaking
        from imagebuilder.services.pipelines.packing import LiveShop
        from imagebuilder.settings import secret_of
        from imagebuilder.wiring.packer import packer_builder

        work = self._home / "work"
        return LiveShop(
            builder=packer_builder(
                self.settings, self.commands, self.clock, self._acceleration, self._recorded
            ),
            places=AmazonSources(secret_of),
            machines=self._live_machines,
            importer=LocalDiskImporter(self.commands, work),
            carried=PackageLists(work).carried,
            means=self.means,
            # Only lists are carried here: what else is installed cannot be told of them.
            stocktaking=Stocktaking(RootContents(), self._archives()[1], self.blobs),
            placing=self.placing,
            placements=self.placements,
        )

    @cached_property
    def trying(self) -> "Trying":
        """Tries components."""
        from imagebuilder.services.pipelines.trying import Trying, Workbench

        bench = Workbench(
            stacking=self.stacking,
            workshop=self._workshop,
            booter=self._booter,
            means=self.means,
            clock=self.clock,
            ids=self._ids,
            locks=self.locks,
            kept=self._home / "kept",
        )
        return Trying(self.authoring, self.planning, bench)

    @cached_property
    def rebuilding(self) -> "Rebuilding":
        """Makes versions again, and compares."""
        from imagebuilder.adapters.local.pinning import KeptPackages
        from imagebuilder.services.pipelines.rebuilding import Memory, Rebuilding, RebuildShop
        from imagebuilder.wiring.rebuilding import BenchMaker

        memory = Memory(
            versions=self.versions,
            runs=self.runs,
            layers=self._layers,
            blobs=self.blobs,
            archives=self._archives()[1],
            packages=KeptPackages(self._home / "cache/packages"),
        )
        maker = BenchMaker(
            commands=self.commands,
            clock=self.clock,
            home=self._home,
            boot_id=self._boot_id,
            layers=self._layer_files,
            means=self.means,
            credentials=self.settings.credentials,
        )
        shop = RebuildShop(
            bench=maker.opened, disks=self._workers.disks, locks=self.locks, clock=self.clock
        )
        return Rebuilding(self.authoring, self.planning, memory, shop)

    @cached_property
    def visiting(self) -> "Visiting":
        """Runs components on machines that run already."""
        from imagebuilder.services.pipelines.visiting import Visiting

        return Visiting(self.authoring, self._live_machines, self.means, self.clock)

    @cached_property
    def _workshop(self) -> "LocalWorkshop":
        from imagebuilder.adapters.local.roots import LocalWorkshop, Places

        places = Places(work=self._home / "work", cache=self._home / "cache")
        return LocalWorkshop(
            self.commands, self.clock, self._layer_files, places, self.settings.credentials
        )
