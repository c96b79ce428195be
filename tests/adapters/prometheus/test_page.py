"""The page of metrics is what Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from imagebuilder.adapters.prometheus.page import PrometheusPage
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.measurement import Durations, Measurements, PoolLoad
from imagebuilder.domain.run import RunState, StepState

FAILED = Durations()
for seconds in (0.5, 61, 99_999):
    FAILED.add(seconds)

TAKEN = Measurements(
    open_runs={("web", RunState.QUEUED): 2, ('a "name"\n', RunState.RUNNING): 1},
    ended={("web", RunState.FAILED): FAILED},
    pools={"build.amd64": PoolLoad(queued=2, longest_seconds=7.5, slots=3, used=1)},
    executors=2,
    steps={StepState.CACHED: 5},
    decisions={"skip": 4},
    good_version_ages={PipelineName("web"): 86400.0},
    stuck={"web": 0},
    pipelines=9,
    paused=1,
    notices_waiting=3,
)


def samples() -> list[Sample]:
    page, content_type = PrometheusPage(lambda: TAKEN).page()
    assert content_type.startswith("text/plain; version=")
    families = text_string_to_metric_families(page.decode())
    return [sample for family in families for sample in family.samples]


def test_page_then_holds_every_number() -> None:
    found = {
        (sample.name.removeprefix("imagebuilder_"), tuple(sample.labels.values())): sample.value
        for sample in samples()
    }

    expected = {
        ("runs", ("web", "queued")): 2,
        ("runs", ('a "name"\n', "running")): 1,
        ("run_seconds_count", ("web", "failed")): 3,
        ("run_seconds_sum", ("web", "failed")): 100_060.5,
        ("queue_runs", ("build.amd64",)): 2,
        ("queue_oldest_seconds", ("build.amd64",)): 7.5,
        ("slots", ("build.amd64",)): 3,
        ("slots_used", ("build.amd64",)): 1,
        ("slots_free", ("build.amd64",)): 2,
        ("executors", ()): 2,
        ("steps_total", ("cached",)): 5,
        ("decisions_total", ("skip",)): 4,
        ("newest_good_version_age_seconds", ("web",)): 86400,
        ("runs_without_progress", ("web",)): 0,
        ("pipelines", ()): 9,
        ("pipelines_paused", ()): 1,
        ("notices_waiting", ()): 3,
    }
    assert expected.items() <= found.items()


def test_page_then_each_bucket_holds_those_before_it() -> None:
    buckets = {sample.labels["le"]: sample.value for sample in samples() if "le" in sample.labels}

    assert (buckets["1.0"], buckets["60.0"], buckets["180.0"]) == (1, 1, 2)
    assert (buckets["14400.0"], buckets["+Inf"]) == (2, 3)


def test_page_then_is_measured_anew_each_time_and_not_before() -> None:
    asked = []

    def measure() -> Measurements:
        asked.append(1)
        return TAKEN

    page = PrometheusPage(measure)
    assert asked == []
    page.page()
    page.page()
    assert len(asked) == 2
