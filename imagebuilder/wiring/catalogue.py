"""Settings become the services that stand on little else than the catalogue."""

from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.wiring.stores import StoreWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from imagebuilder.adapters.sql.searches import SqlSearchStore
    from imagebuilder.domain.attestation import PromotionDecision
    from imagebuilder.domain.cascade import Publication
    from imagebuilder.domain.digest import Canonical
    from imagebuilder.domain.ids import VersionId
    from imagebuilder.domain.image import ImageVersion
    from imagebuilder.services.accepting import Accepting
    from imagebuilder.services.attesting import Attesting
    from imagebuilder.services.billing import Billing
    from imagebuilder.services.cataloguing import Cataloguing
    from imagebuilder.services.comparing import Comparing
    from imagebuilder.services.copying import Copying
    from imagebuilder.services.gating import Gating, KnownVulnerabilities
    from imagebuilder.services.identifying import Identifying
    from imagebuilder.services.labelling import Labelling
    from imagebuilder.services.matching import Matching
    from imagebuilder.services.placing import Placing
    from imagebuilder.services.promoting import Promoting, Switchboard
    from imagebuilder.services.revoking import Revoking
    from imagebuilder.services.searching import Searching
    from imagebuilder.services.tracing import Tracing


class CatalogueWiring(StoreWiring):
    """The part of the services that needs the catalogue, wired for one set of settings."""

    @cached_property
    def cataloguing(self) -> "Cataloguing":
        """Records versions and answers questions about them."""
        from imagebuilder.services.cataloguing import Cataloguing, Records

        records = Records(
            versions=self.versions,
            audit=self.audit,
            transactions=self._database,
            published=self._published,
        )
        return Cataloguing(records, self.clock, self._ids, self.settings.actor)

    @cached_property
    def billing(self) -> "Billing":
        """Tells what is in versions."""
        from imagebuilder.services.billing import Billing

        return Billing(self.versions, self.blobs, self.clock)

    def _bill_document(self, version: "ImageVersion") -> bytes | None:
        """Give the bill of a version as it is signed, None where none was made."""
        from imagebuilder import __version__
        from imagebuilder.formats.cyclonedx import CycloneDxVersion, cyclonedx

        if version.bill is None:
            return None
        return cyclonedx(self.billing.bill(version), __version__, CycloneDxVersion.V1_6)

    @cached_property
    def comparing(self) -> "Comparing":
        """Tells what differs between versions."""
        from imagebuilder.services.comparing import Comparing

        return Comparing(self.versions, self._layers, self.clock)

    @cached_property
    def tracing(self) -> "Tracing":
        """Answers where versions come from and what became of them."""
        from imagebuilder.services.tracing import Tracing

        return Tracing(self.versions, self.standings, self.channels, self.clock, self.placements)

    @cached_property
    def searching(self) -> "Searching":
        """Finds versions."""
        from imagebuilder.services.searching import SearchDesk, Searching

        desk = SearchDesk(
            versions=self.versions,
            searches=self._searches,
            standings=self.standings,
            channels=self.channels,
            labels=self.labels,
            clock=self.clock,
            knows_cve=self.matching.knows,
        )
        return Searching(desk)

    @cached_property
    def identifying(self) -> "Identifying":
        """Says what things are."""
        from imagebuilder.adapters.sql.traces import SqlTraceStore
        from imagebuilder.adapters.system.file_digests import SystemFileDigests
        from imagebuilder.services.identifying import Identifying, IdentityDesk

        desk = IdentityDesk(
            versions=self.versions,
            searches=self._searches,
            traces=SqlTraceStore(self._database),
            files=SystemFileDigests(),
            runs=self.runs,
            placements=self.placements,
            standings=self.standings,
            channels=self.channels,
            clock=self.clock,
        )
        return Identifying(desk)

    @cached_property
    def _searches(self) -> "SqlSearchStore":
        from imagebuilder.adapters.sql.searches import SqlSearchStore

        return SqlSearchStore(self._database)

    @cached_property
    def attesting(self) -> "Attesting":
        """Signs what is known of versions."""
        from imagebuilder import __version__
        from imagebuilder.adapters.sql.attestations import SqlAttestationStore
        from imagebuilder.domain.attestation import BuilderIdentity
        from imagebuilder.services.attesting import AttestationDesk, Attesting
        from imagebuilder.wiring.signing import named_key

        desk = AttestationDesk(
            versions=self.versions,
            runs=self.runs,
            attestations=SqlAttestationStore(self._database),
            blobs=self.blobs,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            key=named_key(self.settings),
            builder=BuilderIdentity(id=self.settings.signing.builder_id, version=__version__),
            summary=self._assurance_summary,
            bill=self._bill_document,
            package_files=self.billing.archives,
        )
        return Attesting(desk, self.settings.actor)

    def _assurance_summary(self, version: "ImageVersion") -> "Mapping[str, Canonical] | None":
        from imagebuilder.formats.assurance import assurance_predicate

        gating = self.gating
        return assurance_predicate(gating.known(version), gating.verdict(version, None))

    def _promotion_signed(self, decision: "PromotionDecision") -> str:
        # Whoever only looks at channels needs nothing that signs.
        return self.attesting.sign_promotion(decision)

    @cached_property
    def copying(self) -> "Copying":
        """Records copies of versions."""
        from imagebuilder.services.copying import CopyDesk, Copying

        desk = CopyDesk(
            versions=self.versions,
            standings=self.standings,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            ids=self._ids,
            published=self._published,
        )
        return Copying(desk, self.settings.actor)

    @cached_property
    def promoting(self) -> "Promoting":
        """Moves channels."""
        from imagebuilder.services.promoting import Promoting

        return Promoting(self._switchboard, self.settings.actor)

    @cached_property
    def gating(self) -> "Gating":
        """Judges versions."""
        from imagebuilder.services.gating import GateDesk, Gating

        desk = GateDesk(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            pipelines=self.pipelines,
            waivers=self.waivers,
            clock=self.clock,
            vulnerabilities=self._vulnerabilities,
        )
        return Gating(desk)

    def _vulnerabilities(self, version_id: "VersionId") -> "KnownVulnerabilities":
        return self.matching.known(version_id)

    @cached_property
    def matching(self) -> "Matching":
        """Looks for what advisories say of versions."""
        from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary
        from imagebuilder.adapters.sql.vulnerabilities import SqlVulnerabilityStore
        from imagebuilder.services.matching import MatchDesk, Matching

        desk = MatchDesk(
            library=FileAdvisoryLibrary(self._home / "advisories"),
            vulnerabilities=SqlVulnerabilityStore(self._database),
            versions=self.versions,
            clock=self.clock,
        )
        return Matching(desk)

    @cached_property
    def accepting(self) -> "Accepting":
        """Keeps waivers."""
        from imagebuilder.adapters.system.document_files import FileDocumentSource
        from imagebuilder.services.accepting import Accepting, WaiverDesk

        desk = WaiverDesk(
            waivers=self.waivers,
            gating=self.gating,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            ids=self._ids,
            documents=FileDocumentSource(),
            max_days=self.settings.waiver_max_days,
        )
        return Accepting(desk, self.settings.actor)

    @cached_property
    def _switchboard(self) -> "Switchboard":
        from imagebuilder.services.promoting import Switchboard

        return Switchboard(
            decided=self._promotion_signed,
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            gating=self.gating,
            published=self._published,
        )

    def _published(self, publication: "Publication", at: "datetime") -> object:
        """See to what follows from a publication: nothing, where no pipelines can run."""
        del publication, at
        return None

    @cached_property
    def revoking(self) -> "Revoking":
        """Revokes and restores versions."""
        from imagebuilder.services.revoking import Register, Revoking

        register = Register(
            versions=self.versions,
            standings=self.standings,
            channels=self.channels,
            placements=self.placements,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
            ids=self._ids,
            published=self._published,
        )
        return Revoking(register, self.settings.actor)

    @cached_property
    def placing(self) -> "Placing":
        """Keeps the books of placements."""
        from imagebuilder.services.placing import Books, Placing

        books = Books(
            versions=self.versions,
            placements=self.placements,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
        )
        return Placing(books, self.settings.actor)

    @cached_property
    def labelling(self) -> "Labelling":
        """Puts labels and free text on images and versions."""
        from imagebuilder.services.labelling import Labelling, Shelf

        shelf = Shelf(
            versions=self.versions,
            labels=self.labels,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
        )
        return Labelling(shelf, self.settings.actor)
