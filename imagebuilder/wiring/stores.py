"""Settings become the stores of the catalogue, of blobs and of layers."""

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.settings import Settings, read_settings

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from imagebuilder.adapters.local.claims import FolderClaims
    from imagebuilder.adapters.local.layer_archives import FileLayerArchives
    from imagebuilder.adapters.local.layers import FileLayerStore
    from imagebuilder.adapters.sql.audit import SqlAuditLog
    from imagebuilder.adapters.sql.catalogue import SqlVersionStore
    from imagebuilder.adapters.sql.channels import SqlChannelStore
    from imagebuilder.adapters.sql.content import SqlContentStore
    from imagebuilder.adapters.sql.database import Database
    from imagebuilder.adapters.sql.labels import SqlLabelStore
    from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
    from imagebuilder.adapters.sql.placements import SqlPlacementStore
    from imagebuilder.adapters.sql.retention import SqlRetentionStore
    from imagebuilder.adapters.sql.runs import SqlRunStore
    from imagebuilder.adapters.sql.standings import SqlStandingStore
    from imagebuilder.adapters.sql.waivers import SqlWaiverStore
    from imagebuilder.adapters.system.blobs import FileBlobStore
    from imagebuilder.adapters.system.clock import RandomIds, SystemClock
    from imagebuilder.ports.blobs import BlobStore
    from imagebuilder.ports.building import LayerStore
    from imagebuilder.services.sharing.exchange import Exchange
    from imagebuilder.services.sharing.giving import Giving
    from imagebuilder.services.sharing.shelf import SharedStoreShelf

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class StoreWiring:
    """Where everything is kept, wired for one set of settings."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Wire for settings, by default those of the environment."""
        self.settings = settings or read_settings()
        self._home = self.settings.home
        self._giver: Giving | None = None

    @cached_property
    def versions(self) -> "SqlVersionStore":
        """The recorded versions."""
        from imagebuilder.adapters.sql.catalogue import SqlVersionStore

        return SqlVersionStore(self._database)

    @cached_property
    def standings(self) -> "SqlStandingStore":
        """What was said of versions."""
        from imagebuilder.adapters.sql.standings import SqlStandingStore

        return SqlStandingStore(self._database)

    @cached_property
    def channels(self) -> "SqlChannelStore":
        """Where channels point."""
        from imagebuilder.adapters.sql.channels import SqlChannelStore

        return SqlChannelStore(self._database)

    @cached_property
    def placements(self) -> "SqlPlacementStore":
        """Where versions were put."""
        from imagebuilder.adapters.sql.placements import SqlPlacementStore

        return SqlPlacementStore(self._database)

    @cached_property
    def labels(self) -> "SqlLabelStore":
        """What people noted on images and versions."""
        from imagebuilder.adapters.sql.labels import SqlLabelStore

        return SqlLabelStore(self._database)

    @cached_property
    def retention(self) -> "SqlRetentionStore":
        """What retention asks of the catalogue, and its plans."""
        from imagebuilder.adapters.sql.retention import SqlRetentionStore

        return SqlRetentionStore(self._database)

    @cached_property
    def pipelines(self) -> "SqlPipelineStore":
        """The pipelines in force, and what was decided for them."""
        from imagebuilder.adapters.sql.pipelines import SqlPipelineStore

        return SqlPipelineStore(self._database)

    @cached_property
    def waivers(self) -> "SqlWaiverStore":
        """Which findings people accept."""
        from imagebuilder.adapters.sql.waivers import SqlWaiverStore

        return SqlWaiverStore(self._database)

    @cached_property
    def contents(self) -> "SqlContentStore":
        """What scans are made with."""
        from imagebuilder.adapters.sql.content import SqlContentStore

        return SqlContentStore(self._database)

    @cached_property
    def audit(self) -> "SqlAuditLog":
        """Who changed what in the catalogue."""
        from imagebuilder.adapters.sql.audit import SqlAuditLog

        return SqlAuditLog(self._database)

    @cached_property
    def runs(self) -> "SqlRunStore":
        """The recorded runs."""
        from imagebuilder.adapters.sql.runs import SqlRunStore

        return SqlRunStore(self._database)

    @cached_property
    def blobs(self) -> "BlobStore":
        """The artifacts and evidence."""
        if self.exchange is None:
            return self._blob_files
        from imagebuilder.services.sharing.blobs import SharedBlobs

        return SharedBlobs(self._blob_files, self._giving(self.exchange), self.exchange)

    @cached_property
    def _layers(self) -> "LayerStore":
        if self.exchange is None:
            return self._layer_files
        from imagebuilder.services.sharing.layers import SharedLayers

        giving = self._giving(self.exchange)
        return SharedLayers(self._layer_files, self._layer_archives, giving, self.exchange)

    @cached_property
    def _layer_archives(self) -> "FileLayerArchives":
        from imagebuilder.adapters.local.layer_archives import FileLayerArchives

        return FileLayerArchives(self._layer_files)

    @cached_property
    def exchange(self) -> "Exchange | None":
        """What is shared with other machines, when the settings name a place for it."""
        place = self.settings.shared_store
        if place is None:
            return None
        from imagebuilder.services.sharing.exchange import Exchange

        if place.folder is not None:
            from imagebuilder.adapters.system.shared_directory import SharedDirectory

            return Exchange(SharedDirectory(place.folder), self.clock)
        from imagebuilder.adapters.aws.shared_bucket import SharedBucket

        endpoint = self.settings.downloads.s3_endpoint
        bucket = SharedBucket(place.bucket, place.prefix, endpoint=endpoint)
        return Exchange(bucket, self.clock)

    def _giving(self, exchange: "Exchange") -> "Giving":
        """Give the one that gives for layers and blobs both."""
        if self._giver is None:
            from imagebuilder.adapters.local.workplace import transfer_folder
            from imagebuilder.services.sharing.giving import Giving

            scratch = partial(transfer_folder, self._home / "work")
            self._giver = Giving(exchange, lambda: self._layer_archives, self._blob_files, scratch)
        return self._giver

    @property
    def _shared_shelf(self) -> "SharedStoreShelf | None":
        """Give what is freed for all machines, if the catalogue can know what they need."""
        if self.exchange is None or self.settings.has_own_catalogue:
            return None
        from imagebuilder.services.sharing.shelf import SharedStoreShelf

        return SharedStoreShelf(self.exchange, self.runs, self.clock)

    @cached_property
    def _blob_files(self) -> "FileBlobStore":
        from imagebuilder.adapters.system.blobs import FileBlobStore

        return FileBlobStore(self._home / "blobs")

    @cached_property
    def claims(self) -> "FolderClaims":
        """What runs have yet to record."""
        from imagebuilder.adapters.local.claims import FolderClaims

        return FolderClaims(self._home / "claims")

    @cached_property
    def _layer_files(self) -> "FileLayerStore":
        from imagebuilder.adapters.local.layers import FileLayerStore

        return FileLayerStore(self._home / "layers", self._boot_id)

    @cached_property
    def _boot_id(self) -> str:
        return _BOOT_ID.read_text().strip()

    @cached_property
    def clock(self) -> "SystemClock":
        """The machine's clock."""
        from imagebuilder.adapters.system.clock import SystemClock

        return SystemClock()

    @cached_property
    def _ids(self) -> "RandomIds":
        from imagebuilder.adapters.system.clock import RandomIds

        return RandomIds(self.clock)

    @cached_property
    def _database(self) -> "Database":
        from imagebuilder.adapters.sql.database import open_database

        return open_database(self.settings.catalogue_url)
