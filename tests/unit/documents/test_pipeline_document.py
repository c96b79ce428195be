"""Pipeline documents: what a sound one says, and that it knows the events there are."""

import json
from pathlib import Path

from imagebuilder.documents.json_schema import DocumentKind, schema_text
from imagebuilder.documents.reader import read_pipeline
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ChannelName, PipelineName
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import (
    DEFAULT_POOL,
    NoticeKind,
    NoticeTarget,
    Overlap,
    Pipeline,
    StartCondition,
    Timing,
)
from imagebuilder.domain.schedule import cron_schedule, rate_schedule, zone_of
from imagebuilder.domain.severity import Severity

GOLDEN = Path(__file__).parents[2] / "golden/pipelines"


def read(name: str) -> Pipeline:
    return read_pipeline((GOLDEN / name).read_text(), name).value


def test_pipeline_with_every_key_says_what_is_written() -> None:
    assert read("every-key.yaml") == Pipeline(
        name=PipelineName("nightly-web"),
        description="What our web servers are made of.",
        recipe="../debian-web.yaml",
        timing=Timing(
            schedule=cron_schedule("0 3 * * 1-5", zone_of("Europe/Berlin")),
            starts=StartCondition.UPDATES_AVAILABLE,
            is_security_only=True,
            max_age_seconds=30 * 86400,
            spread_seconds=1800,
            pause_after=3,
        ),
        parameters={"nginx.worker_processes": "2", "nginx.user": "www", "nginx.gzip": "true"},
        matrix=Matrix(
            axes={"nginx.port": ("80", "8080"), "pool": ("build.amd64", "build.arm64")},
            include=({"nginx.port": "443", "pool": "build.amd64"},),
            exclude=({"nginx.port": "80", "pool": "build.arm64"},),
        ),
        overlap=Overlap.REPLACE,
        follows_parent=False,
        priority=-5,
        pool="build.amd64",
        channel=ChannelName("candidate"),
        needs_approval=True,
        gates=AssuranceGate(
            fail_on=Severity.HIGH,
            is_only_fixable=True,
            stops_known_exploited=True,
            profile="cis_level1_server",
            min_coverage=0.6,
            max_data_age_seconds=3 * 86400,
            tests=("booted", "pack:ssh"),
        ),
        distributions=("../distributions/small.yaml", "every-key.yaml"),
        time_limit_seconds=7200,
        attempts=5,
        notify=(
            NoticeTarget(
                kind=NoticeKind.WEBHOOK,
                to="https://hooks.example.org/images?of=web",
                events=("failed", "paused"),
                secret="env:HOOK_KEY",
            ),
            NoticeTarget(
                kind=NoticeKind.WEBHOOK,
                to="http://127.0.0.1:8000/hook",
                secret="file:/etc/imagebuilder/hook.key",
            ),
            NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org"),
            NoticeTarget(
                kind=NoticeKind.SNS,
                to="arn:aws:sns:eu-central-1:123456789012:images",
                events=("succeeded",),
            ),
            NoticeTarget(kind=NoticeKind.EVENTBRIDGE, to="default"),
        ),
        path="every-key.yaml",
        text=(GOLDEN / "every-key.yaml").read_text(),
    )


def test_pipeline_that_says_little_has_what_docs_say_of_the_rest() -> None:
    pipeline = read("small.yaml")

    assert pipeline.timing == Timing()
    assert (pipeline.overlap, pipeline.follows_parent) == (Overlap.QUEUE, True)
    assert (pipeline.pool, pipeline.attempts, pipeline.priority) == (DEFAULT_POOL, 3, 0)
    assert (pipeline.channel, pipeline.needs_approval) == (None, False)


def test_schedule_by_rate_is_of_utc_unless_a_zone_is_written() -> None:
    timing = read("rate.yaml").timing
    assert timing.schedule == rate_schedule("rate(6 hours)", zone_of("UTC"))
    assert timing.starts is StartCondition.ALWAYS


def test_schema_knows_just_the_events_there_are() -> None:
    properties = json.loads(schema_text(DocumentKind.PIPELINE))["properties"]
    listed = properties["notify"]["items"]["properties"]["on"]["items"]["enum"]
    assert listed == [event.value for event in Event]
