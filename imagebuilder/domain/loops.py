"""Loops: how often a step runs, and with which value each time.

Source: AWS Task Orchestrator and Executor, "Looping constructs".
"""

from dataclasses import dataclass
from typing import TypeAlias


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
    delimiter: str = ","
    name: str = ""


Loop: TypeAlias = CountingLoop | ListLoop | SplitLoop
