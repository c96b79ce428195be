"""Settings become the planning of builds, and what that looks at: documents, layers, archives."""

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagebuilder.wiring.signals import SignalWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from imagebuilder.adapters.aws.values import AwsValues
    from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite
    from imagebuilder.adapters.local.archives import AptArchives
    from imagebuilder.adapters.local.sources import AptSources
    from imagebuilder.adapters.openscap.scanner import OpenScapScanner
    from imagebuilder.adapters.system.document_files import FileDocumentSource
    from imagebuilder.adapters.system.process import SystemCommandRunner
    from imagebuilder.ports.documents import DocumentSource
    from imagebuilder.services.applying.applying import Applying
    from imagebuilder.services.assessing import Assessing
    from imagebuilder.services.authoring import Authoring
    from imagebuilder.services.browsing import Browsing
    from imagebuilder.services.distributing.reading import DistributionReading
    from imagebuilder.services.equipping import Equipping
    from imagebuilder.services.pipelines.planning import Inventory, Planning
    from imagebuilder.services.pipelines.usability import Usability

_ETC_APT = Path("/etc/apt")
_DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class PlanningWiring(SignalWiring):
    """The part of the services that plans builds, wired for one set of settings."""

    @cached_property
    def authoring(self) -> "Authoring":
        """Reads documents."""
        from imagebuilder.services.authoring import Authoring

        return Authoring(self._documents)

    @cached_property
    def distribution_reading(self) -> "DistributionReading":
        """Reads distribution documents."""
        from imagebuilder.services.distributing.reading import DistributionReading

        return DistributionReading(self._documents)

    @cached_property
    def browsing(self) -> "Browsing":
        """Looks at components."""
        from imagebuilder.services.browsing import Browsing

        return Browsing(self._documents)

    @cached_property
    def planning(self) -> "Planning":
        """Plans builds."""
        from imagebuilder.services.pipelines.planning import Planning

        inventory = self._inventory(self._documents, self._archives())
        return Planning(self.authoring, inventory, self.clock)

    def _inventory(
        self, documents: "DocumentSource", archives: "tuple[AptSources, AptArchives]"
    ) -> "Inventory":
        from imagebuilder.services.pipelines.planning import Inventory

        return Inventory(
            documents=documents,
            versions=lambda: self.versions,
            usability=self._usability,
            layers=self._layers,
            blobs=self.blobs,
            sources=archives[0],
            archives=archives[1],
            values=self._values,
        )

    @cached_property
    def _usability(self) -> "Usability":
        from imagebuilder.services.pipelines.usability import Usability

        return Usability(lambda: self.versions, lambda: self.standings, self.clock)

    @cached_property
    def _values(self) -> "AwsValues":
        from imagebuilder.adapters.aws.values import AwsValues

        return AwsValues(metadata=self.settings.imds_endpoint)

    @cached_property
    def applying(self) -> "Applying":
        """Keeps which pipelines are in force."""
        return self._applying_of(self.settings.actor)

    def _applying_of(self, actor: str) -> "Applying":
        from imagebuilder.services.applying.applying import Applying, PipelineBooks

        books = PipelineBooks(
            pipelines=self.pipelines,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
        )
        return Applying(books, self.authoring, self._documents, actor)

    @cached_property
    def _documents(self) -> "FileDocumentSource":
        from imagebuilder.adapters.system.document_files import FileDocumentSource

        return FileDocumentSource(self.settings.component_folders)

    def _archives(self, *, is_lasting: bool = False) -> "tuple[AptSources, AptArchives]":
        """Give a way to package archives; a lasting one asks for each signed index once."""
        from imagebuilder.adapters.local.archives import AptArchives
        from imagebuilder.adapters.local.fetching import ArchiveFetcher
        from imagebuilder.adapters.local.signatures import TrustedKeys
        from imagebuilder.adapters.local.sources import AptSources, Mirrors

        fetcher = ArchiveFetcher(self.settings.credentials, is_lasting=is_lasting)
        mirrors = Mirrors(main=self.settings.mirror, security=self.settings.security_mirror)
        known = self._home / "cache/apt-sources.json"
        keys = TrustedKeys(self.commands, _ETC_APT, _DEBIAN_KEYS)
        return (
            AptSources(self.commands, mirrors, _ETC_APT, known, fetcher),
            AptArchives(fetcher, keys, self._home / "cache/indexes", self.clock),
        )

    @cached_property
    def equipping(self) -> "Equipping":
        """Keeps the content that scans are made with."""
        from imagebuilder.adapters.local.content_files import LocalContentFiles
        from imagebuilder.adapters.local.workplace import working_folder
        from imagebuilder.services.equipping import ContentDesk, Equipping

        folders = partial(working_folder, self._home / "work")
        desk = ContentDesk(
            contents=self.contents,
            files=LocalContentFiles(folders, *self._archives()),
            blobs=self.blobs,
            scanner=self.scanner,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
        )
        return Equipping(desk, self.settings.actor)

    @cached_property
    def scanner(self) -> "OpenScapScanner":
        """Judges images by content that was added."""
        from imagebuilder.adapters.local.workplace import working_folder
        from imagebuilder.adapters.openscap.scanner import OpenScapScanner

        return OpenScapScanner(self.commands, partial(working_folder, self._home / "work"))

    @cached_property
    def _assessing(self) -> "Assessing":
        from imagebuilder.services.assessing import Assessing, AssessingDesk

        desk = AssessingDesk(
            packs=self.contents.all,
            scanner=lambda: self.scanner,
            tests=lambda: self._suite,
            waivers=lambda: self.waivers,
            blobs=self.blobs,
            clock=self.clock,
        )
        return Assessing(desk)

    @cached_property
    def _suite(self) -> "ConfinedSuite":
        from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite
        from imagebuilder.adapters.local.workplace import working_folder

        return ConfinedSuite(self.commands, partial(working_folder, self._home / "work"))

    @cached_property
    def commands(self) -> "SystemCommandRunner":
        """The machine's programs."""
        from imagebuilder.adapters.system.process import SystemCommandRunner

        return SystemCommandRunner(self.clock)
