"""Gating: what stands in a version's way into a channel or to a target, by all that is known of it.

Other use cases share it: who promotes and who distributes ask the same gates in the same way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from imagebuilder.domain.channel import Channel, ChannelGate, parse_channel
from imagebuilder.domain.channel_history import seconds_held
from imagebuilder.domain.finding import Finding
from imagebuilder.domain.finding_search import FindingQuery, FoundIn
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import (
    ImageVersion,
    VersionNotFound,
    VersionSummary,
    parse_reference,
)
from imagebuilder.domain.objection import (
    DEFAULT_DATA_AGE_SECONDS,
    AdvisoryStanding,
    Objection,
)
from imagebuilder.domain.promotion import (
    Candidate,
    DistributionRefused,
    entry_objections,
    evidence_objections,
    refuse_entry,
    standing_objections,
)
from imagebuilder.domain.published import release_of
from imagebuilder.domain.standing import Standing
from imagebuilder.domain.verdict import Judged, Known, Verdict, judge, scan_of
from imagebuilder.domain.waiver import ENDS_SOON, Waiver
from imagebuilder.ports.catalogue import VersionStore
from imagebuilder.ports.channels import ChannelStore
from imagebuilder.ports.clock import Clock
from imagebuilder.ports.pipelines import PipelineStore
from imagebuilder.ports.standings import StandingStore
from imagebuilder.ports.waivers import WaiverStore


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVulnerabilities:
    """What advisories say of a version, and how far that can be relied on."""

    findings: tuple[Finding, ...] = ()
    standing: AdvisoryStanding = field(default_factory=AdvisoryStanding)


Vulnerabilities: TypeAlias = Callable[[VersionId], KnownVulnerabilities]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDesk:
    """Where lies all that gates ask about."""

    versions: VersionStore
    standings: StandingStore
    channels: ChannelStore
    pipelines: PipelineStore
    waivers: WaiverStore
    clock: Clock
    vulnerabilities: Vulnerabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What stands in a version's way at a moment; `gates` are those that were asked, and for what.

    Shape: `verdicts` those that judged its findings, as many as gates asked about them.
    """

    reference: str
    at: datetime
    gates: tuple[tuple[str, tuple[str, ...]], ...]
    objections: tuple[Objection, ...]
    verdicts: tuple[Verdict, ...] = ()


class Gating:
    """Judges versions. Nothing is kept: each answer is of the moment that it is for."""

    def __init__(self, desk: GateDesk) -> None:
        """Judge by what lies on the desk."""
        self._desk = desk

    def verdict(
        self, version: ImageVersion, gate: AssuranceGate | None, at: datetime | None = None
    ) -> Verdict:
        """Give what a gate decides of a version now or at a moment; without one, what is found.

        At a moment to come advisories are as old as they are now.
        """
        waivers, known, now = (
            self._desk.waivers.all(version.image),
            self.known(version),
            self._now(),
        )
        if at is not None and at > now:
            # Advisories are renewed as time goes, and waivers are not.
            known = replace(known, advisories=known.advisories.carried(at - now))
        return judge(known, waivers, gate, at or now)

    def known(self, version: ImageVersion) -> Known:
        """Give all that is known for and against a version."""
        said = self._desk.vulnerabilities(version.id)
        return Known(
            image=version.image,
            version=version.version,
            vulnerabilities=said.findings,
            advisories=said.standing,
            scans=tuple(map(scan_of, version.assessments)),
            reports=version.reports,
        )

    def found_where(self, waiver: Waiver) -> frozenset[Finding]:
        """Give all that is found in versions that a waiver speaks of, whatever it accepts.

        Of each image the newest version is looked at, and those that channels mean.
        """
        return frozenset(
            judged.finding
            for version in self._in_use(waiver)
            for judged in judge(self.known(version), (), None, self._now()).judged
        )

    def covered(self, waiver: Waiver) -> Sequence[VersionSummary]:
        """Give the recorded versions that a waiver speaks of."""
        images = filter(waiver.is_of, self._desk.versions.names())
        return [
            summary
            for image in images
            for summary in self._desk.versions.summaries(image)
            if waiver.is_for(summary.image, summary.version)
        ]

    def doubts(self, reference: str | None) -> Sequence[tuple[str, str]]:
        """Give of which versions vulnerabilities are unknown, and why: none found is no pass.

        Raises: as `findings`.
        """
        now = self._now()
        versions = [self.version(reference)] if reference else self._all_in_use(now)
        standings = [(v.reference, self._desk.vulnerabilities(v.id).standing) for v in versions]
        troubles = [(r, s.trouble(now, DEFAULT_DATA_AGE_SECONDS)) for r, s in standings]
        return [(named, trouble.reason) for named, trouble in troubles if trouble is not None]

    def candidate(
        self,
        version: ImageVersion,
        gate: ChannelGate | None = None,
        extra: AssuranceGate | None = None,
        at: datetime | None = None,
    ) -> Candidate:
        """Give a version and all that a channel's gate, and one beside it, know of it."""
        moment = at or self._now()
        standing = self._desk.standings.standings([version.id], moment)[version.id]
        after = None if gate is None else gate.after
        soak = () if after is None else self._desk.channels.moves(version.image, after, moment)
        asked = (None if gate is None else gate.assurance, extra)
        return Candidate(
            reference=version.reference,
            standing=standing,
            reports=version.reports,
            revoked=self._revoked(standing),
            soaked_seconds=seconds_held(soak, version.id, moment),
            is_soaking=bool(soak) and soak[-1].new == version.id,
            verdicts=tuple(self.verdict(version, g, moment) for g in asked if g is not None),
        )

    def refuse_entry(self, version: ImageVersion, channel: Channel) -> tuple[Judged, ...]:
        """Let a version pass that may enter a channel, and give what soon it may not for.

        Raises: PromotionRefused; GateRefused.
        """
        candidate = self.candidate(version, channel.gate)
        refuse_entry(candidate, channel.reference, channel.gate)
        soon = self._now() + ENDS_SOON
        return tuple(judged for each in candidate.verdicts for judged in each.resting_on(soon))

    def refuse_by(self, version: ImageVersion, gate: AssuranceGate, whose: str) -> None:
        """Let a version pass that a gate of somebody's lets pass. Raises: as `refuse_entry`."""
        refuse_entry(self.candidate(version, extra=gate), whose, None)

    def refuse_distribution(self, version: ImageVersion) -> None:
        """Let a version pass that may be put where others use it. Raises: DistributionRefused."""
        checked = self._for_distribution(version, self._now())
        if checked.objections:
            raise DistributionRefused(version.reference, checked.objections)

    def check(
        self,
        reference: str,
        *,
        channel: str | None = None,
        pipeline: str | None = None,
        at: datetime | None = None,
    ) -> Checked:
        """Give what stands in a version's way into a channel, or through a pipeline's gates.

        Without either, the gates that count for its distribution are asked.
        Raises: VersionNotFound; ReferenceMalformed; ReferenceAmbiguous; ChannelMalformed;
        PipelineNotFound.
        """
        moment = at or self._now()
        version = self.version(reference)
        if channel is None and pipeline is None:
            return self._for_distribution(version, moment)
        gates: list[tuple[str, tuple[str, ...]]] = []
        gate = extra = None
        if channel is not None:
            asked = self._channel(version, channel, moment)
            gate = asked.gate
            gates.append((f"channel {asked.reference}", gate.parts if gate else ()))
        if pipeline is not None:
            extra = self._desk.pipelines.get(pipeline).pipeline.gates
            gates.append((f"pipeline {pipeline}", extra.parts if extra else ()))
        candidate = self.candidate(version, gate, extra, moment)
        return Checked(
            reference=version.reference,
            at=moment,
            gates=tuple(gates),
            objections=entry_objections(candidate, gate),
            verdicts=candidate.verdicts,
        )

    def findings(
        self, reference: str | None, query: FindingQuery, channel: str | None = None
    ) -> Sequence[FoundIn]:
        """Give what is found of a version, or of all that are in use, as a channel's gate sees it.

        In use are the newest version of each image and those that channels mean.
        Raises: VersionNotFound; as `check`.
        """
        now = self._now()
        versions = [self.version(reference)] if reference else self._all_in_use(now)
        found = []
        for version in versions:
            gate = None if channel is None else self._channel(version, channel, now).gate
            verdict = self.verdict(version, gate.assurance if gate else None, now)
            found += [
                FoundIn(reference=version.reference, release=release_of(version), judged=judged)
                for judged in verdict.judged
                if query.asks_for(judged)
            ]
        return found

    def version(self, reference: str) -> ImageVersion:
        """Give the version that a reference means now. Raises: VersionNotFound; as `check`."""
        return self._desk.versions.find(parse_reference(reference), self._now())

    def _for_distribution(self, version: ImageVersion, at: datetime) -> Checked:
        """Ask the gates of channels that mean a version, and of pipelines that make its image."""
        gates = dict(self._guarding(version, at))
        plain = self.candidate(version, at=at)
        verdicts = tuple(self.verdict(version, gate, at) for gate in gates.values())
        judged = tuple(o for verdict in verdicts for o in verdict.objections)
        ever = (*standing_objections(plain), *evidence_objections(plain))
        return Checked(
            reference=version.reference,
            at=at,
            gates=tuple((whose, gate.parts) for whose, gate in gates.items()),
            objections=tuple(dict.fromkeys((*ever, *judged))),
            verdicts=verdicts,
        )

    def _guarding(self, version: ImageVersion, at: datetime) -> Iterator[tuple[str, AssuranceGate]]:
        for name in self._desk.channels.holding([version.id], at)[version.id]:
            channel = self._desk.channels.channel(version.image, name, at)
            if channel.gate is not None and channel.gate.assurance is not None:
                yield f"channel {channel.reference}", channel.gate.assurance
        for applied in self._desk.pipelines.all():
            pipeline = applied.pipeline
            makes_it = any(product.image == version.image for product in pipeline.products)
            if makes_it and pipeline.gates is not None:
                yield f"pipeline {pipeline.name}", pipeline.gates

    def _channel(self, version: ImageVersion, channel: str, at: datetime) -> Channel:
        """Give the channel of a version's image that is named with or without it."""
        image, name = parse_channel(channel if "@" in channel else f"{version.image}@{channel}")
        if image != version.image:
            raise VersionNotFound(f"{version.reference} of image {image}", (version.reference,))
        return self._desk.channels.channel(image, name, at)

    def _all_in_use(self, now: datetime) -> Sequence[ImageVersion]:
        found: dict[VersionId, ImageVersion] = {}
        for image in self._desk.versions.names():
            found.update((version.id, version) for version in self._of_image(image, now))
        return tuple(found.values())

    def _in_use(self, waiver: Waiver) -> Sequence[ImageVersion]:
        now, desk = self._now(), self._desk
        found: dict[VersionId, ImageVersion] = {}
        for image in filter(waiver.is_of, desk.versions.names()):
            for version in self._of_image(image, now):
                if waiver.is_for(version.image, version.version):
                    found[version.id] = version
        return tuple(found.values())

    def _of_image(self, image: ImageName, now: datetime) -> Iterator[ImageVersion]:
        newest = self._desk.versions.newest(image)
        if newest is not None:
            yield newest
        for channel in self._desk.channels.channels(image, now):
            if channel.version_id is not None:
                yield self._desk.versions.get(channel.version_id)

    def _revoked(self, standing: Standing) -> str:
        if standing.revocation is None:
            return ""
        named = standing.revocation.version_id
        return self._desk.versions.references([named]).get(named, "")

    def _now(self) -> datetime:
        return self._desk.clock.now()
