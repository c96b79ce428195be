"""PrometheusPage: measurements as a page of metrics, taken when it is asked for."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from imagebuilder.domain.measurement import DURATION_BUCKETS, Durations, Measurements, PoolLoad


class PrometheusPage:
    """Makes pages."""

    def __init__(self, measure: Callable[[], Measurements]) -> None:
        """Ask `measure` for each page."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(measure))

    def page(self) -> tuple[bytes, str]:
        """Give a page, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Collector(Collector):
    def __init__(self, measure: Callable[[], Measurements]) -> None:
        self._measure = measure

    def describe(self) -> Iterable[Metric]:
        """Give nothing: to register is not to measure."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Measure, and give each metric."""
        taken = self._measure()
        yield from _of_runs(taken)
        yield from _of_pools(taken)
        yield from _of_pipelines(taken)
        yield _gauge("notices_waiting", "Notices that did not arrive yet.", taken.notices_waiting)


def _of_runs(taken: Measurements) -> Iterator[Metric]:
    runs = _family("runs", "Runs that are not over.", "pipeline", "state")
    for (pipeline, state), count in sorted(taken.open_runs.items()):
        runs.add_metric([pipeline, state.value], count)
    yield runs
    took = HistogramMetricFamily(
        "imagebuilder_run_seconds",
        "How long runs took that ended since this process began, by how they ended.",
        labels=["pipeline", "state"],
    )
    for (pipeline, state), durations in sorted(taken.ended.items()):
        took.add_metric([pipeline, state.value], _buckets(durations), durations.total_seconds)
    yield took
    steps = CounterMetricFamily(
        "imagebuilder_steps",
        "Steps of runs that ended since this process began; cached ones were taken from layers.",
        labels=["state"],
    )
    for step_state, count in sorted(taken.steps.items()):
        steps.add_metric([step_state.value], count)
    yield steps
    stuck = _family(
        "runs_without_progress",
        "Runs at work of which no stage or step began for half an hour.",
        "pipeline",
    )
    for pipeline, count in sorted(taken.stuck.items()):
        stuck.add_metric([pipeline], count)
    yield stuck


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """Give buckets as Prometheus counts them: each holds those before it, too."""
    limits = [*map(str, DURATION_BUCKETS), "+Inf"]
    return list(zip(limits, map(float, accumulate(durations.counts)), strict=True))


def _of_pools(taken: Measurements) -> Iterator[Metric]:
    numbers: tuple[tuple[str, str, Callable[[PoolLoad], float]], ...] = (
        ("queue_runs", "Runs that wait for a pool.", lambda load: load.queued),
        (
            "queue_oldest_seconds",
            "For how long the run waits that waits longest for a pool.",
            lambda load: load.longest_seconds,
        ),
        ("slots", "Runs that the workers of a pool take at once.", lambda load: load.slots),
        ("slots_used", "Runs at work in a pool.", lambda load: load.used),
        ("slots_free", "Runs that a pool could still take.", lambda load: load.free),
    )
    for name, help_text, number in numbers:
        family = _family(name, help_text, "pool")
        for pool, load in taken.pools.items():
            family.add_metric([pool], number(load))
        yield family
    yield _gauge("executors", "Processes that do work, and are alive.", taken.executors)


def _of_pipelines(taken: Measurements) -> Iterator[Metric]:
    yield _gauge("pipelines", "Pipelines in force.", taken.pipelines)
    yield _gauge("pipelines_paused", "Pipelines that start nothing by themselves.", taken.paused)
    ages = _family(
        "newest_good_version_age_seconds",
        "How old the newest version is that may be used, of a pipeline's oldest variant.",
        "pipeline",
    )
    for pipeline, age in sorted(taken.good_version_ages.items()):
        ages.add_metric([pipeline], age)
    yield ages
    decisions = CounterMetricFamily(
        "imagebuilder_decisions",
        "Decisions whether to build, since this process began.",
        labels=["verdict"],
    )
    for verdict, count in sorted(taken.decisions.items()):
        decisions.add_metric([verdict], count)
    yield decisions


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"imagebuilder_{name}", help_text, value=value)


def _family(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"imagebuilder_{name}", help_text, labels=labels)
