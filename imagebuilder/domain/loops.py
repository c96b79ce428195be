"""Loops: how often a step runs, and with which value each time.

Source: AWS Task Orchestrator and Executor, "Looping constructs".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.origin import Origin

ITERATIONS_LIMIT = 10_000
"""A loop of more is a mistake: its outputs alone would fill the memory."""

DEFAULT_DELIMITER = ","
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingLoop:
    """`for`: from start to end, both included; numbers are text while they hold references."""

    start: int | str
    end: int | str
    update_by: int | str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLoop:
    """`forEach` over a list; references in the items are still unresolved."""

    items: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLoop:
    """`forEach` over a text that is split once, at every delimiter."""

    text: str
    delimiter: str = DEFAULT_DELIMITER
    name: str = ""


Loop: TypeAlias = CountingLoop | ListLoop | SplitLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One turn of a loop. Units: `index` counts from 0."""

    index: int
    value: str


class LoopUnusable(InvalidInput):
    """A loop's numbers or list came to something that cannot be gone through."""

    code = "loop-unusable"

    def __init__(self, reason: str, *, origin: Origin | None = None) -> None:
        """Say why, as a clause that goes on after `The loop`."""
        super().__init__(
            f"The loop {reason}.",
            hint="Correct start, end and updateBy, or what its list refers to.",
            origin=origin,
        )


def values_of(loop: Loop, resolve: Callable[[str], str]) -> tuple[Iteration, ...]:
    """Give a loop's iterations; an empty text has none. Raises: LoopUnusable.

    What `resolve` gives for a list's text is split, and never looked at for references again.
    """
    match loop:
        case CountingLoop():
            values = _counted(loop, resolve)
        case ListLoop(items=items):
            values = [resolve(item) for item in items]
        case SplitLoop(text=text, delimiter=delimiter):
            whole = resolve(text)
            values = whole.split(delimiter) if whole else []
    if len(values) > ITERATIONS_LIMIT:
        raise LoopUnusable(f"has {len(values):,} values; {ITERATIONS_LIMIT:,} is the limit")
    return tuple(Iteration(index=index, value=value) for index, value in enumerate(values))


def counting_fault(start: int, end: int, update_by: int) -> str | None:
    """Give why a `for` loop would not end or is too long, None when it is sound."""
    if update_by == 0:
        return "never gets further: updateBy is 0"
    if (end - start) * update_by < 0:
        return f"never ends: from {start} it does not come to {end} by {update_by}"
    count = abs(end - start) // abs(update_by) + 1
    if count > ITERATIONS_LIMIT:
        return f"runs {count:,} times; {ITERATIONS_LIMIT:,} is the limit"
    return None


def is_whole(text: str) -> bool:
    """Whether a text is a whole number that a loop can count with."""
    return _WHOLE.fullmatch(text) is not None


def _counted(loop: CountingLoop, resolve: Callable[[str], str]) -> list[str]:
    start, end, step = (_whole(n, resolve) for n in (loop.start, loop.end, loop.update_by))
    fault = counting_fault(start, end, step)
    if fault is not None:
        raise LoopUnusable(fault)
    return [str(number) for number in range(start, end + (1 if step > 0 else -1), step)]


def _whole(number: int | str, resolve: Callable[[str], str]) -> int:
    if isinstance(number, int):
        return number
    text = resolve(number)
    if not is_whole(text):
        raise LoopUnusable(f"counts with '{text}', which is no whole number")
    return int(text)
