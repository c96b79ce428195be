"""What speaks against a version that is to enter a channel."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.channel import ChannelGate, channel_gate_of
from imagebuilder.domain.evidence import Outcome, Stage
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.objection import Objection
from imagebuilder.domain.promotion import Candidate, GateRefused, PromotionRefused, refuse_entry
from imagebuilder.domain.standing import Lifecycle, Revocation, Standing
from imagebuilder.domain.verdict import Verdict
from tests.build import SOME_DAY, a_report

GATE = ChannelGate(
    after=ChannelName("candidate"), soak_seconds=3600, stages=(Stage.OFFLINE, Stage.MACHINE)
)


def a_candidate(**more: Any) -> Candidate:
    values: dict[str, Any] = {
        "reference": "web@1.0.0/1",
        "standing": Standing(version_id=VersionId("web-1"), at=SOME_DAY),
        "reports": (a_report(Stage.OFFLINE), a_report(Stage.MACHINE)),
        "soaked_seconds": 3600,
    }
    return Candidate(**(values | more))


def revoked(of: str = "web-1") -> Standing:
    revocation = Revocation(
        id="r",
        version_id=VersionId(of),
        in_force_at=SOME_DAY - timedelta(days=1),
        act=Act(actor="ann", at=SOME_DAY - timedelta(days=1), why="bad"),
    )
    return Standing(version_id=VersionId("web-1"), at=SOME_DAY, revocation=revocation)


def refusal(
    candidate: Candidate, gate: ChannelGate | None = None
) -> PromotionRefused | GateRefused:
    with pytest.raises((PromotionRefused, GateRefused)) as caught:
        refuse_entry(candidate, "web@stable", gate)
    assert isinstance(caught.value, PromotionRefused | GateRefused)
    return caught.value


def test_entry_when_all_is_well_then_is_not_refused() -> None:
    refuse_entry(a_candidate(), "web@stable", GATE)
    refuse_entry(a_candidate(soaked_seconds=0), "web@stable", None)


def test_entry_when_revoked_then_says_who_why_and_how_to_clear_it() -> None:
    error = refusal(a_candidate(standing=revoked(), revoked="web@1.0.0/1"))

    assert error.context == "It is revoked by ann since 2026-02-28 12:30:15Z: bad"
    assert "imagebuilder image restore web@1.0.0/1 --message TEXT" in error.hint


def test_entry_when_revocation_is_inherited_then_says_where_from() -> None:
    error = refusal(a_candidate(standing=revoked("base-1"), revoked="base@1.0.0/1"))

    assert error.context.startswith("It descends from base@1.0.0/1, which is revoked by ann")
    assert "imagebuilder image restore base@1.0.0/1 --message TEXT" in error.hint


@pytest.mark.parametrize("lifecycle", [Lifecycle.DISABLED, Lifecycle.DELETED])
def test_entry_when_retention_ended_it_then_says_so(lifecycle: Lifecycle) -> None:
    standing = replace(a_candidate().standing, lifecycle=lifecycle)

    error = refusal(a_candidate(standing=standing))

    assert error.context == f"It is {lifecycle}."
    assert error.hint == "Build it again, or choose another version."


def test_entry_when_deprecated_then_is_not_refused() -> None:
    standing = replace(a_candidate().standing, lifecycle=Lifecycle.DEPRECATED)

    refuse_entry(a_candidate(standing=standing), "web@stable", None)


def test_entry_when_tests_failed_or_broke_then_names_their_stages() -> None:
    failed = a_report(Stage.BOOTED, test_a=Outcome.FAILED)
    broken = replace(a_report(Stage.MACHINE), crash="killed")

    error = refusal(a_candidate(reports=(a_report(Stage.OFFLINE), failed, broken)))

    assert error.context.splitlines() == [
        "Its booted tests did not pass.",
        "Its machine tests did not pass.",
    ]


def test_entry_when_much_is_missing_then_all_of_it_is_told_at_once() -> None:
    error = refusal(a_candidate(standing=revoked(), reports=(), soaked_seconds=0), GATE)

    assert isinstance(error, PromotionRefused)
    assert error.context.splitlines() == [
        "It is revoked by ann since 2026-02-28 12:30:15Z: bad",
        "It was never tested.",
        "It was never on web@candidate.",
        "It passed no offline tests.",
        "It passed no machine tests.",
    ]
    assert len(error.hint.splitlines()) == 5


def test_entry_when_only_the_gate_is_against_it_then_the_gate_is_named() -> None:
    error = refusal(a_candidate(reports=(a_report(Stage.OFFLINE),)), GATE)

    assert isinstance(error, GateRefused)
    assert error.message == "The gate of web@stable does not let web@1.0.0/1 in."
    assert error.context == "It passed no machine tests."


def test_entry_when_it_still_soaks_then_says_for_how_long() -> None:
    error = refusal(a_candidate(soaked_seconds=0, is_soaking=True), GATE)

    assert error.context == "It was on web@candidate for 0.0 s of 1 h 00 min."
    assert error.hint == "Try again in 1 h 00 min."


def test_entry_when_it_left_too_early_then_says_what_is_left() -> None:
    error = refusal(a_candidate(soaked_seconds=3000), GATE)

    assert error.hint == "Leave it on candidate for another 10 min 00 s."


def test_gate_when_kept_before_there_was_assurance_then_asks_for_what_it_did() -> None:
    kept = {"after": "candidate", "soak_seconds": 3600, "stages": ["offline", "machine"]}

    assert channel_gate_of(kept) == GATE
    assert channel_gate_of({**kept, "assurance": None}) == GATE


def test_entry_when_verdicts_object_then_the_gate_refuses_and_lists_each_once() -> None:
    objection = Objection(reason="CVE-1 is there.", remedy="Mend it")
    verdicts = (Verdict(at=SOME_DAY, objections=(objection,)),) * 2

    error = refusal(a_candidate(verdicts=verdicts))

    assert isinstance(error, GateRefused)
    assert (error.context, error.hint) == ("CVE-1 is there.", "Mend it.")
