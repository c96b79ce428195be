"""What a pipeline's document says wrongly though each of its values could be right."""

from collections.abc import Callable, Iterator

from imagebuilder.documents.excerpt import quoted
from imagebuilder.documents.nodes import MappingNode, Node, ScalarNode
from imagebuilder.documents.reading import (
    OpenDocument,
    holds_credentials,
    list_at,
    mapping_at,
    scalar_at,
    text_at,
    texts_at,
)
from imagebuilder.documents.secret_references import conceal_secrets
from imagebuilder.domain.channel import LATEST
from imagebuilder.domain.cron import CronMalformed
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.matrix import Matrix, MatrixRefused, variants_of
from imagebuilder.domain.origin import Origin
from imagebuilder.domain.schedule import cron_schedule, rate_schedule, zone_of
from imagebuilder.domain.spelling import did_you_mean
from imagebuilder.domain.units import duration_seconds

DEFAULT_ZONE = "UTC"
ROWS = ("include", "exclude")
"""The keys of a matrix that are no axes."""

_DAY = 86400
_LONGEST_SECONDS = 36500 * _DAY
_WAYS = ("webhook", "email", "sns", "eventbridge")


def check_pipeline(reading: OpenDocument, root: MappingNode) -> None:
    """Keep every fault and warning that the schema does not see."""
    _check_schedule(reading, root)
    _check_durations(reading, root)
    _check_matrix(reading, root)
    _check_channel(reading, root)
    _check_gates(reading, mapping_at(root, "gates"))
    for item in list_at(root, "notify"):
        if isinstance(item, MappingNode):
            _check_notice(reading, item)
    conceal_secrets(reading, _secrets(root))


def matrix_at(root: MappingNode) -> Matrix | None:
    """Give the matrix of a document, as far as it is sound."""
    node = mapping_at(root, "matrix")
    if node is None:
        return None
    return Matrix(
        axes={axis: texts_at(node, axis) for axis in node.entries if axis not in ROWS},
        include=_rows(node, "include"),
        exclude=_rows(node, "exclude"),
    )


def settings_at(node: MappingNode | None) -> dict[str, str]:
    """Give the single values of a mapping, as they are written."""
    entries = node.entries if node else {}
    return {
        key: entry.value.text
        for key, entry in entries.items()
        if isinstance(entry.value, ScalarNode)
    }


def _rows(matrix: MappingNode, key: str) -> tuple[dict[str, str], ...]:
    return tuple(settings_at(x) for x in list_at(matrix, key) if isinstance(x, MappingNode))


def _check_schedule(reading: OpenDocument, root: MappingNode) -> None:
    node = mapping_at(root, "schedule")
    if node is None:
        return
    if "cron" in node.entries and "rate" in node.entries:
        origin = node.entries["rate"].key.origin
        reading.fault("A schedule has cron or rate, not both.", origin, "Leave one out.")
    elif "cron" not in node.entries and "rate" not in node.entries:
        hint = 'Add one, such as cron: "0 3 * * *", or leave the schedule out.'
        reading.fault("The schedule has neither cron nor rate.", node.origin, hint)
    utc = zone_of(DEFAULT_ZONE)
    _try(reading, text_at(node, "timezone"), zone_of)
    _try(reading, text_at(node, "rate"), lambda text: rate_schedule(text, utc))
    _try(reading, text_at(node, "cron"), lambda text: cron_schedule(text, utc))
    _check_when(reading, node)


def _try(
    reading: OpenDocument, node: ScalarNode | None, understand: Callable[[str], object]
) -> None:
    """Keep as faults why a value cannot be understood."""
    if node is None:
        return
    try:
        understand(node.text)
    except CronMalformed as malformed:
        for fault in malformed.faults:
            reading.fault(fault.message, _origin_in(reading, node, fault.start), fault.hint)
    except InvalidInput as refused:
        reading.fault(refused.message, node.origin, refused.hint)


def _check_when(reading: OpenDocument, node: MappingNode) -> None:
    when, only = text_at(node, "when"), scalar_at(node, "security_only")
    if when and only and when.text == "always" and only.value is True:
        hint = "Leave out security_only, or write when: updates-available."
        message = "What is built always is not built for security updates only."
        reading.fault(message, node.entries["security_only"].key.origin, hint)


def _origin_in(reading: OpenDocument, node: ScalarNode, start: int) -> Origin:
    """Give where a character of a value stands; the value's own place when escapes hide it."""
    index = reading.source.text.find(node.text, node.start, node.end)
    return node.origin if index < 0 else reading.source.origin(index + start)


def _check_durations(reading: OpenDocument, root: MappingNode) -> None:
    schedule = mapping_at(root, "schedule")
    spread = None if schedule is None else text_at(schedule, "spread")
    gates = mapping_at(root, "gates")
    data_age = text_at(gates, "max_data_age") if gates else None
    limits = (
        (text_at(root, "max_age"), _LONGEST_SECONDS, "Write at most 36500d."),
        (text_at(root, "timeout"), _LONGEST_SECONDS, "Write at most 36500d."),
        (spread, _DAY, "Write at most 1d."),
        (data_age, _LONGEST_SECONDS, "Write at most 36500d."),
    )
    for node, limit, hint in limits:
        if node is not None and (seconds_in(node) or 0) > limit:
            reading.fault("That is too long.", node.origin, hint)


def seconds_in(node: ScalarNode) -> int | None:
    """Give the seconds of a duration; None for one that the schema has reported."""
    try:
        return duration_seconds(node.text)
    except ValueError:
        return None


def _check_matrix(reading: OpenDocument, root: MappingNode) -> None:
    node, matrix = mapping_at(root, "matrix"), matrix_at(root)
    if node is None or matrix is None:
        return
    for item in list_at(node, "exclude"):
        if isinstance(item, MappingNode):
            _check_excluded(reading, item, matrix)
    if not all([*matrix.axes.values(), *matrix.include, *matrix.exclude]):
        # The schema has reported that these are no values, or no rows.
        return
    try:
        variants_of(matrix)
    except MatrixRefused as refused:
        message = f"{refused.message} {refused.context}"
        reading.fault(message, root.entries["matrix"].key.origin, refused.hint)


def _check_excluded(reading: OpenDocument, item: MappingNode, matrix: Matrix) -> None:
    for axis, entry in item.entries.items():
        if axis not in matrix.axes:
            hint = did_you_mean(axis, matrix.axes) or f"There are {', '.join(matrix.axes)}."
            message = f"The matrix has no axis {quoted(axis)}."
            reading.fault(message, entry.key.origin, hint if matrix.axes else "Leave it out.")
        elif isinstance(entry.value, ScalarNode) and entry.value.text not in matrix.axes[axis]:
            values = ", ".join(matrix.axes[axis])
            message = f"The axis {axis} has no value {quoted(entry.value.text)}; this fits nothing."
            reading.warn(message, entry.value.origin, f"It has {values}.")


def _check_channel(reading: OpenDocument, root: MappingNode) -> None:
    channel, approval = text_at(root, "channel"), text_at(root, "approval")
    if channel is not None and channel.text == LATEST:
        message = "Nobody moves the channel latest: it means the highest usable version."
        reading.fault(message, channel.origin, "Write one of your own, such as candidate.")
    if approval is not None and approval.text == "required" and "channel" not in root.entries:
        message = "An approval needs a channel that a version enters with it."
        reading.fault(message, root.entries["approval"].key.origin, "Add channel: candidate.")


def _check_gates(reading: OpenDocument, node: MappingNode | None) -> None:
    if node is not None and "only_fixable" in node.entries and "fail_on" not in node.entries:
        message = "It is not said how bad the vulnerabilities are that stop a version."
        origin = node.entries["only_fixable"].key.origin
        reading.fault(message, origin, "Add fail_on: high, or leave only_fixable out.")


def _check_notice(reading: OpenDocument, item: MappingNode) -> None:
    ways = [way for way in _WAYS if way in item.entries]
    if not ways:
        hint = f"Add one of {', '.join(_WAYS)}."
        reading.fault("It is not said who is told.", item.origin, hint)
    for way in ways[1:]:
        message = f"One entry tells one: {ways[0]}, or {way}."
        reading.fault(message, item.entries[way].key.origin, "Make an entry of its own for it.")
    webhook = text_at(item, "webhook")
    if webhook is not None and holds_credentials(webhook):
        message = "An address may not hold credentials: documents are kept."
        hint = "Sign the requests instead, with secret: env:NAME."
        reading.fault(message, webhook.origin, hint)
    if "secret" in item.entries and "webhook" not in item.entries:
        message = "A secret goes with a webhook only."
        reading.fault(message, item.entries["secret"].key.origin, "Leave it out.")
    if webhook is not None and "secret" not in item.entries:
        message = "Nobody can tell that these requests are ours: they are not signed."
        reading.warn(message, webhook.origin, "Add secret: env:NAME.")


def _secrets(root: MappingNode) -> Iterator[Node]:
    for item in list_at(root, "notify"):
        secret = item.get("secret") if isinstance(item, MappingNode) else None
        if secret is not None:
            yield secret
