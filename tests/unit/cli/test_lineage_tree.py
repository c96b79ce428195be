"""A lineage as a tree that people can read."""

from collections.abc import Sequence

from imagebuilder.cli.lineage_tree import Branch, trees_of
from imagebuilder.domain.ancestry import Facts, LineageGraph, Meaning, graph_of, inputs_of
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.lineage import Descent, Kin
from imagebuilder.domain.standing import Lifecycle, Standing
from tests.build import SOME_DAY, a_kin, a_parent, a_revocation, a_version

BASE = a_kin("base@1.0.0/1")
NOW = Meaning(id=VersionId("base-2"), reference="base@1.4.0/1")


def a_graph(kin: Sequence[Kin], focus: Kin = BASE, **known: object) -> LineageGraph:
    facts = Facts(
        standings={each.id: Standing(version_id=each.id, at=SOME_DAY) for each in kin}
        | dict(known.get("standings", {})),  # type: ignore[call-overload]
        channels=known.get("channels", {}),  # type: ignore[arg-type]
        meanings=known.get("meanings", {}),  # type: ignore[arg-type]
        names={each.id: each.reference for each in kin},
        inputs=known.get("inputs", {}),  # type: ignore[arg-type]
    )
    return graph_of(Descent(focus=focus.id, kin=tuple(kin)), kin, facts)


def lines(branches: Sequence[Branch], depth: int = 0) -> list[str]:
    """Give a line for each branch, a dot for each generation."""
    told = []
    for branch in branches:
        mark = " <--" if branch.is_focus else ""
        remark = f" {branch.remark}" if branch.remark else ""
        told.append("." * depth + branch.label + remark + mark)
        told += ["." * depth + f"({detail})" for detail in branch.details]
        told += lines(branch.branches, depth + 1)
    return told


def drawn(graph: LineageGraph, *, is_all: bool = False, with_inputs: bool = False) -> list[str]:
    return lines(trees_of(graph, is_all=is_all, with_inputs=with_inputs))


def children(count: int, of: Kin = BASE, image: str = "web") -> list[Kin]:
    asked = f"image:{of.image}@1.0.0/1"
    return [
        a_kin(f"{image}@1.0.0/{n}", parent=a_parent(of.id, asked=asked))
        for n in range(1, count + 1)
    ]


def test_tree_when_siblings_are_many_then_counts_the_older_ones() -> None:
    assert drawn(a_graph([BASE, *children(30)])) == [
        "debian:bookworm",
        ".base@1.0.0/1 <--",
        "..web@1.0.0/30",
        "..web@1.0.0/29",
        "..web@1.0.0/28",
        "..… 27 older versions",
    ]


def test_tree_when_one_older_is_left_then_draws_it() -> None:
    assert drawn(a_graph([BASE, *children(4)]))[2:] == [f"..web@1.0.0/{n}" for n in (4, 3, 2, 1)]


def test_tree_when_older_ones_have_children_then_says_how_many() -> None:
    web = children(5)
    shops = [*children(2, web[0], "shop"), *children(1, web[1], "till")]

    assert drawn(a_graph([BASE, *web, *shops]))[-1] == "..… 2 older versions, and 3 built on them"


def test_tree_when_an_older_one_leads_to_the_focus_or_a_channel_then_draws_it() -> None:
    web = children(9)
    (shop,) = children(1, web[0], "shop")
    channels = {web[2].id: (ChannelName("stable"),)}

    assert drawn(a_graph([BASE, *web, shop], focus=shop, channels=channels))[2:] == [
        "..web@1.0.0/9",
        "..web@1.0.0/8",
        "..web@1.0.0/7",
        "..web@1.0.0/3 [stable]",
        "..web@1.0.0/1",
        "...shop@1.0.0/1 <--",
        "..… 4 older versions",
    ]


def test_tree_when_all_are_wanted_then_counts_none() -> None:
    assert len(drawn(a_graph([BASE, *children(30)]), is_all=True)) == 32


def test_tree_then_groups_by_image() -> None:
    kin = [BASE, *children(1, image="web"), *children(1, image="db"), *children(1, image="app")]

    assert drawn(a_graph(kin))[2:] == ["..app@1.0.0/1", "..db@1.0.0/1", "..web@1.0.0/1"]


def test_tree_then_says_what_is_out_of_date_and_what_is_stale_by_that() -> None:
    web = a_kin("web@1.0.0/1", parent=a_parent(BASE.id, asked="image:base@1.x"))
    (shop,) = children(1, web, "shop")
    channels = {web.id: (ChannelName("latest"), ChannelName("stable"))}

    told = drawn(a_graph([BASE, web, shop], meanings={"image:base@1.x": NOW}, channels=channels))

    assert told[2:] == [
        "..web@1.0.0/1 [latest, stable] out of date: @1.x is base@1.4.0/1 now",
        "...shop@1.0.0/1 stale",
    ]


def test_tree_when_what_was_asked_for_means_nothing_then_says_so() -> None:
    web = a_kin("web@1.0.0/1", parent=a_parent(BASE.id, asked="image:base"))

    told = drawn(a_graph([BASE, web], meanings={"image:base": None}))

    assert told[-1] == "..web@1.0.0/1 out of date: base is no version now"


def test_tree_when_up_to_date_then_says_what_was_asked_for() -> None:
    web = a_kin("web@1.0.0/1", parent=a_parent(BASE.id, asked="image:base@1.x"))
    now = Meaning(id=BASE.id, reference=BASE.reference)

    told = drawn(a_graph([BASE, web], meanings={"image:base@1.x": now}))

    assert told[-1] == "..web@1.0.0/1 (asked for @1.x)"


def test_tree_then_says_states_that_are_not_active() -> None:
    web, db = children(1)[0], children(1, image="db")[0]
    standings = {
        web.id: Standing(version_id=web.id, at=SOME_DAY, revocation=a_revocation(BASE.id)),
        db.id: Standing(version_id=db.id, at=SOME_DAY, lifecycle=Lifecycle.DEPRECATED),
    }

    told = drawn(a_graph([BASE, web, db], standings=standings))

    assert told[2:] == [
        "..db@1.0.0/1 deprecated",
        "..web@1.0.0/1 revoked (inherited from base@1.0.0/1)",
    ]


def test_tree_when_copied_then_hangs_on_its_source() -> None:
    web = children(1)[0]
    copy = a_kin("mine@1.0.0/1", parent=web.parent, copied_from=web.id)

    assert drawn(a_graph([BASE, web, copy]))[2:] == ["..web@1.0.0/1", "...mine@1.0.0/1 (a copy)"]


def test_tree_with_inputs_then_lists_them_under_their_version() -> None:
    told = drawn(a_graph([BASE], inputs={BASE.id: inputs_of(a_version())}), with_inputs=True)

    kinds = [line.strip(".(").split()[0] for line in told[2:]]
    assert kinds == ["component", "component", "index", "plan", "artifact"]
    assert told[0] == "debian:bookworm"


def test_tree_when_the_focus_has_no_parent_in_it_then_is_the_root() -> None:
    web = children(2)[0]

    assert drawn(a_graph([web], focus=web)) == ["web@1.0.0/1 <--"]
