"""Pipeline: a recipe with what makes it run, in which variants, and what happens to what it makes.

When a schedule is due is arithmetic of `schedule`; what came of a run is `run`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from imagebuilder.domain.ids import ChannelName, PipelineName
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.schedule import Schedule

DEFAULT_POOL = "build.amd64"


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
class Pipeline:
    """A pipeline document; `recipe_path` is where its recipe was found, `text` the document itself.

    Shape: `parameters` maps component.parameter to a value, for all variants.
    """

    name: PipelineName
    recipe: str
    recipe_path: str = ""
    timing: Timing = field(default_factory=Timing)
    parameters: Mapping[str, str] = field(default_factory=dict)
    matrix: Matrix | None = None
    overlap: Overlap = Overlap.QUEUE
    follows_parent: bool = True
    priority: int = 0
    pool: str = DEFAULT_POOL
    channel: ChannelName | None = None
    needs_approval: bool = False
    time_limit_seconds: int | None = None
    attempts: int = 3
    notify: tuple[NoticeTarget, ...] = ()
    path: str = ""
    text: str = field(default="", repr=False)
