"""The verdict, its words, and how they are kept."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.need import (
    Decision,
    Move,
    Reason,
    ReasonKind,
    Terms,
    Verdict,
    changed_tests,
    component_reason,
    decide,
    decision_of,
    parent_reason,
    recipe_reason,
    update_reasons,
)
from tests.build import an_upgrade

CHANGED = recipe_reason(["disk"])
SECURITY, UPDATES = update_reasons(
    [
        replace(an_upgrade("openssl", old="3.0.14-1", new="3.0.15-1"), is_security=True),
        an_upgrade("tzdata", old="1", new="2"),
    ]
)


def test_decide_when_nothing_was_found_then_skips_and_names_the_version() -> None:
    decision = decide([], Terms(), "web@1.0.0/3")

    assert decision.verdict is Verdict.SKIP
    assert decision.reasons == ()
    assert decision.text == "nothing changed since web@1.0.0/3"


def test_decide_when_something_changed_then_builds_with_all_reasons() -> None:
    decision = decide([CHANGED, UPDATES], Terms(), "web@1.0.0/3")

    assert decision.verdict is Verdict.BUILD
    assert decision.text == "its recipe changed: disk; 1 update: tzdata 1 to 2"


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        (Terms(is_asked_for=True), ReasonKind.ASKED_FOR),
        (Terms(is_always=True), ReasonKind.ALWAYS),
    ],
)
def test_decide_when_asked_for_or_always_then_builds_though_nothing_changed(
    terms: Terms, kind: ReasonKind
) -> None:
    decision = decide([], terms, "web@1.0.0/3")

    assert decision.verdict is Verdict.BUILD
    assert [reason.kind for reason in decision.reasons] == [kind]


def test_decide_when_only_security_counts_then_other_updates_are_passed_over() -> None:
    terms = Terms(is_security_only=True)

    skipped = decide([UPDATES], terms, "web@1.0.0/3")
    built = decide([SECURITY, UPDATES], terms, "web@1.0.0/3")

    assert skipped.verdict is Verdict.SKIP
    assert skipped.text == (
        "nothing changed since web@1.0.0/3 that counts: 1 update: tzdata 1 to 2"
    )
    assert built.reasons == (SECURITY,)
    assert built.passed_over == (UPDATES,)


def test_decide_when_only_security_counts_then_other_changes_still_do() -> None:
    assert decide([CHANGED], Terms(is_security_only=True)).verdict is Verdict.BUILD


def test_update_reasons_then_security_comes_first_with_versions() -> None:
    assert SECURITY.kind is ReasonKind.SECURITY_UPDATES
    assert SECURITY.text == "1 security update: openssl 3.0.14-1 to 3.0.15-1"
    assert UPDATES.kind is ReasonKind.OS_UPDATES
    assert UPDATES.moves == (Move(name="tzdata", before="1", now="2"),)
    assert update_reasons([]) == ()


def test_update_reasons_when_there_are_many_then_all_are_kept_and_some_are_shown() -> None:
    (reason,) = update_reasons([an_upgrade(f"p{n}", old="1", new="2") for n in range(7)])

    assert reason.text.startswith("7 updates: p0 1 to 2, p1 1 to 2")
    assert reason.text.endswith("p4 1 to 2 and 2 more")
    assert len(reason.moves) == 7


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (parent_reason("image:base@1.x", "a@1/1", "a@1/2"), "was a@1/1 and is a@1/2"),
        (parent_reason("rootfs:x", "", ""), "its parent rootfs:x changed"),
        (parent_reason("debian:x", "debian:x", "debian:x"), "its parent debian:x changed"),
        (component_reason([Move(name="a", before="1", now="2")]), "component changed: a 1 to 2"),
        (component_reason([Move(name="a", before="1", now="1")]), "a 1 does not do the same"),
        (component_reason([Move(name="a", now="1"), Move(name="b")]), "2 components changed: a 1"),
        (recipe_reason([]), "its recipe changed"),
        (changed_tests(["t/a", "t/b"]), "its tests changed: t/a, t/b"),
    ],
)
def test_reasons_then_say_what_was_and_what_is(reason: Reason, text: str) -> None:
    assert text in str(reason)


MOVES = st.builds(Move, name=st.text(), before=st.text(), now=st.text())
REASONS = st.builds(
    Reason, kind=st.sampled_from(ReasonKind), text=st.text(), moves=st.tuples(MOVES, MOVES)
)


@given(
    st.builds(
        Decision,
        verdict=st.sampled_from(Verdict),
        reasons=st.lists(REASONS, max_size=3).map(tuple),
        version=st.text(),
        passed_over=st.lists(REASONS, max_size=2).map(tuple),
    )
)
def test_decision_of_gives_what_was_kept(decision: Decision) -> None:
    assert decision_of(decision.document()) == decision
    assert canonical_json(decision.document())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"verdict": "maybe", "version": "", "reasons": [], "passed_over": []},
        {"verdict": "skip", "version": 1, "reasons": [], "passed_over": []},
        {"verdict": "skip", "version": "", "reasons": "none", "passed_over": []},
        {"verdict": "skip", "version": "", "reasons": [{"kind": "x"}], "passed_over": []},
    ],
)
def test_decision_of_what_is_none_then_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"kept as a mapping|is a (text|list)|is not a valid"):
        decision_of(document)  # type: ignore[arg-type]
