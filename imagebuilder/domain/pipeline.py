"""Pipeline: a recipe with what makes it run, in which variants, and what happens to what it makes.

When a schedule is due is arithmetic of `schedule`; what came of a run is `run`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, cast

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.gate import AssuranceGate, gate_document, gate_of
from imagebuilder.domain.ids import ChannelName, ImageName, PipelineName
from imagebuilder.domain.matrix import POOL_AXIS, Matrix, Variant, variant_image, variants_of
from imagebuilder.domain.schedule import (
    CronSchedule,
    Schedule,
    cron_schedule,
    rate_schedule,
    zone_of,
)

DEFAULT_POOL = "build.amd64"
_NOT_YET = ImageName("")
_Fields: TypeAlias = Mapping[str, Any]


class StartCondition(StrEnum):
    """When a run that is due builds."""

    ALWAYS = "always"
    UPDATES_AVAILABLE = "updates-available"


class Trigger(StrEnum):
    """What made a run due."""

    PERSON = "person"
    SCHEDULE = "schedule"
    PARENT = "parent"
    HOOK = "hook"
    DOCUMENT = "document"


class Overlap(StrEnum):
    """What becomes of a run that is due while another of its pipeline and variant is not over."""

    QUEUE = "queue"
    SKIP = "skip"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a pipeline is due; without a schedule only by people, hooks and its parent.

    `spread_seconds` is the window over which starts are spread, the slot stays what it is.
    `pause_after` is how many scheduled runs may fail one after the other until it is paused.
    """

    schedule: Schedule | None = None
    starts: StartCondition = StartCondition.UPDATES_AVAILABLE
    is_security_only: bool = False
    max_age_seconds: int | None = None
    spread_seconds: int = 0
    pause_after: int | None = None


class NoticeKind(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeTarget:
    """Somebody who is told, of all that happens or of some events.

    `to` is an address, a topic or a bus; `secret` a reference to one, such as env:HOOK_KEY, never
    the secret itself.
    """

    kind: NoticeKind
    to: str
    events: tuple[str, ...] = ()
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One of the images that a pipeline makes: as which variant, with what set, in which pool.

    Shape: `overrides` maps component.parameter to a value.
    """

    variant: str
    image: ImageName
    overrides: Mapping[str, str]
    pool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline document; `text` is the document itself.

    `recipe` is as it was written. Where its document was found, the image that the recipe makes
    and what it is built on, such as image:base@1.x, are known once it was applied: `recipe_path`,
    `image` and `parent`, and of `distributions` the paths are whole. Of runs that wait, those of a
    higher `priority` go first.
    Shape: `parameters` maps component.parameter to a value, for all variants.
    """

    name: PipelineName
    recipe: str
    description: str = ""
    recipe_path: str = ""
    image: ImageName = _NOT_YET
    parent: str = ""
    timing: Timing = field(default_factory=Timing)
    parameters: Mapping[str, str] = field(default_factory=dict)
    matrix: Matrix | None = None
    overlap: Overlap = Overlap.QUEUE
    follows_parent: bool = True
    priority: int = 0
    pool: str = DEFAULT_POOL
    channel: ChannelName | None = None
    needs_approval: bool = False
    gates: AssuranceGate | None = None
    distributions: tuple[str, ...] = ()
    time_limit_seconds: int | None = None
    attempts: int = 3
    notify: tuple[NoticeTarget, ...] = ()
    path: str = ""
    text: str = field(default="", repr=False)

    def document(self) -> Canonical:
        """Give the one plain value that is kept and compared of it, without its path and text."""
        return {
            "name": self.name,
            "description": self.description,
            "recipe": self.recipe,
            "recipe_path": self.recipe_path,
            "image": self.image,
            "parent": self.parent,
            "timing": _timing_document(self.timing),
            "parameters": dict(self.parameters),
            "matrix": _matrix_document(self.matrix),
            "overlap": self.overlap.value,
            "follows_parent": self.follows_parent,
            "priority": self.priority,
            "pool": self.pool,
            "channel": self.channel,
            "needs_approval": self.needs_approval,
            "gates": gate_document(self.gates),
            "distributions": list(self.distributions),
            "time_limit_seconds": self.time_limit_seconds,
            "attempts": self.attempts,
            "notify": [
                {"kind": t.kind.value, "to": t.to, "events": list(t.events), "secret": t.secret}
                for t in self.notify
            ],
        }

    @property
    def products(self) -> tuple[Product, ...]:
        """The images it makes, one for each variant. Raises: MatrixRefused."""
        return tuple(map(self._product, variants_of(self.matrix)))

    def _product(self, variant: Variant) -> Product:
        settings = {**self.parameters, **variant.settings}
        return Product(
            variant=variant.name,
            image=variant_image(self.image, variant.name),
            pool=settings.pop(POOL_AXIS, self.pool),
            overrides=settings,
        )


def pipeline_of(document: Canonical, *, path: str = "", text: str = "") -> Pipeline:
    """Give the pipeline that says so; `path` and `text` are its document's.

    Raises: ValueError: what was kept is damaged, or means nothing on this machine.
    """
    try:
        return _pipeline(cast("_Fields", document), path, text)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no pipeline: {error!r}") from error
    except InvalidInput as error:
        raise ValueError(error.message) from error


def _pipeline(fields: _Fields, path: str, text: str) -> Pipeline:
    channel = fields["channel"]
    return Pipeline(
        name=PipelineName(fields["name"]),
        description=fields["description"],
        recipe=fields["recipe"],
        recipe_path=fields["recipe_path"],
        image=ImageName(fields["image"]),
        parent=fields["parent"],
        timing=_timing(fields["timing"]),
        parameters=fields["parameters"],
        matrix=_matrix(fields["matrix"]),
        overlap=Overlap(fields["overlap"]),
        follows_parent=fields["follows_parent"],
        priority=fields["priority"],
        pool=fields["pool"],
        channel=None if channel is None else ChannelName(channel),
        needs_approval=fields["needs_approval"],
        gates=gate_of(fields.get("gates")),
        distributions=tuple(fields.get("distributions", ())),
        time_limit_seconds=fields["time_limit_seconds"],
        attempts=fields["attempts"],
        notify=tuple(map(_target, fields["notify"])),
        path=path,
        text=text,
    )


def _timing_document(timing: Timing) -> Canonical:
    return {
        "schedule": None if timing.schedule is None else _schedule_document(timing.schedule),
        "starts": timing.starts.value,
        "is_security_only": timing.is_security_only,
        "max_age_seconds": timing.max_age_seconds,
        "spread_seconds": timing.spread_seconds,
        "pause_after": timing.pause_after,
    }


def _timing(fields: _Fields) -> Timing:
    schedule = fields["schedule"]
    return Timing(
        schedule=None if schedule is None else _schedule(schedule),
        starts=StartCondition(fields["starts"]),
        is_security_only=fields["is_security_only"],
        max_age_seconds=fields["max_age_seconds"],
        spread_seconds=fields["spread_seconds"],
        pause_after=fields["pause_after"],
    )


def _schedule_document(schedule: Schedule) -> Canonical:
    kind = "cron" if isinstance(schedule, CronSchedule) else "rate"
    return {kind: schedule.text, "timezone": schedule.zone.key}


def _schedule(fields: _Fields) -> Schedule:
    zone = zone_of(fields["timezone"])
    if "cron" in fields:
        return cron_schedule(fields["cron"], zone)
    return rate_schedule(fields["rate"], zone)


def _matrix_document(matrix: Matrix | None) -> Canonical:
    if matrix is None:
        return None
    # The order of axes is that of a variant's name, and canonical JSON sorts the keys of mappings.
    return {
        "axes": [[axis, list(values)] for axis, values in matrix.axes.items()],
        "include": [_pairs(row) for row in matrix.include],
        "exclude": [_pairs(row) for row in matrix.exclude],
    }


def _pairs(row: Mapping[str, str]) -> Canonical:
    return [[axis, value] for axis, value in row.items()]


def _matrix(fields: _Fields | None) -> Matrix | None:
    if fields is None:
        return None
    return Matrix(
        axes={axis: tuple(values) for axis, values in fields["axes"]},
        include=tuple(map(dict, fields["include"])),
        exclude=tuple(map(dict, fields["exclude"])),
    )


def _target(fields: _Fields) -> NoticeTarget:
    return NoticeTarget(
        kind=NoticeKind(fields["kind"]),
        to=fields["to"],
        events=tuple(fields["events"]),
        secret=fields["secret"],
    )
