"""The graph of what versions were made of, and how each stands to its parent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.ancestry import (
    Ancestry,
    EdgeKind,
    Facts,
    Inputs,
    LineageGraph,
    Meaning,
    graph_of,
    inputs_of,
    movable,
    narrowed,
    pair_of,
    stale_part,
)
from imagebuilder.domain.ids import ChannelName, VersionId
from imagebuilder.domain.lineage import Descent, Kin
from imagebuilder.domain.standing import Standing, State
from tests.build import SOME_DAY, a_digest, a_kin, a_layer, a_parent, a_revocation, a_version

BASE, WEB = VersionId("base-1"), VersionId("web-1")


def facts(
    kin: Sequence[Kin],
    meanings: Mapping[str, str | None] | None = None,
    channels: Mapping[str, Sequence[str]] | None = None,
    inputs: Mapping[VersionId, Inputs] | None = None,
) -> Facts:
    return Facts(
        standings={each.id: Standing(version_id=each.id, at=SOME_DAY) for each in kin},
        channels={
            VersionId(i): tuple(map(ChannelName, names)) for i, names in (channels or {}).items()
        },
        meanings={
            asked: None if now is None else Meaning(id=VersionId(now), reference=f"ref of {now}")
            for asked, now in (meanings or {}).items()
        },
        names={each.id: each.reference for each in kin},
        inputs=inputs or {},
    )


def graph(kin: Sequence[Kin], known: Facts | None = None) -> LineageGraph:
    return graph_of(Descent(focus=kin[0].id, kin=tuple(kin)), kin, known or facts(kin))


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("debian:bookworm", None),
        ("rootfs:base.tar", None),
        ("image:base", ("base", "", "latest")),
        ("image:base@stable", ("base", "stable", "stable")),
        ("image:base@x", ("base", "x", None)),
        ("image:base@1.x", ("base", "1.x", None)),
        ("image:base@1.2.3", ("base", "1.2.3", None)),
        ("image:base@1.2.3/4", None),
    ],
)
def test_movable_then_is_all_of_ours_but_an_exact_build(
    asked: str, meant: tuple[str, str, str | None] | None
) -> None:
    found = movable(asked)

    assert (None if found is None else (found.image, found.asked, found.channel)) == meant


@pytest.mark.parametrize(
    ("asked", "now", "status"),
    [
        ("image:base@1.x", BASE, Ancestry.UP_TO_DATE),
        ("image:base@1.x", "base-2", Ancestry.OUT_OF_DATE),
        ("image:base@1.x", None, Ancestry.OUT_OF_DATE),
        ("image:base@1.0.0/1", "base-2", Ancestry.UNDETERMINED),
    ],
)
def test_pair_then_compares_the_parent_with_what_was_asked_for_now(
    asked: str, now: str | None, status: Ancestry
) -> None:
    web = a_kin("web@1.0.0/1", parent=a_parent(BASE, asked=asked))

    pair = pair_of(web, facts([web], {asked: now}).meanings)

    assert pair.status is status
    assert pair.told == asked.removeprefix("image:base")


def test_pair_of_a_suite_then_is_undetermined() -> None:
    pair = pair_of(a_kin("base@1.0.0/1"), {})

    assert (pair.status, pair.now, pair.told) == (Ancestry.UNDETERMINED, None, "debian:bookworm")


def test_graph_when_an_ancestor_is_out_of_date_then_what_descends_is_stale() -> None:
    base = a_kin("base@1.0.0/1", id=BASE)
    web = a_kin("web@1.0.0/1", id=WEB, parent=a_parent(BASE, asked="image:base@1.x"))
    shop = a_kin("shop@1.0.0/1", id=VersionId("s"), parent=a_parent(WEB, asked="image:web@1.0.0/1"))

    made = graph([base, web, shop], facts([base, web, shop], {"image:base@1.x": "base-2"}))

    assert [(v.kin.image, v.is_stale) for v in made.versions] == [
        ("base", False),
        ("web", True),
        ("shop", True),
    ]


def test_graph_when_the_stale_ancestor_is_out_of_the_scope_then_is_stale_all_the_same() -> None:
    base = a_kin("base@1.0.0/1", id=BASE)
    web = a_kin("web@1.0.0/1", id=WEB, parent=a_parent(BASE, asked="image:base@1.x"))
    shop = a_kin("shop@1.0.0/1", id=VersionId("s"), parent=a_parent(WEB, asked="image:web@1.0.0/1"))
    descent = Descent(focus=shop.id, kin=(shop,))

    known = facts([shop], {"image:base@1.x": None})
    made = graph_of(descent, [shop, web, base], known)

    assert [v.is_stale for v in made.versions] == [True]
    assert made.edges == ()


def test_graph_when_a_revocation_is_inherited_then_says_from_where() -> None:
    base = a_kin("base@1.0.0/1", id=BASE)
    web = a_kin("web@1.0.0/1", id=WEB, parent=a_parent(BASE))
    known = facts([base, web])
    standing = Standing(version_id=WEB, at=SOME_DAY, revocation=a_revocation(BASE))
    known = replace(known, standings={**known.standings, WEB: standing})

    found = graph([base, web], known).versions[1]

    assert found.standing.state is State.REVOKED
    assert found.state_text == "revoked (inherited from base@1.0.0/1)"


def test_graph_with_inputs_then_has_components_indexes_plan_and_artifacts() -> None:
    version = a_version("web@1.0.0/1", id=WEB, layers=(a_layer("nginx"), a_layer("nginx")))
    web = a_kin("web@1.0.0/1", id=WEB)

    made = graph([web], facts([web], inputs={WEB: inputs_of(version)}))

    kinds = [(edge.kind, edge.parent == WEB) for edge in made.edges]
    assert kinds == [
        (EdgeKind.SUITE, False),
        (EdgeKind.COMPONENT, False),
        (EdgeKind.INDEX, False),
        (EdgeKind.PLAN, False),
        (EdgeKind.ARTIFACT, True),
    ]
    (component,) = (node for node in made.nodes if node.kind == "component")
    assert (component.label, component.digest) == ("nginx 1.0.0", a_digest("nginx 1.0.0"))


def test_graph_when_versions_share_an_input_then_it_is_one_node() -> None:
    kin = [a_kin("web@1.0.0/1"), a_kin("web@1.0.0/2")]
    inputs = {each.id: inputs_of(a_version()) for each in kin}

    made = graph(kin, facts(kin, inputs=inputs))

    assert sum(node.kind == "plan" for node in made.nodes) == 1
    assert sum(edge.kind is EdgeKind.PLAN for edge in made.edges) == 2


def test_graph_when_copied_then_has_an_edge_of_its_own() -> None:
    web = a_kin("web@1.0.0/1", id=WEB)
    copy = a_kin("mine@1.0.0/1", copied_from=WEB)

    edges = graph([web, copy]).edges

    assert [(e.parent, e.child) for e in edges if e.kind is EdgeKind.COPIED_FROM] == [
        (WEB, copy.id)
    ]


def test_stale_part_then_has_what_is_stale_and_current_and_the_way_to_it() -> None:
    base = a_kin("base@1.0.0/1", id=BASE)
    web = a_kin("web@1.0.0/1", id=WEB, parent=a_parent(BASE, asked="image:base@1.0.0/1"))
    old, new = (
        a_kin(f"shop@1.0.0/{build}", parent=a_parent(WEB, asked="image:web@1.x"))
        for build in (1, 2)
    )
    other = a_kin("other@1.0.0/1", parent=a_parent(BASE, asked="image:base@1.0.0/1"))
    kin = [base, web, old, new, other]
    known = facts(kin, {"image:web@1.x": "web-2"}, {new.id: ["latest"], other.id: ["latest"]})

    whole = graph(kin, known)

    assert [v.kin.id for v in stale_part(whole).versions] == [BASE, WEB, new.id]
    assert [v.kin.id for v in stale_part(whole, is_all=True).versions] == [
        BASE,
        WEB,
        old.id,
        new.id,
    ]


@st.composite
def families(draw: st.DrawFn) -> list[Kin]:
    count = draw(st.integers(1, 12))
    kin: list[Kin] = []
    for number in range(count):
        earlier = st.sampled_from([each.id for each in kin]) if kin else st.none()
        parent = draw(st.none() | earlier)
        copied = draw(st.none() | earlier)
        image = draw(st.sampled_from(["base", "web"]))
        asked = draw(st.sampled_from(["image:base@1.x", "image:web", "image:base@1.0.0/1"]))
        kin.append(
            a_kin(
                f"{image}@1.0.0/{number + 1}",
                parent=a_parent(parent, asked=asked) if parent else a_parent(),
                copied_from=copied,
            )
        )
    return kin


@given(families(), st.data())
def test_graph_then_has_no_circle_and_its_edges_end_in_it(
    kin: list[Kin], data: st.DataObject
) -> None:
    some = data.draw(st.lists(st.sampled_from(kin), min_size=1, unique_by=lambda each: each.id))
    inputs = {each.id: inputs_of(a_version()) for each in some}
    meanings = {"image:base@1.x": kin[0].id, "image:web": None}

    descent = Descent(focus=some[0].id, kin=tuple(some))
    made = graph_of(descent, kin, facts(kin, meanings, inputs=inputs))

    ids = [node.id for node in made.nodes]
    assert len(ids) == len(set(ids))
    assert all({edge.parent, edge.child} <= set(ids) for edge in made.edges)
    waiting = dict.fromkeys(ids, 0) | {}
    for edge in made.edges:
        waiting[edge.child] += 1
    free = [each for each, count in waiting.items() if not count]
    for node in free:
        for edge in made.edges:
            if edge.parent == node:
                waiting[edge.child] -= 1
                if not waiting[edge.child]:
                    free.append(edge.child)
    assert len(free) == len(ids)


@given(families(), st.sampled_from(["image:base@1.x", "image:web"]))
def test_stale_then_is_what_a_walk_over_all_parents_finds(kin: list[Kin], moved: str) -> None:
    by_id = {each.id: each for each in kin}
    meanings = {"image:base@1.x": kin[0].id, "image:web": kin[0].id, moved: None}

    def is_stale(each: Kin) -> bool:
        parent = each.parent.version_id
        if parent is None:
            return False
        is_moved = movable(each.parent.asked) and meanings[each.parent.asked] != parent
        return bool(is_moved) or is_stale(by_id[parent])

    made = graph(kin, facts(kin, meanings))

    assert {v.kin.id for v in made.versions if v.is_stale} == {k.id for k in kin if is_stale(k)}


@given(families(), st.data())
def test_narrowed_then_keeps_just_the_ways_between(kin: list[Kin], data: st.DataObject) -> None:
    whole = graph(kin)
    wanted = data.draw(st.sampled_from(kin)).id

    def ways(at: str) -> list[list[str]]:
        ups = [e.parent for e in whole.edges if e.child == at and e.parent in {k.id for k in kin}]
        return [[at]] + [[at, *way] for up in ups for way in ways(up)]

    focus = str(whole.focus)
    expected = {focus}
    for start, end in ((focus, wanted), (wanted, focus)):
        for way in ways(start):
            if way[-1] == end:
                expected |= set(way)

    related = expected != {focus} or wanted == focus
    kept = {v.kin.id for v in narrowed(whole, [wanted] if related else []).versions}

    assert kept == expected
