"""Distributions and withdrawals for people and as JSON, and their progress."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imagebuilder.cli.output import (
    Json,
    console,
    moment_text,
    note,
    print_json,
    print_lines,
    print_table,
    printable,
)
from imagebuilder.domain.distribution import DeliveryState, DeliveryStep, Failure, Placement
from imagebuilder.domain.units import duration_text
from imagebuilder.ports.progress import DeliveryProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from imagebuilder.services.distributing.distributing import Distributed, Rehearsal
    from imagebuilder.services.distributing.inspecting import Carried
    from imagebuilder.services.distributing.withdrawing import Reach

_SHOWN = 20


@contextmanager
def deliveries_shown(*, as_json: bool) -> Iterator[DeliveryProgress]:
    """Give what shows how versions come to their targets, as suits who watches."""
    with ExitStack() as opened:
        if as_json:
            yield _JsonLines()
        elif sys.stderr.isatty():
            yield _Bars(opened.enter_context(_bar()))
        else:
            yield _Lines()


class _Lines:
    """A line for each target that came to its end, and for what had to be tried again."""

    def changed(self, step: DeliveryStep) -> None:
        """Write how it ended."""
        if step.state is not DeliveryState.RUNNING:
            sys.stderr.write(f"{printable(_line(step))}\n")
            sys.stderr.flush()

    def moved(self, target: str, size_bytes: int) -> None:
        """Bytes are for those who watch."""

    def troubled(self, target: str, why: str) -> None:
        """Write that it is tried again."""
        del target
        sys.stderr.write(f"{'again':>9}  {printable(why)}\n")


class _JsonLines:
    """One JSON object a line on stderr, for programs that watch."""

    def changed(self, step: DeliveryStep) -> None:
        """Write the step."""
        self._write({"event": "target", **step_json(step)})

    def moved(self, target: str, size_bytes: int) -> None:
        """Bytes are for people."""

    def troubled(self, target: str, why: str) -> None:
        """Write that it is tried again."""
        self._write({"event": "target-tried-again", "target": target, "why": why})

    def _write(self, event: Mapping[str, Json]) -> None:
        sys.stderr.write(json.dumps(event, ensure_ascii=False) + "\n")


class _Bars(_Lines):
    """The lines, and below them what is under way and how much of it came along."""

    def __init__(self, bar: "Progress") -> None:
        """Draw below what is written."""
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def changed(self, step: DeliveryStep) -> None:
        """Show it while it is under way."""
        if step.state is DeliveryState.RUNNING:
            self._tasks[step.target] = self._bar.add_task(step.target, total=None)
            return
        if step.target in self._tasks:
            self._bar.remove_task(self._tasks.pop(step.target))
        self._bar.console.print(printable(_line(step)), markup=False)

    def moved(self, target: str, size_bytes: int) -> None:
        """Let its bar go on."""
        self._bar.advance(self._tasks[target], size_bytes)

    def troubled(self, target: str, why: str) -> None:
        """Write that it is tried again."""
        del target
        self._bar.console.print(f"{'again':>9}  {printable(why)}", markup=False)


def _bar() -> "Progress":
    from rich.progress import (  # noqa: PLC0415 - only a terminal needs it
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    return Progress(*columns, console=console(is_error=True), transient=True)


def _line(step: DeliveryStep) -> str:
    seconds = 0.0
    if step.began_at is not None and step.ended_at is not None:
        seconds = (step.ended_at - step.began_at).total_seconds()
    said = step.failure or step.external_id
    return f"{step.state:>9}  {duration_text(seconds):>9}  {step.target}  {said}"


def print_rehearsal(said: "Rehearsal", *, as_json: bool) -> None:
    """Write what would be done at each target."""
    distribution = said.distribution
    if as_json:
        print_json(
            {
                "reference": said.reference,
                "name": distribution.name,
                "dry_run": True,
                "targets": [
                    {
                        **step_json(step),
                        "is_wanted": step.target in said.wanted,
                        "hindrances": [
                            {"reason": o.reason, "remedy": o.remedy}
                            for o in said.hindrances.get(step.target, ())
                        ],
                    }
                    for step in distribution.steps
                ],
            }
        )
        return
    rows = []
    for step in distribution.steps:
        would = "place" if step.target in said.wanted else step.state.value
        if step.target not in said.wanted and step.state is DeliveryState.WAITING:
            would = "left out"
        hindered = " ".join(o.reason for o in said.hindrances.get(step.target, ()))
        rows.append((step.target, step.entry, step.after or "", would, hindered))
    print_table(("TARGET", "ENTRY", "AFTER", "WOULD", "IN THE WAY"), rows)
    note("nothing was changed")


def print_distributed(done: "Sequence[Distributed]", *, as_json: bool) -> None:
    """Write how far versions came."""
    if as_json:
        print_json(
            [
                {
                    "reference": each.reference,
                    "id": each.distribution.id,
                    "name": each.distribution.name,
                    "is_whole": each.distribution.is_whole,
                    "placed": sorted(each.wanted),
                    "targets": [step_json(step) for step in each.distribution.steps],
                }
                for each in done
            ]
        )
        return
    for each in done:
        steps = each.distribution.steps
        there = sum(step.state is DeliveryState.DONE for step in steps)
        now = f", {len(each.wanted)} of them now" if each.wanted else ""
        at = f"{there} of {len(steps)} targets of {each.distribution.name}{now}"
        print_lines(f"{each.reference} is at {at}")


def step_json(step: DeliveryStep) -> dict[str, Json]:
    """Give how far a version came at a target."""
    return {
        "target": step.target,
        "entry": step.entry,
        "after": step.after,
        "state": step.state,
        "id": step.external_id or None,
        "attempts": step.attempts,
        "began_at": step.began_at.isoformat() if step.began_at else None,
        "ended_at": step.ended_at.isoformat() if step.ended_at else None,
        "failure": failure_json(step.failure),
    }


def failure_json(failure: Failure | None) -> Json:
    """Give why something failed, as errors are told."""
    if failure is None:
        return None
    said = {"message": failure.message, "context": failure.context, "hint": failure.hint}
    return {"code": failure.code, **said}


def reach_lines(reach: "Reach") -> list[str]:
    """Say what a withdrawal reaches."""
    lines = [f"{reach.reference} would be withdrawn from:"]
    for carried, uses in zip(reach.carried[:_SHOWN], reach.uses, strict=False):
        used = _uses_text(uses)
        lines.append(f"  {carried.placement.subject}{f', used by {used}' if used else ''}")
    more = len(reach.carried) - _SHOWN
    lines += [f"  and {more} more"] if more > 0 else []
    if reach.launched_at is not None:
        lines.append(f"It was last seen in use at {moment_text(reach.launched_at)}.")
    lines += [
        f"{reference} came of it and stays at {placement.subject}"
        for reference, placement in reach.descendants[:_SHOWN]
    ]
    lines += [
        f"{placement.subject} stays: no distribution put it there" for placement in reach.told
    ]
    return lines if reach.carried else [f"{reach.reference} is at no target.", *lines[1:]]


def _uses_text(uses: object) -> str:
    if isinstance(uses, Failure):
        return f"nobody knows what: {uses.message}"
    return ", ".join(usage.what for usage in uses) if isinstance(uses, tuple) else ""


def print_reach(reach: "Reach", *, as_json: bool) -> None:
    """Write what a withdrawal would reach."""
    if not as_json:
        print_lines(*reach_lines(reach))
        note("nothing was changed")
        return
    launched_at = reach.launched_at
    print_json(
        {
            "reference": reach.reference,
            "dry_run": True,
            "placements": [
                {
                    **gone_json(carried.placement),
                    "uses": None
                    if isinstance(uses, Failure)
                    else [
                        {"what": u.what, "since": u.since.isoformat() if u.since else None}
                        for u in uses
                    ],
                    "failure": failure_json(uses) if isinstance(uses, Failure) else None,
                }
                for carried, uses in zip(reach.carried, reach.uses, strict=True)
            ],
            "launched_at": launched_at.isoformat() if launched_at else None,
            "descendants": [
                {"reference": reference, **gone_json(placement)}
                for reference, placement in reach.descendants
            ],
            "told": [gone_json(placement) for placement in reach.told],
        }
    )


def print_overdue(overdue: "Sequence[tuple[Carried, bool]]", *, as_json: bool) -> None:
    """Write what would be withdrawn because nobody may use it any more."""
    if as_json:
        print_json(
            [
                {"reference": c.reference, **gone_json(c.placement), "would_delete": is_deleted}
                for c, is_deleted in overdue
            ]
        )
        return
    rows = [
        (c.reference, c.placement.target, c.placement.external_id, "delete" if d else "withdraw")
        for c, d in overdue
    ]
    print_table(("VERSION", "TARGET", "ID", "WOULD"), rows)
    note("nothing was changed")


def print_gone(gone: "Sequence[Placement]", *, as_json: bool) -> None:
    """Write what was withdrawn."""
    if as_json:
        print_json([gone_json(placement) for placement in gone])
        return
    for placement in gone:
        print_lines(f"{'deleted' if placement.is_deleted else 'withdrawn'}: {placement.subject}")
    if not gone:
        note("There was nothing to withdraw.")


def gone_json(placement: Placement) -> dict[str, Json]:
    """Give a placement, as far as its end matters."""
    withdrawn = placement.withdrawn
    return {
        "target": placement.target,
        "id": placement.external_id,
        "withdrawn_at": withdrawn.at.isoformat() if withdrawn else None,
        "is_deleted": placement.is_deleted,
    }
