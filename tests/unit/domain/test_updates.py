"""Updates kept and read again, and the line that people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import (
    HeldPackage,
    HoldReason,
    PlannedUpdate,
    recorded_updates,
    update_document,
    update_of,
    update_text,
    upgrades_document,
    upgrades_of,
)
from tests.build import an_update, an_upgrade

HELD = HeldPackage(name="sudo", version="1", available="2", reason=HoldReason.MARKED)
TEXT = st.text(max_size=5)
UPDATES = st.builds(
    PlannedUpdate,
    upgrades=st.lists(
        st.builds(
            Upgrade,
            name=TEXT,
            architecture=TEXT,
            old_version=TEXT,
            new_version=TEXT,
            origin=TEXT,
            is_security=st.booleans(),
            cves=st.none() | st.lists(TEXT).map(tuple),
        )
    ).map(tuple),
    held=st.lists(
        st.builds(
            HeldPackage,
            name=TEXT,
            version=TEXT,
            available=TEXT,
            reason=st.sampled_from(HoldReason),
            detail=TEXT,
        )
    ).map(tuple),
)


@given(UPDATES)
def test_update_of_when_it_was_kept_then_is_the_same_to_the_last_word(
    update: PlannedUpdate,
) -> None:
    # What stands beside a move is not compared, so the texts are.
    again = update_of(update_document(update))
    assert update_document(again) == update_document(update)
    assert again == update


def test_upgrades_of_when_they_were_kept_then_are_by_their_steps() -> None:
    upgrades = {"One": an_update(an_upgrade()), "Two": an_update(held=(HELD,))}
    assert upgrades_of(upgrades_document(upgrades)) == upgrades


@pytest.mark.parametrize(
    "document",
    [
        None,
        {"Upgrade": [["bash", "amd64", "1", "2"]]},
        {"Upgrade": {"upgrades": "none", "held": []}},
        {"Upgrade": {"upgrades": [{"name": 1}], "held": []}},
        {"Upgrade": {"upgrades": [], "held": [{"name": "a"}]}},
    ],
)
def test_upgrades_of_when_it_is_another_form_then_is_refused(document: Canonical) -> None:
    with pytest.raises(ValueError, match=r"(kept|list|text|reason)"):
        upgrades_of(document)


def test_recorded_updates_then_are_those_of_all_components() -> None:
    answer = upgrades_document({"Upgrade": an_update(an_upgrade("bash"), held=(HELD,))})
    other = upgrades_document({"Upgrade": an_update(an_upgrade("curl"), held=(HELD,))})
    assert recorded_updates({"upgrades": {"q1": answer, "q2": other}}) == an_update(
        an_upgrade("bash"), an_upgrade("curl"), held=(HELD,)
    )


@pytest.mark.parametrize(
    "plan", [None, {}, {"upgrades": {"q": {"Upgrade": [["bash", "amd64", "1", "2"]]}}}]
)
def test_recorded_updates_when_the_plan_has_none_then_there_are_none(plan: Canonical) -> None:
    assert recorded_updates(plan) == an_update()


def an_upgrade_with(name: str, *cves: str) -> Upgrade:
    return Upgrade(
        name=name,
        architecture="all",
        old_version="1",
        new_version="2",
        is_security=bool(cves),
        cves=cves,
    )


@pytest.mark.parametrize(
    ("update", "text"),
    [
        (an_update(), "0 packages"),
        (an_update(an_upgrade("a")), "1 package"),
        (an_update(an_upgrade_with("a")), "1 package, 0 CVEs"),
        (
            an_update(an_upgrade_with("a", "CVE-1", "CVE-2"), an_upgrade_with("b", "CVE-2")),
            "2 packages, 2 of them security, 2 CVEs",
        ),
        (an_update(held=(HELD,)), "0 packages, 1 held"),
    ],
)
def test_update_text_then_counts_what_there_is(update: PlannedUpdate, text: str) -> None:
    assert update_text([update]) == text


def test_held_package_then_reads_with_its_reason() -> None:
    assert str(HELD) == "sudo stays at 1, not 2 (marked hold)"
