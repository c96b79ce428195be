"""Must we build? The same answer as a build would find, and its reasons."""

from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.need import Decision, ReasonKind, Verdict
from imagebuilder.domain.pipeline import StartCondition
from imagebuilder.domain.standing import NewestRevoked, Revocation
from imagebuilder.ports.building import MirrorUnreachable
from imagebuilder.services.pipelines.deciding import Deciding, DecisionAsked, Decisions
from tests.build import an_upgrade
from tests.fakes.archives import SECURITY, an_index
from tests.house import BASE, NGINX, WEB, House, a_component_text, a_recipe_text

GROUND = "@@ architecture amd64\nii |bash|1|amd64|bash|1\n@@ preferences\n@@ end\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def built(house: House) -> House:
    house.ground = GROUND
    house.packages = "ii |bash|1|amd64|bash|1\n"
    house.archives.indexes = [an_index(bash="1")]
    house.built()
    return house


def decision(house: House, path: str = WEB, **asked: Any) -> Decision:
    deciding = Deciding(lambda: Decisions(house.planning, house.building.missing_parents))
    return deciding.decide(DecisionAsked(recipe_path=path, **asked))


def kinds(decided: Decision) -> list[ReasonKind]:
    return [reason.kind for reason in decided.reasons]


def test_decide_when_it_was_never_built_then_builds(house: House) -> None:
    assert kinds(decision(house, BASE)) == [ReasonKind.NEVER_BUILT]


def test_decide_when_its_parent_was_never_built_then_builds(house: House) -> None:
    decided = decision(house)

    assert kinds(decided) == [ReasonKind.NEVER_BUILT]
    assert decided.text == "its parent image was never built"


def test_decide_when_no_recipe_makes_its_parent_then_says_so(house: House) -> None:
    house.documents.documents[WEB] = a_recipe_text("web", "image:nowhere")
    with pytest.raises(VersionNotFound):
        decision(house)


def test_decide_when_nothing_changed_then_skips_as_a_build_would(built: House) -> None:
    decided = decision(built)

    assert decided.verdict is Verdict.SKIP
    assert decided.text == "nothing changed since web@1.0.0/1"
    assert built.build().is_unchanged


def test_decide_of_a_variant_is_of_its_own_image(built: House) -> None:
    before = decision(built, variant="arm64")
    built.build(variant="arm64")

    assert kinds(before) == [ReasonKind.NEVER_BUILT]
    assert decision(built, variant="arm64").text == "nothing changed since web-arm64@1.0.0/1"


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"forced": True}, ReasonKind.ASKED_FOR),
        ({"when": StartCondition.ALWAYS}, ReasonKind.ALWAYS),
    ],
)
def test_decide_when_it_is_to_build_whatever_changed_then_does(
    built: House, asked: dict[str, Any], kind: ReasonKind
) -> None:
    assert kinds(decision(built, **asked)) == [kind]


def test_decide_when_a_parameter_is_set_then_builds_as_a_build_would(built: House) -> None:
    text = a_component_text("nginx") + "parameters: [{workers: {type: string, default: '1'}}]\n"
    built.documents.documents[NGINX] = text
    built.built()

    assert decision(built).verdict is Verdict.SKIP
    assert kinds(decision(built, overrides={"nginx.workers": "2"})) == [ReasonKind.RECIPE_CHANGED]
    assert not built.build(overrides={"nginx.workers": "2"}).is_unchanged


def test_decide_when_its_parent_moved_then_says_from_where_to_where(built: House) -> None:
    built.sources.day, built.pending = "tuesday", (an_upgrade("bash", old="1", new="2"),)
    built.archives.indexes += [an_index(SECURITY, bash="2")]
    assert kinds(decision(built, BASE)) == [ReasonKind.SECURITY_UPDATES]
    assert decision(built).verdict is Verdict.SKIP
    built.built(BASE)

    (reason,) = decision(built).reasons

    assert reason.kind is ReasonKind.PARENT_CHANGED
    assert (reason.moves[0].before, reason.moves[0].now) == ("base@1.0.0/1", "base@1.0.0/2")


def test_decide_when_only_security_is_asked_for_then_other_updates_wait(built: House) -> None:
    built.sources.day = "tuesday"
    built.archives.indexes = [an_index(bash="2")]

    assert kinds(decision(built, BASE)) == [ReasonKind.OS_UPDATES]
    waiting = decision(built, BASE, security_only=True)

    assert waiting.verdict is Verdict.SKIP
    assert waiting.passed_over[0].text == "1 update: bash 1 to 2"


def test_decide_when_layers_are_older_than_asked_then_builds(built: House) -> None:
    built.clock.advance(3 * 86400)

    assert kinds(decision(built, max_age_seconds=86400)) == [ReasonKind.MAX_AGE]
    assert decision(built, max_age_seconds=4 * 86400).verdict is Verdict.SKIP
    assert built.build(max_age_seconds=86400).version is not None


def test_decide_when_no_archive_answers_then_that_is_told(built: House) -> None:
    built.sources.fails = MirrorUnreachable("http://deb.example.org/debian", "no route")
    with pytest.raises(MirrorUnreachable):
        decision(built, BASE)


def test_decide_when_the_newest_is_revoked_and_nothing_changed_then_is_refused(
    built: House,
) -> None:
    newest, now = built.versions.versions[-1], built.clock.now()
    act = Act(actor="ann", at=now, why="it leaks keys")
    built.standings.revoke(
        Revocation(id="revocation-1", version_id=newest.id, in_force_at=now, act=act)
    )
    with pytest.raises(NewestRevoked):
        decision(built)
