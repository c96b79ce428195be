"""Cascades: who runs after a publication, in which order, and circles that are refused."""

from collections.abc import Sequence
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.cascade import (
    CascadeCircular,
    CascadeStep,
    Follower,
    Publication,
    cascade_of,
    followers_of,
    refuse_circle,
)
from imagebuilder.domain.ids import ChannelName, ImageName
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.pipeline import Pipeline
from imagebuilder.domain.versions import BuildVersion
from tests.build import a_pipeline

BASE = Publication(image=ImageName("base"), version=BuildVersion.parse("1.2.0/3"))
STABLE = Publication(image=BASE.image, version=BASE.version, channel=ChannelName("stable"))


def made(name: str, parent: str, image: str = "", **more: object) -> Pipeline:
    """Give a pipeline that makes an image of its own name, unless another is named."""
    return a_pipeline(name, image=ImageName(image or name), parent=parent, **more)


def steps(publication: Publication, *pipelines: Pipeline) -> tuple[CascadeStep, ...]:
    return cascade_of(followers_of(pipelines), publication)


def names(publication: Publication, *pipelines: Pipeline) -> list[str]:
    return [step.follower.name for step in steps(publication, *pipelines)]


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ("image:base", ["web"]),
        ("image:base@latest", ["web"]),
        ("image:base@1.x", ["web"]),
        ("image:base@1.2.0", ["web"]),
        ("image:base@2.x", []),
        ("image:base@1.2.0/3", []),
        ("image:base@stable", []),
        ("image:other", []),
        ("debian:bookworm", []),
        ("", []),
    ],
)
def test_cascade_of_a_version_has_whom_it_may_be_the_newest_for(asked: str, due: list[str]) -> None:
    assert names(BASE, made("web", asked)) == due


@pytest.mark.parametrize(
    ("asked", "due"),
    [("image:base@stable", ["web"]), ("image:base@candidate", []), ("image:base@1.x", [])],
)
def test_cascade_of_a_moved_channel_has_whom_asks_for_it(asked: str, due: list[str]) -> None:
    assert names(STABLE, made("web", asked)) == due


def test_cascade_leaves_out_whom_does_not_follow() -> None:
    assert names(BASE, made("web", "image:base", follows_parent=False)) == []


def test_cascade_says_why_and_how_deep() -> None:
    shop = made("shop", "image:web@1.x")
    web = made("web", "image:base@1.x")

    found = steps(BASE, shop, web)
    (moved,) = steps(STABLE, made("web", "image:base@stable"))

    assert [(s.follower.name, s.depth, s.after) for s in found] == [
        ("web", 1, ()),
        ("shop", 2, (0,)),
    ]
    assert found[0].why == "base@1.2.0/3 was published; it is built on image:base@1.x"
    assert found[1].why == "web may publish a new image:web@1.x"
    assert moved.why == "base@stable is base@1.2.0/3 now"


def test_cascade_goes_on_over_the_channel_that_a_pipeline_moves_and_no_other() -> None:
    web = made("web", "image:base", channel=ChannelName("candidate"))
    shop, blog = made("shop", "image:web@candidate"), made("blog", "image:web@stable")

    assert names(BASE, web, shop, blog) == ["web", "shop"]


def test_cascade_over_a_diamond_runs_its_end_once_and_last() -> None:
    nightly, weekly = made("nightly", "image:base", "web"), made("weekly", "image:base", "web")
    shop = made("a-shop", "image:web")

    found = steps(BASE, shop, weekly, nightly)

    assert [step.follower.name for step in found] == ["nightly", "weekly", "a-shop"]
    assert (found[2].depth, found[2].after) == (2, (0, 1))
    assert found[2].why == "nightly or weekly may publish a new image:web"


def test_cascade_runs_each_variant_and_follows_the_one_that_is_named() -> None:
    web = made("web", "image:base", matrix=Matrix(axes={"a.b": ("1", "2")}))

    found = steps(BASE, web, made("shop", "image:web-2"), made("blog", "image:web"))

    assert [step.follower.name for step in found] == ["web [1]", "web [2]", "shop"]
    assert found[2].after == (1,)


def test_cascade_when_a_circle_came_about_ends() -> None:
    circle = [made("a", "image:c"), made("b", "image:a"), made("c", "image:b")]
    assert names(Publication(image=ImageName("c"), version=BASE.version), *circle) == [
        "a",
        "b",
        "c",
    ]


def test_cascade_of_ten_thousand_in_a_row_reaches_the_last() -> None:
    row = [made("p0", "image:base"), *(made(f"p{n}", f"image:p{n - 1}") for n in range(1, 10_000))]
    found = steps(BASE, *row)
    assert (found[-1].follower.name, found[-1].depth) == ("p9999", 10_000)
    refuse_circle(followers_of(row))


def test_circle_is_refused_with_all_of_it() -> None:
    pipelines = [
        made("shop", "image:web@1.x"),
        made("web", "image:base@stable"),
        made("nightly", "image:shop", "base"),
        made("tail", "image:shop"),
    ]

    with pytest.raises(CascadeCircular) as caught:
        refuse_circle(followers_of(pipelines))

    assert caught.value.context == (
        "nightly makes base on image:shop; web makes web on image:base@stable; "
        "shop makes shop on image:web@1.x; which starts nightly again"
    )


def test_circle_of_one_is_refused() -> None:
    web = made("web", "image:web-2", matrix=Matrix(axes={"a.b": ("1", "2")}))
    with pytest.raises(CascadeCircular):
        refuse_circle(followers_of([web]))


def test_circle_that_somebody_does_not_follow_is_none() -> None:
    refuse_circle(followers_of([made("a", "image:b", follows_parent=False), made("b", "image:a")]))


IMAGES = [f"i{n}" for n in range(6)]
EDGES = st.lists(st.tuples(st.sampled_from(IMAGES), st.sampled_from(IMAGES)), max_size=12)


def pipelines_of(edges: Sequence[tuple[str, str]]) -> tuple[Follower, ...]:
    """Give a pipeline for each edge: on the first image it makes the second."""
    numbered = enumerate(edges)
    return followers_of(made(f"p{n:02d}", f"image:{on}", image) for n, (on, image) in numbered)


def is_circular(edges: Sequence[tuple[str, str]]) -> bool:
    """Say the same slowly: whether some image leads to itself."""
    leads = set(edges)
    for _ in IMAGES:
        leads |= {(a, d) for a, b in leads for c, d in leads if b == c}
    return any(a == b for a, b in leads)


@given(EDGES)
def test_cascade_has_each_once_and_whom_it_stands_on_before_it(
    edges: Sequence[tuple[str, str]],
) -> None:
    followers = pipelines_of(edges)
    start = Publication(image=ImageName("i0"), version=BASE.version)

    found = cascade_of(followers, start)

    ran = [step.follower for step in found]
    reached, images = set[Follower](), {"i0"}
    for _ in followers:
        reached |= {f for f in followers if f.follows.image in images}
        images |= {f.image for f in reached}
    assert len(ran) == len(set(ran))
    assert set(ran) == reached
    for place, step in enumerate(found):
        assert all(above < place for above in step.after)
        assert step.depth == 1 + max((found[n].depth for n in step.after), default=0)
    if not is_circular(edges):
        for step in found:
            above = {f for f in reached if f.image == step.follower.follows.image}
            assert {ran[n] for n in step.after} == above


@given(EDGES)
def test_circle_is_refused_exactly_when_there_is_one(edges: Sequence[tuple[str, str]]) -> None:
    is_refused = is_circular(edges)
    with pytest.raises(CascadeCircular) if is_refused else nullcontext():
        refuse_circle(pipelines_of(edges))


@given(st.permutations(["p00", "p01", "p02", "p03"]))
def test_cascade_does_not_depend_on_the_order_of_pipelines(order: Sequence[str]) -> None:
    known = {
        "p00": made("p00", "image:base", "a"),
        "p01": made("p01", "image:base", "b"),
        "p02": made("p02", "image:a", "c"),
        "p03": made("p03", "image:b", "c"),
    }
    assert names(BASE, *(known[name] for name in order)) == names(BASE, *known.values())
