"""Pipeline documents: nodes to the domain's Pipeline, and places of what is known only later."""

from collections.abc import Iterator

from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import Entry, MappingNode, ScalarNode
from imagebuilder.documents.pipeline_checks import (
    DEFAULT_ZONE,
    ROWS,
    check_pipeline,
    matrix_at,
    seconds_in,
    settings_at,
)
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import (
    list_at,
    mapping_at,
    opened,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ChannelName, PipelineName
from imagebuilder.domain.pipeline import (
    DEFAULT_POOL,
    NoticeKind,
    NoticeTarget,
    Overlap,
    Pipeline,
    StartCondition,
    Timing,
)
from imagebuilder.domain.schedule import Schedule, cron_schedule, rate_schedule, zone_of
from imagebuilder.domain.severity import Severity

_DEFAULT_ATTEMPTS = 3


def pipeline_document_of(text: str, document: str) -> tuple[Pipeline, tuple[Problem, ...]]:
    """Give the pipeline a text writes, and warnings. Raises: InvalidDocument: with all faults.

    What only its recipe can tell is not filled in.
    """
    reading, root = opened(text, document, DocumentKind.PIPELINE)
    check_pipeline(reading, root)
    reading.problems.raise_faults()
    return _pipeline(root, text, document), reading.problems.warnings


def recipe_problem(pipeline: Pipeline, message: str, hint: str) -> Problem:
    """Give a problem at where a pipeline names its recipe."""
    return _problem_at(pipeline, "recipe", message, hint)


def distribution_problem(pipeline: Pipeline, message: str, hint: str) -> Problem:
    """Give a problem at where a pipeline names its distributions."""
    return _problem_at(pipeline, "distribution", message, hint)


def name_problem(pipeline: Pipeline, message: str, hint: str) -> Problem:
    """Give a problem at a pipeline's name."""
    return _problem_at(pipeline, "name", message, hint)


def _problem_at(pipeline: Pipeline, key: str, message: str, hint: str) -> Problem:
    reading, root = opened(pipeline.text, pipeline.path, DocumentKind.PIPELINE)
    return reading.source.problem(message, root.entries[key].value.origin, hint)


def setting_problem(pipeline: Pipeline, setting: str, message: str, hint: str) -> Problem:
    """Give a problem at where a pipeline sets component.parameter for the first time."""
    reading, root = opened(pipeline.text, pipeline.path, DocumentKind.PIPELINE)
    found = [entry for entry in _set_at(root) if entry.key.text == setting]
    origin = found[0].key.origin if found else root.origin
    return reading.source.problem(message, origin, hint)


def _set_at(root: MappingNode) -> Iterator[Entry]:
    matrix = mapping_at(root, "matrix")
    places = [mapping_at(root, "parameters"), matrix]
    places += [
        row
        for key in ROWS
        for row in (list_at(matrix, key) if matrix else ())
        if isinstance(row, MappingNode)
    ]
    for place in places:
        yield from place.entries.values() if place else ()


def _pipeline(root: MappingNode, text: str, document: str) -> Pipeline:
    """Make the pipeline of a document in which nothing is wrong."""
    channel = text_at(root, "channel")
    follows_parent = scalar_at(root, "follows_parent")
    return Pipeline(
        name=PipelineName(_written(root, "name")),
        recipe=_written(root, "recipe"),
        description=_written(root, "description"),
        timing=_timing(root),
        parameters=settings_at(mapping_at(root, "parameters")),
        matrix=matrix_at(root),
        overlap=Overlap(_written(root, "overlap", Overlap.QUEUE)),
        follows_parent=follows_parent is None or bool(follows_parent.value),
        priority=_number(root, "priority") or 0,
        pool=_written(root, "pool", DEFAULT_POOL),
        channel=ChannelName(channel.text) if channel else None,
        needs_approval=_written(root, "approval") == "required",
        gates=_gates(mapping_at(root, "gates")),
        distributions=texts_at(root, "distribution"),
        time_limit_seconds=_seconds(root, "timeout"),
        attempts=_number(root, "attempts") or _DEFAULT_ATTEMPTS,
        notify=tuple(
            _target(item) for item in list_at(root, "notify") if isinstance(item, MappingNode)
        ),
        path=document,
        text=text,
    )


def _gates(node: MappingNode | None) -> AssuranceGate | None:
    if node is None:
        return None
    coverage = scalar_at(node, "min_coverage")
    return AssuranceGate(
        fail_on=Severity(_written(node, "fail_on")) if "fail_on" in node.entries else None,
        is_only_fixable=_is_true(node, "only_fixable"),
        stops_known_exploited=_is_true(node, "known_exploited"),
        profile=_written(node, "profile") or None,
        min_coverage=None if coverage is None else float(str(coverage.value)),
        max_data_age_seconds=_seconds(node, "max_data_age"),
        tests=texts_at(node, "tests"),
    )


def _is_true(node: MappingNode, key: str) -> bool:
    value = scalar_at(node, key)
    return value is not None and value.value is True


def _timing(root: MappingNode) -> Timing:
    node = mapping_at(root, "schedule")
    max_age, pause_after = _seconds(root, "max_age"), _number(root, "pause_after")
    if node is None:
        return Timing(max_age_seconds=max_age, pause_after=pause_after)
    security_only = scalar_at(node, "security_only")
    return Timing(
        schedule=_schedule(node),
        starts=StartCondition(_written(node, "when", StartCondition.UPDATES_AVAILABLE)),
        is_security_only=security_only is not None and bool(security_only.value),
        max_age_seconds=max_age,
        spread_seconds=_seconds(node, "spread") or 0,
        pause_after=pause_after,
    )


def _schedule(node: MappingNode) -> Schedule:
    zone = zone_of(_written(node, "timezone", DEFAULT_ZONE))
    rate = text_at(node, "rate")
    return rate_schedule(rate.text, zone) if rate else cron_schedule(_written(node, "cron"), zone)


def _target(node: MappingNode) -> NoticeTarget:
    kind = next(kind for kind in NoticeKind if kind.value in node.entries)
    return NoticeTarget(
        kind=kind,
        to=_written(node, kind.value),
        events=texts_at(node, "on"),
        secret=_written(node, "secret"),
    )


def _written(node: MappingNode, key: str, default: str = "") -> str:
    value = text_at(node, key)
    return value.text if value else default


def _seconds(node: MappingNode, key: str) -> int | None:
    value = text_at(node, key)
    return seconds_in(value) if value else None


def _number(node: MappingNode, key: str) -> int | None:
    value = scalar_at(node, key)
    return int(float(str(value.value))) if isinstance(value, ScalarNode) else None
