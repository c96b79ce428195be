"""Recipes that are built on AMIs: each is fetched once, and is an image of ours from then on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.image import ImageVersion, VersionNotFound
from imagebuilder.domain.need import ReasonKind
from imagebuilder.domain.recipe import AmiParent
from imagebuilder.domain.standing import Lifecycle, ParentUnusable, Revocation
from imagebuilder.domain.target import TargetUnavailable
from imagebuilder.ports.foreign import ForeignImageRefused
from imagebuilder.ports.targets import TargetRefused
from imagebuilder.services.pipelines.deciding import Deciding, DecisionAsked, Decisions
from tests.house import BASE, WEB, House, a_recipe_text

PARENT = "ami:eu-central-1/ami-0123456789abcdef0"
AMI = AmiParent(ami="ami-0123456789abcdef0", region="eu-central-1")
NAME = "ami-0123456789abcdef0.eu-central-1"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    (tmp_path / "given").write_bytes(b"its disk")
    house.packages = "ii |bash|5.2-1|amd64|bash|5.2-1"
    house.documents.documents[WEB] = a_recipe_text("web", PARENT)
    return house


def revoke(house: House, version: ImageVersion) -> None:
    revoked = Revocation(
        id="one",
        version_id=version.id,
        in_force_at=house.clock.now(),
        act=Act(actor="ann", at=house.clock.now(), why="it leaks keys"),
        rolls_channels_back=True,
    )
    house.standings.revoke(revoked)


def retire(house: House, version: ImageVersion) -> None:
    house.standings.set_lifecycle(version.id, Lifecycle.DELETED, house.clock.now())


def test_build_when_the_ami_is_not_at_hand_then_it_is_recorded_and_built_upon(
    house: House,
) -> None:
    web = house.built(WEB)

    base = house.versions.versions[0]
    assert base.reference == f"{NAME}@1.0.0/1"
    assert base.is_imported
    assert (web.parent.asked, web.parent.version_id) == (PARENT, base.id)
    assert web.layers[0].content == base.layers[0].content
    assert [(ami.ami, ami.region) for ami in house.amis.asked] == [(AMI.ami, AMI.region)]


def test_build_when_the_ami_is_at_hand_then_it_is_not_fetched_again(house: House) -> None:
    house.built(WEB)
    house.documents.documents[BASE] = a_recipe_text("base", PARENT)

    again = house.build(WEB)
    base = house.built(BASE)

    assert again.is_unchanged
    assert base.parent.version_id == house.versions.versions[0].id
    assert len(house.amis.asked) == 1


def test_build_when_the_recipe_names_another_ami_then_it_is_another_definition(
    house: House,
) -> None:
    first = house.built(WEB)
    house.documents.documents[WEB] = a_recipe_text("web", f"{PARENT[:-1]}1")

    second = house.built(WEB)

    # The disks are the same here: it is the id that tells them apart.
    assert second.layers[0] == first.layers[0]
    assert second.definition_digest != first.definition_digest


def test_build_when_the_parent_of_the_parent_is_an_ami_then_it_is_fetched_first(
    house: House,
) -> None:
    house.documents.documents[BASE] = a_recipe_text("base", PARENT)
    house.documents.documents[WEB] = a_recipe_text("web", "image:base")

    house.built(WEB)

    assert [version.image for version in house.versions.versions] == [NAME, "base", "web"]


def test_build_when_the_ami_is_revoked_then_is_refused_and_nothing_is_fetched(
    house: House,
) -> None:
    house.built(WEB)
    revoke(house, house.versions.versions[0])

    with pytest.raises(ParentUnusable):
        house.build(WEB)

    assert len(house.amis.asked) == 1


def test_build_when_retention_ended_the_ami_then_it_is_fetched_anew(house: House) -> None:
    house.built(WEB)
    retire(house, house.versions.versions[0])

    house.build(WEB)

    assert [v.reference for v in house.versions.versions if v.image == NAME] == [
        f"{NAME}@1.0.0/1",
        f"{NAME}@1.0.0/2",
    ]


def test_build_when_the_ami_is_soon_to_go_then_it_is_told(house: House) -> None:
    house.built(WEB)
    parent = house.versions.versions[0]
    house.standings.set_lifecycle(parent.id, Lifecycle.DEPRECATED, house.clock.now())

    assert any("is deprecated" in warning for warning in house.build(WEB, refresh=True).warnings)


@pytest.mark.parametrize(
    "failure",
    [
        ForeignImageRefused(Path("ami.raw"), "It has no ext4."),
        TargetRefused(PARENT, "ec2:DescribeImages", "Nobody sees it.", "See the id."),
    ],
    ids=lambda failure: failure.code,
)
def test_build_when_the_ami_cannot_be_taken_then_its_place_in_the_recipe_is_told(
    house: House, failure: ImageBuilderError
) -> None:
    house.unopened = failure

    with pytest.raises(type(failure)) as caught:
        house.build(WEB)

    assert str(caught.value.origin) == f"{WEB}:4:9"


def test_build_when_aws_does_not_answer_then_no_document_is_blamed(house: House) -> None:
    house.unopened = TargetUnavailable("aws:1/eu-central-1", "ec2:DescribeImages", "It is away.")

    with pytest.raises(TargetUnavailable) as caught:
        house.build(WEB)

    assert caught.value.origin is None


def decided(house: House) -> tuple[ReasonKind, str]:
    decisions = Decisions(house.planning, house.building.missing_parents)
    (reason,) = Deciding(lambda: decisions).decide(DecisionAsked(recipe_path=WEB)).reasons
    return reason.kind, reason.text


@pytest.mark.parametrize("ended", [lambda house: None, retire], ids=["never-fetched", "retired"])
def test_decide_when_the_ami_is_not_at_hand_then_builds(
    house: House, ended: Callable[..., None]
) -> None:
    if ended is retire:
        house.built(WEB)
        retire(house, house.versions.versions[0])

    assert decided(house) == (
        ReasonKind.NEVER_BUILT,
        f"its parent {PARENT} is not at hand",
    )
    assert len(house.amis.asked) == (1 if ended is retire else 0)


def test_plan_when_the_ami_is_not_at_hand_then_says_how_it_is_fetched(house: House) -> None:
    with pytest.raises(VersionNotFound) as missing:
        house.prepare(WEB)

    assert f"image import --ami {AMI.ami} --region {AMI.region}" in missing.value.hint


def test_recorded_when_the_ami_was_fetched_anew_then_is_the_one_it_was_built_on(
    house: House,
) -> None:
    web = house.built(WEB)
    retire(house, house.versions.versions[0])
    house.build(WEB)

    prepared = house.planning.recorded(house.request(WEB), web)

    assert prepared.plan.parent.version_id == web.parent.version_id
