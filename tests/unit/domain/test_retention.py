"""Which versions retention keeps: by table, and against a naive model under random histories."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.audit import Act
from imagebuilder.domain.distribution import Placement
from imagebuilder.domain.ids import ChannelName, DistributionId, ImageName, VersionId
from imagebuilder.domain.retention import (
    STEPS,
    Keeping,
    RetentionRule,
    Selection,
    Steps,
    Subject,
    Verdict,
    decide,
)
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.domain.versions import BuildVersion
from tests.build import SOME_DAY

DAY = 86400
AT_ONCE = Steps(deprecate_after=0, disable_after=0, delete_after=0)
PLACED = Placement(
    version_id=VersionId("v1"),
    target="aws",
    external_id="ami-1",
    placed=Act(actor="me", at=SOME_DAY),
)
ORDER = list(Verdict)


def a_subject(number: int = 1, **more: object) -> Subject:
    values: dict[str, object] = {
        "id": VersionId(f"v{number}"),
        "number": number,
        "image": ImageName("web"),
        "version": BuildVersion.parse(f"1.0.0/{number}"),
        "created_at": SOME_DAY + timedelta(days=number),
    } | more
    return Subject(**values)  # type: ignore[arg-type]


def a_rule(name: str = "all", **more: object) -> RetentionRule:
    values: dict[str, object] = {"select": Selection(images=("*",)), "then": AT_ONCE} | more
    return RetentionRule(name=name, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keep", "more"),
    [
        pytest.param(Keeping(last=1), {}, id="last"),
        pytest.param(Keeping(younger_than_seconds=31 * DAY), {}, id="for"),
        pytest.param(Keeping(), {"channels": (ChannelName("stable"),)}, id="channel"),
        pytest.param(Keeping(), {"children": ("child@1.0.0/1",)}, id="children"),
        pytest.param(Keeping(), {"placements": (PLACED,)}, id="placed"),
        pytest.param(Keeping(labels={"keep": "yes"}), {"labels": {"keep": "yes"}}, id="labels"),
    ],
)
def test_version_when_something_keeps_it_is_kept_and_the_reason_told(
    keep: Keeping, more: dict[str, Any]
) -> None:
    (decision,) = decide([a_subject(**more)], [a_rule(keep=keep)], SOME_DAY + timedelta(days=30))

    assert decision.verdict is Verdict.KEEP
    assert len(decision.reasons) == 1


def test_version_when_revoked_takes_no_slot_of_the_last() -> None:
    subjects = [a_subject(1), a_subject(2, is_revoked=True)]

    decisions = decide(subjects, [a_rule(keep=Keeping(last=1))], SOME_DAY + timedelta(days=30))

    assert [d.verdict for d in decisions] == [Verdict.DEPRECATE, Verdict.KEEP]


def test_version_when_two_documents_select_it_goes_by_the_one_that_keeps_most() -> None:
    rules = [a_rule("hard"), a_rule("soft", keep=Keeping(last=3))]

    (decision,) = decide([a_subject()], rules, SOME_DAY + timedelta(days=30))

    assert (decision.verdict, decision.rules) == (Verdict.KEEP, ("soft",))


def test_version_when_its_next_step_is_not_due_waits_and_the_day_is_told() -> None:
    rule = a_rule(then=Steps(deprecate_after=0, disable_after=14 * DAY))
    subject = a_subject(lifecycle=Lifecycle.DEPRECATED, since_at=SOME_DAY)

    (decision,) = decide([subject], [rule], SOME_DAY + timedelta(days=13))

    assert (decision.verdict, decision.next_step) == (Verdict.WAIT, Verdict.DISABLE)
    assert decision.due_at == SOME_DAY + timedelta(days=14)


def test_version_when_rule_ends_before_the_next_step_stays() -> None:
    rule = a_rule(then=Steps(deprecate_after=0))
    subject = a_subject(lifecycle=Lifecycle.DEPRECATED, since_at=SOME_DAY)

    assert decide([subject], [rule], SOME_DAY)[0].verdict is Verdict.KEEP


lifecycles = st.sampled_from([Lifecycle.ACTIVE, Lifecycle.DEPRECATED, Lifecycle.DISABLED])
waits = st.integers(0, 20).map(lambda days: days * DAY)


@st.composite
def histories(draw: st.DrawFn) -> list[Subject]:
    return [
        a_subject(
            number,
            image=ImageName(draw(st.sampled_from(["web", "db"]))),
            lifecycle=draw(lifecycles),
            since_at=SOME_DAY + timedelta(days=number + draw(st.integers(0, 20))),
            is_revoked=draw(st.booleans()),
            channels=draw(st.sampled_from([(), (), (ChannelName("stable"),)])),
            children=draw(st.sampled_from([(), (), ("child@1.0.0/1",)])),
            placements=draw(st.sampled_from([(), (), (PLACED,)])),
        )
        for number in range(1, draw(st.integers(1, 12)))
    ]


rules = st.lists(
    st.builds(
        RetentionRule,
        name=st.sampled_from(["one", "two"]),
        select=st.sampled_from([Selection(images=("*",)), Selection(images=("w?b",))]),
        keep=st.builds(
            Keeping,
            last=st.integers(0, 4),
            younger_than_seconds=st.none() | waits,
            on_channel=st.booleans(),
            with_children=st.booleans(),
            placed=st.booleans(),
        ),
        then=st.builds(Steps, deprecate_after=waits, disable_after=waits, delete_after=waits),
    ),
    max_size=3,
)
moments = st.integers(0, 60).map(lambda days: SOME_DAY + timedelta(days=days))


@given(subjects=histories(), given_rules=rules, at=moments)
def test_decisions_under_any_history_never_delete_what_is_in_use_nor_skip_a_step(
    subjects: list[Subject], given_rules: list[RetentionRule], at: datetime
) -> None:
    by_id = {subject.id: subject for subject in subjects}
    for decision in decide(subjects, given_rules, at):
        subject = by_id[decision.id]
        if decision.verdict in STEPS:
            assert STEPS[decision.verdict][0] is subject.lifecycle
        if subject.uses:
            assert decision.verdict not in (Verdict.DELETE, Verdict.DISABLE)
        assert decision.reasons


@given(subjects=histories(), given_rules=rules, at=moments, seed=st.randoms())
def test_decisions_do_not_depend_on_the_order_they_are_asked_in(
    subjects: list[Subject], given_rules: list[RetentionRule], at: datetime, seed: Random
) -> None:
    shuffled = list(subjects)
    seed.shuffle(shuffled)

    assert decide(shuffled, given_rules, at) == decide(subjects, given_rules, at)


@given(subjects=histories(), given_rules=rules, at=moments, more=rules)
def test_decisions_of_those_selected_keep_no_less_when_a_document_is_added(
    subjects: list[Subject],
    given_rules: list[RetentionRule],
    at: datetime,
    more: list[RetentionRule],
) -> None:
    fewer = {d.id: d.verdict for d in decide(subjects, given_rules, at)}
    for decision in decide(subjects, [*given_rules, *more], at):
        if decision.id in fewer:
            assert ORDER.index(decision.verdict) <= ORDER.index(fewer[decision.id])


@given(subjects=histories(), given_rules=rules, at=moments)
def test_decisions_equal_those_of_a_naive_model(
    subjects: list[Subject], given_rules: list[RetentionRule], at: datetime
) -> None:
    expected = {
        subject.id: min((_naive(r, subject, subjects, at) for r in chosen), key=ORDER.index)
        for subject in subjects
        if (chosen := [r for r in given_rules if subject.image == "web" or "*" in r.select.images])
    }

    found = decide(subjects, given_rules, at)

    assert {decision.id: decision.verdict for decision in found} == expected


def _naive(rule: RetentionRule, subject: Subject, subjects: list[Subject], at: datetime) -> Verdict:
    usable = [
        s
        for s in subjects
        if s.image == subject.image and not s.is_revoked and s.lifecycle is not Lifecycle.DISABLED
    ]
    keep = rule.keep
    age = (at - subject.created_at).total_seconds()
    last = usable[-keep.last :] if keep.last else []
    kept = (
        subject in last
        or (keep.younger_than_seconds is not None and age < keep.younger_than_seconds)
        or (keep.on_channel and subject.channels)
        or (keep.with_children and subject.children)
        or (keep.placed and subject.placements)
    )
    used = subject.channels or subject.children or subject.placements
    wait, step = {
        Lifecycle.ACTIVE: (rule.then.deprecate_after, Verdict.DEPRECATE),
        Lifecycle.DEPRECATED: (rule.then.disable_after, Verdict.DISABLE),
        Lifecycle.DISABLED: (rule.then.delete_after, Verdict.DELETE),
    }[Lifecycle(subject.lifecycle)]
    if kept or (used and step is not Verdict.DEPRECATE):
        return Verdict.KEEP
    since = (at - (subject.since_at or subject.created_at)).total_seconds()
    return step if wait is not None and since >= wait else Verdict.WAIT


def test_placement_when_a_distribution_brought_it_keeps_only_what_the_rule_lets_it() -> None:
    brought = replace(PLACED, distribution_id=DistributionId("distribution-1"))
    disabled: dict[str, Any] = {"lifecycle": Lifecycle.DEPRECATED, "since_at": SOME_DAY}
    at = SOME_DAY + timedelta(days=9)
    rule = a_rule(keep=Keeping(placed=False))

    (gone,) = decide([a_subject(placements=(brought,), **disabled)], [rule], at)
    (held,) = decide([a_subject(placements=(PLACED,), **disabled)], [rule], at)
    (kept,) = decide([a_subject(placements=(brought,), **disabled)], [a_rule()], at)

    assert (gone.verdict, held.verdict, kept.verdict) == (
        Verdict.DISABLE,
        Verdict.KEEP,
        Verdict.KEEP,
    )


def test_placement_when_withdrawn_keeps_nothing() -> None:
    gone = replace(PLACED, withdrawn=Act(actor="me", at=SOME_DAY))

    (decision,) = decide([a_subject(placements=(gone,))], [a_rule()], SOME_DAY + timedelta(days=9))

    assert decision.verdict is Verdict.DEPRECATE
