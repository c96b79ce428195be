"""Retention documents: nodes to the domain's RetentionRule."""

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.json_schema import DocumentKind
from imagebuilder.documents.nodes import MappingNode, ScalarNode
from imagebuilder.documents.problems import Problem
from imagebuilder.documents.reading import (
    OpenDocument,
    mapping_at,
    opened,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.domain.retention import Keeping, RetentionRule, Selection, Steps
from imagebuilder.domain.units import duration_seconds

_DURATIONS = {
    "keep": ("for", "launched_within"),
    "then": ("deprecate_after", "disable_after", "delete_after"),
}
_LONGEST_SECONDS = 100 * 366 * 86400
_BEFORE = {"disable_after": "deprecate_after", "delete_after": "disable_after"}


def retention_of(text: str, document: str) -> tuple[RetentionRule, tuple[Problem, ...]]:
    """Give the rule a text writes, and warnings. Raises: InvalidDocument: with all faults."""
    reading, root = opened(text, document, DocumentKind.RETENTION)
    _check_steps(reading, root)
    _check_durations(reading, root)
    reading.problems.raise_faults()
    return _rule(root, text, document), reading.problems.warnings


def _check_steps(reading: OpenDocument, root: MappingNode) -> None:
    """See that no step is left out on the way to another."""
    then = mapping_at(root, "then")
    for step, before in _BEFORE.items():
        if then is not None and step in then.entries and before not in then.entries:
            # The schema has reported that the first is missing.
            if before == "deprecate_after":
                continue
            reading.fault(
                f"The key {quoted(step)} needs {quoted(before)}: no step is skipped.",
                then.entries[step].key.origin,
                f"Add {before}, such as {before}: 0d.",
            )


def _check_durations(reading: OpenDocument, root: MappingNode) -> None:
    for part, keys in _DURATIONS.items():
        node = mapping_at(root, part)
        for key in keys:
            written = None if node is None else text_at(node, key)
            if written is not None and (_seconds_in(written) or 0) > _LONGEST_SECONDS:
                reading.fault("Nothing waits that long.", written.origin, "Write at most 36500d.")


def _rule(root: MappingNode, text: str, document: str) -> RetentionRule:
    """Make the rule of a document in which nothing is wrong."""
    select, keep = mapping_at(root, "select"), mapping_at(root, "keep")
    name = text_at(root, "name")
    return RetentionRule(
        name=name.text if name else "",
        select=Selection(
            images=texts_at(select, "images") if select else (), labels=_labels(select)
        ),
        keep=_keeping(keep) if keep else Keeping(),
        then=_steps(mapping_at(root, "then")),
        path=document,
        text=text,
    )


def _keeping(node: MappingNode) -> Keeping:
    last = scalar_at(node, "last")
    return Keeping(
        last=int(str(last.value)) if last else 0,
        younger_than_seconds=_seconds(node, "for"),
        on_channel=_is_wanted(node, "on_channel"),
        with_children=_is_wanted(node, "with_children"),
        placed=_is_wanted(node, "placed"),
        launched_within_seconds=_seconds(node, "launched_within"),
        labels=_labels(node),
    )


def _steps(node: MappingNode | None) -> Steps:
    return Steps(
        deprecate_after=_seconds(node, "deprecate_after"),
        disable_after=_seconds(node, "disable_after"),
        delete_after=_seconds(node, "delete_after"),
    )


def _is_wanted(node: MappingNode, key: str) -> bool:
    written = scalar_at(node, key)
    return written is None or bool(written.value)


def _labels(node: MappingNode | None) -> dict[str, str]:
    labels = None if node is None else mapping_at(node, "labels")
    return {
        key: entry.value.text
        for key, entry in (labels.entries if labels else {}).items()
        if isinstance(entry.value, ScalarNode)
    }


def _seconds(node: MappingNode | None, key: str) -> int | None:
    written = None if node is None else text_at(node, key)
    return None if written is None else _seconds_in(written)


def _seconds_in(node: ScalarNode) -> int | None:
    if node.text[:-1] == "0":
        return 0
    try:
        return duration_seconds(node.text)
    except ValueError:
        # The schema's pattern has reported it.
        return None
