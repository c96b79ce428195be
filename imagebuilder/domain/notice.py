"""Notice: what somebody is told of a run or a pipeline, in a form that stays as it is.

Whom it goes to stands in the pipeline; how it gets there is not this module's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.domain.run import Run, RunState

NOTICE_SCHEMA = "imagebuilder.notice/1"
"""The form of a notice's payload; another number would be another form."""

_LONGEST_TEXT = 500


class Event(StrEnum):
    """What somebody can be told of: where a run stands now, or what became of a pipeline."""

    QUEUED = "queued"
    STARTED = "started"
    AWAITING_APPROVAL = "awaiting-approval"
    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    FAULTY = "faulty"


_OF_STATES: Mapping[RunState, Event] = {
    RunState.QUEUED: Event.QUEUED,
    RunState.RUNNING: Event.STARTED,
    RunState.AWAITING_APPROVAL: Event.AWAITING_APPROVAL,
    RunState.SUCCEEDED: Event.SUCCEEDED,
    RunState.UNCHANGED: Event.UNCHANGED,
    RunState.SKIPPED: Event.SKIPPED,
    RunState.FAILED: Event.FAILED,
    RunState.CANCELLED: Event.CANCELLED,
    RunState.REJECTED: Event.REJECTED,
    RunState.INTERRUPTED: Event.INTERRUPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that happened, once, whoever is told; `id` tells it from all others.

    `run` and `version` are there when it happened to a run, `version` as people name it.
    """

    id: str
    event: Event
    at: datetime
    pipeline: PipelineName
    why: str = ""
    run: Run | None = None
    version: str = ""

    @property
    def text(self) -> str:
        """All of it in a line that people read; chats show what is called so."""
        of = _named(self.pipeline, self.run)
        return f"{of}: {self.event}" + (f" ({self.why})" if self.why else "")

    def document(self) -> Mapping[str, Canonical]:
        """Give what is sent. No parameter stands in it, since one may be secret."""
        return {
            "schema": NOTICE_SCHEMA,
            "id": self.id,
            "event": self.event.value,
            "at": self.at.isoformat(),
            "pipeline": self.pipeline,
            "text": self.text,
            "why": self.why,
            "run": None if self.run is None else _run_document(self.run, self.version),
        }


def event_of(state: RunState) -> Event:
    """Give the event that a run came to stand so."""
    return _OF_STATES[state]


def wants(target: NoticeTarget, event: Event) -> bool:
    """Whether somebody is to be told of an event; who named none is told of all."""
    return not target.events or event.value in target.events


def shown(target: NoticeTarget) -> str:
    """Give where somebody is told, as it may be shown: the path of an address may be its key."""
    if target.kind is not NoticeKind.WEBHOOK:
        return target.to
    scheme, _, rest = target.to.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/..."


def why_of(run: Run) -> str:
    """Give why a run stands as it does, as far as it is known, shortened."""
    said = run.error
    if run.state is RunState.CANCELLED and run.cancelled_by:
        said = said or f"by {run.cancelled_by}"
    if not said and run.order is not None and not run.state.is_final:
        said = run.order.why
    return said if len(said) <= _LONGEST_TEXT else f"{said[:_LONGEST_TEXT]}..."


def _named(pipeline: PipelineName, run: Run | None) -> str:
    if run is None:
        return f"pipeline {pipeline}"
    variant = run.order.variant if run.order else ""
    return f"pipeline {pipeline}{f' [{variant}]' if variant else ''}, run {run.id}"


def _run_document(run: Run, version: str) -> Canonical:
    order = run.order
    slot_at = order.slot_at if order else None
    return {
        "id": run.id,
        "image": run.image,
        "state": run.state.value,
        "variant": order.variant if order else "",
        "trigger": order.trigger.value if order else None,
        "slot_at": slot_at.isoformat() if slot_at else None,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "attempt": run.attempt,
        "version": version or None,
        "version_id": run.version_id,
        "error_code": run.error_code or None,
    }
