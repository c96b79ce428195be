"""Promotion: what a version must bring to enter a channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagebuilder.domain.channel import ChannelGate
from imagebuilder.domain.errors import Refused
from imagebuilder.domain.evidence import TestReport
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.standing import Standing
from imagebuilder.domain.units import duration_text
from imagebuilder.domain.verdict import Verdict

_SHOWN = 10
"""So many reasons are told with a refusal; `gate check` tells all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version that is to enter a channel, and what is known of it.

    `revoked` names the version whose revocation counts for it. `soaked_seconds` is how long it was
    on the channel that the gate asks for, `is_soaking` whether it is there now. `verdicts` are
    those of the gates that were asked about its findings.
    """

    reference: str
    standing: Standing
    reports: tuple[TestReport, ...]
    revoked: str = ""
    soaked_seconds: float = 0
    is_soaking: bool = False
    verdicts: tuple[Verdict, ...] = ()


def standing_objections(candidate: Candidate) -> tuple[Objection, ...]:
    """Give what speaks against a version because of what was said of it."""
    standing, reference = candidate.standing, candidate.reference
    if standing.is_usable:
        return ()
    reason = standing.why_unusable(candidate.revoked)
    if not standing.is_revoked:
        return (Objection(reason=reason, remedy="Build it again, or choose another version"),)
    restored = candidate.revoked if standing.is_inherited else reference
    other = "build it on another parent" if standing.is_inherited else "choose another version"
    remedy = f"Restore it with: imagebuilder image restore {restored} --message TEXT; or {other}"
    return (Objection(reason=reason, remedy=remedy),)


def evidence_objections(candidate: Candidate) -> tuple[Objection, ...]:
    """Give what speaks against a version because of its tests."""
    remedy = "Give its recipe tests, and build it again"
    if not candidate.reports:
        return (Objection(reason="It was never tested.", remedy=remedy),)
    return tuple(
        Objection(reason=f"Its {report.stage} tests did not pass.", remedy="Mend it, and build it")
        for report in candidate.reports
        if not report.has_passed
    )


def gate_objections(candidate: Candidate, gate: ChannelGate | None) -> tuple[Objection, ...]:
    """Give what a channel's gate has against a version, and those that judged its findings."""
    asked = () if gate is None else _of_gate(candidate, gate)
    judged = (objection for verdict in candidate.verdicts for objection in verdict.objections)
    return tuple(dict.fromkeys((*asked, *judged)))


def _of_gate(candidate: Candidate, gate: ChannelGate) -> Iterator[Objection]:
    image = candidate.reference.partition("@")[0]
    if gate.after is not None and not candidate.soaked_seconds and not candidate.is_soaking:
        yield Objection(
            reason=f"It was never on {image}@{gate.after}.",
            remedy=f"Put it there with: imagebuilder channel set {candidate.reference} "
            f"{gate.after}",
        )
    elif gate.after is not None and candidate.soaked_seconds < gate.soak_seconds:
        left = duration_text(gate.soak_seconds - candidate.soaked_seconds)
        yield Objection(
            reason=f"It was on {image}@{gate.after} for {duration_text(candidate.soaked_seconds)} "
            f"of {duration_text(gate.soak_seconds)}.",
            remedy=f"Try again in {left}"
            if candidate.is_soaking
            else f"Leave it on {gate.after} for another {left}",
        )
    passed = {report.stage for report in candidate.reports if report.has_passed}
    for stage in gate.stages:
        if stage not in passed:
            yield Objection(
                reason=f"It passed no {stage} tests.",
                remedy=f"Give its recipe {stage} tests, and build it again",
            )


class PromotionRefused(Refused):
    """A version may not enter any channel."""

    code = "promotion-refused"

    def __init__(self, reference: str, channel: str, objections: Sequence[Objection]) -> None:
        """List the reasons, and what would clear them."""
        super().__init__(
            f"{reference} may not enter {channel}.",
            context=_reasons(objections),
            hint=_remedies(objections, f"imagebuilder gate check {reference} --channel {channel}"),
        )


class GateRefused(Refused):
    """A gate does not let a version in."""

    code = "gate-refused"

    def __init__(self, reference: str, gate: str, objections: Sequence[Objection]) -> None:
        """List the reasons, and what would clear them; `gate` is a channel's or `pipeline NAME`."""
        whose = f" --channel {gate}" if "@" in gate else f" --{gate}"
        super().__init__(
            f"The gate of {gate} does not let {reference} in.",
            context=_reasons(objections),
            hint=_remedies(objections, f"imagebuilder gate check {reference}{whose}"),
        )


class DistributionRefused(Refused):
    """A version may not be put where others use it."""

    code = "distribution-refused"

    def __init__(self, reference: str, objections: Sequence[Objection]) -> None:
        """List the reasons, and what would clear them."""
        super().__init__(
            f"{reference} may not be distributed.",
            context=_reasons(objections),
            hint=_remedies(objections, f"imagebuilder gate check {reference} --for distribution"),
        )


def entry_objections(candidate: Candidate, gate: ChannelGate | None) -> tuple[Objection, ...]:
    """Give all that speaks against a version's entering a channel with that gate."""
    ever = (*standing_objections(candidate), *evidence_objections(candidate))
    return (*ever, *gate_objections(candidate, gate))


def refuse_entry(candidate: Candidate, channel: str, gate: ChannelGate | None) -> None:
    """Let a version pass that may enter a channel.

    Raises: PromotionRefused; GateRefused: only the gate is against it.
    """
    ever = (*standing_objections(candidate), *evidence_objections(candidate))
    here = gate_objections(candidate, gate)
    if ever:
        raise PromotionRefused(candidate.reference, channel, (*ever, *here))
    if here:
        raise GateRefused(candidate.reference, channel, here)


def _reasons(objections: Sequence[Objection]) -> str:
    shown = [objection.reason for objection in objections[:_SHOWN]]
    if len(objections) > _SHOWN:
        shown.append(f"And {len(objections) - _SHOWN} more.")
    return "\n".join(shown)


def _remedies(objections: Sequence[Objection], see_all: str) -> str:
    shown = list(dict.fromkeys(objection.remedy for objection in objections[:_SHOWN]))
    if len(objections) > _SHOWN:
        shown.append(f"See all of it with: {see_all}")
    return ".\n".join(shown) + "."
