"""Pipelines: what they make, and that what is kept of one reads back as it was."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.pipeline import (
    NoticeKind,
    NoticeTarget,
    Overlap,
    Pipeline,
    Product,
    StartCondition,
    Timing,
    pipeline_of,
)
from imagebuilder.domain.schedule import cron_schedule, rate_schedule, zone_of
from tests.build import a_pipeline

TEXT = st.text(max_size=8)
SECONDS = st.none() | st.integers(0, 10**9)
SETTINGS = st.dictionaries(TEXT, TEXT, max_size=3)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]).map(zone_of)
SCHEDULES = st.none() | st.one_of(
    st.builds(
        cron_schedule,
        st.sampled_from(["0 3 * * *", "@daily", "*/5 9-17 * * MON-FRI", "cron(0 3 ? * 2#1 *)"]),
        ZONES,
    ),
    st.builds(rate_schedule, st.sampled_from(["rate(6 hours)", "1 day"]), ZONES),
)
TIMINGS = st.builds(
    Timing,
    schedule=SCHEDULES,
    starts=st.sampled_from(StartCondition),
    is_security_only=st.booleans(),
    max_age_seconds=SECONDS,
    spread_seconds=st.integers(0, 9999),
    pause_after=st.none() | st.integers(1, 9),
)
MATRICES = st.builds(
    Matrix,
    axes=st.dictionaries(TEXT, st.lists(TEXT, max_size=3).map(tuple), max_size=3),
    include=st.lists(SETTINGS, max_size=2).map(tuple),
    exclude=st.lists(SETTINGS, max_size=2).map(tuple),
)
TARGETS = st.builds(
    NoticeTarget,
    kind=st.sampled_from(NoticeKind),
    to=TEXT,
    events=st.lists(TEXT, max_size=2).map(tuple),
    secret=TEXT,
)
PIPELINES = st.builds(
    Pipeline,
    name=TEXT.map(PipelineName),
    recipe=TEXT,
    description=TEXT,
    recipe_path=TEXT,
    image=TEXT.map(ImageName),
    parent=TEXT,
    timing=TIMINGS,
    parameters=SETTINGS,
    matrix=st.none() | MATRICES,
    overlap=st.sampled_from(Overlap),
    follows_parent=st.booleans(),
    priority=st.integers(-100, 100),
    pool=TEXT,
    channel=st.none() | TEXT.map(ChannelName),
    needs_approval=st.booleans(),
    time_limit_seconds=SECONDS,
    attempts=st.integers(1, 9),
    notify=st.lists(TARGETS, max_size=2).map(tuple),
    path=TEXT,
    text=TEXT,
)


@given(PIPELINES)
def test_pipeline_when_kept_and_read_back_is_as_it_was(pipeline: Pipeline) -> None:
    kept = json.loads(canonical_json(pipeline.document()))

    read = pipeline_of(kept, path=pipeline.path, text=pipeline.text)

    assert read == pipeline
    assert canonical_json(read.document()) == canonical_json(pipeline.document())
    if pipeline.matrix is not None and read.matrix is not None:
        # The order of axes is that of the names of variants.
        assert list(read.matrix.axes) == list(pipeline.matrix.axes)


def test_document_holds_every_field_but_where_and_how_it_was_written() -> None:
    fields = {name for name in Pipeline.__slots__ if name not in ("path", "text")}
    document: Any = a_pipeline().document()
    assert set(document) == fields


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda kept: kept.pop("recipe"), "no pipeline"),
        (lambda kept: kept.update(timing=None), "no pipeline"),
        (lambda kept: kept.update(overlap="sometimes"), "sometimes"),
        (lambda kept: kept["timing"]["schedule"].update(timezone="Mars/Base"), "Mars/Base"),
        (lambda kept: kept["timing"]["schedule"].update(cron="* *"), "not a schedule"),
    ],
)
def test_pipeline_when_what_was_kept_is_damaged_is_refused(damage: Any, said: str) -> None:
    kept = json.loads(canonical_json(a_pipeline().document()))
    damage(kept)

    with pytest.raises(ValueError, match=said):
        pipeline_of(kept)


def test_products_without_matrix_are_the_recipes_own_image() -> None:
    pipeline = a_pipeline(parameters={"nginx.port": "80"})

    assert pipeline.products == (
        Product(
            variant="",
            image=ImageName("debian-web"),
            overrides={"nginx.port": "80"},
            pool="build.amd64",
        ),
    )


def test_products_of_a_matrix_each_have_their_image_and_their_pool() -> None:
    matrix = Matrix(axes={"nginx.port": ("80", "8080"), "pool": ("build.amd64", "build.arm64")})
    pipeline = a_pipeline(parameters={"nginx.port": "1", "nginx.user": "www"}, matrix=matrix)

    found = pipeline.products

    assert [product.image for product in found] == [
        "debian-web-80-amd64",
        "debian-web-80-arm64",
        "debian-web-8080-amd64",
        "debian-web-8080-arm64",
    ]
    assert [product.pool for product in found][:2] == ["build.amd64", "build.arm64"]
    assert found[2].overrides == {"nginx.port": "8080", "nginx.user": "www"}
    assert found[2].variant == "8080-amd64"


def test_pipelines_that_differ_only_in_text_have_the_same_document() -> None:
    pipeline = a_pipeline()
    assert replace(pipeline, text="other", path="elsewhere").document() == pipeline.document()
