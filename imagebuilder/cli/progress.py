"""Progress on the terminal: a live display, plain lines for a pipe, JSON lines, or nothing."""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from imagebuilder.cli.output import console, printable
from imagebuilder.domain.run import StepState
from imagebuilder.domain.units import MIB, duration_text
from imagebuilder.ports.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from imagebuilder.domain.digest import Canonical

_TAIL_LINES = 6
_MARKS = {
    StepState.SUCCEEDED: "[green]✔[/]",
    StepState.CACHED: "[cyan]=[/]",
    StepState.SKIPPED: "[dim]-[/]",
    StepState.FAILED: "[red]✘[/]",
    StepState.RUNNING: " ",
}


class Display(Progress, Protocol):
    """A progress that has a beginning and an end on the screen."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the screen as it should stay."""
        ...


def display(*, as_json: bool, is_quiet: bool, keeps_tails: bool = False) -> Display:
    """Give the display that suits the terminal and what was asked for.

    It `keeps_tails` when what every step said last is to stay, not only that of a failed one.
    """
    if as_json:
        return JsonLines()
    if is_quiet:
        return Silence()
    if sys.stderr.isatty():
        return LiveDisplay(keeps_tails=keeps_tails)
    return PlainLines(keeps_tails=keeps_tails)


_LARGE_BYTES = 64 * MIB


@contextmanager
def copying(what: str, total_bytes: int) -> Iterator[Callable[[int], None] | None]:
    """Show how far a copy is, when it is a large one and somebody watches.

    It gives what is to be told of bytes that came along, or None when nothing is shown.
    """
    if total_bytes < _LARGE_BYTES or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (  # noqa: PLC0415 - only a terminal needs it
        BarColumn,
        DownloadColumn,
        TextColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415 - the same

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Bar(
        *columns, TransferSpeedColumn(), console=console(is_error=True), transient=True
    ) as bar:
        task = bar.add_task(what, total=total_bytes)
        yield lambda count: bar.advance(task, count)


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def step_started(self, name: str) -> None:
        """A step began."""

    def line(self, text: str) -> None:
        """The running step printed a line."""

    def detailed(self, name: str, document: "Canonical") -> None:
        """Details are for files."""

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """The running step came to its end."""


class _Timed(Silence):
    """Knows the running step and for how long it runs."""

    def __init__(self) -> None:
        """Begin with no step."""
        self._name = ""
        self._started = 0.0

    def step_started(self, name: str) -> None:
        """Remember the step."""
        self._name = name
        self._started = time.perf_counter()

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._started


class PlainLines(_Timed):
    """One line a step, for logs and pipes, and below it what it said last when that is wanted."""

    def __init__(self, *, keeps_tails: bool = False) -> None:
        """Write to stderr."""
        super().__init__()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES if keeps_tails else 0)

    def step_started(self, name: str) -> None:
        """Remember the step."""
        super().step_started(name)
        self._tail.clear()

    def line(self, text: str) -> None:
        """Remember the line."""
        self._tail.append(text)

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """Write how the step ended."""
        note = f"  {detail}" if detail else ""
        sys.stderr.write(f"{state:>9}  {duration_text(self._seconds):>9}  {self._name}{note}\n")
        sys.stderr.writelines(f"{'':>22} {printable(text)}\n" for text in self._tail)
        sys.stderr.flush()


class JsonLines(_Timed):
    """One JSON object a line on stderr, for programs that watch."""

    def step_started(self, name: str) -> None:
        """Write that the step began."""
        super().step_started(name)
        self._write({"event": "step-started", "step": name})

    def line(self, text: str) -> None:
        """Write what the step printed."""
        self._write({"event": "line", "step": self._name, "text": text})

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """Write how the step ended."""
        self._write(
            {
                "event": "step-ended",
                "step": self._name,
                "state": state,
                "seconds": round(self._seconds, 3),
                "detail": detail,
            }
        )

    def _write(self, event: dict[str, str | float]) -> None:
        sys.stderr.write(json.dumps(event, ensure_ascii=False) + "\n")


class LiveDisplay(_Timed):
    """Finished steps above, the running one with its time and the tail of its output below."""

    def __init__(self, *, keeps_tails: bool = False) -> None:
        """Draw on stderr."""
        super().__init__()
        self._keeps_tails = keeps_tails
        self._console = console(is_error=True)
        self._live: Live | None = None
        self._tail: list[str] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the running step off the screen."""
        self._stop()

    def step_started(self, name: str) -> None:
        """Show the step with a running clock."""
        from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

        super().step_started(name)
        self._tail = []
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=5,
            transient=True,
        )
        self._live.start()

    def line(self, text: str) -> None:
        """Show the line below the step, with the few before it."""
        self._tail = [*self._tail, printable(text.expandtabs())][-_TAIL_LINES:]

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """Leave one line for the step; what a failed one said last stays on the screen."""
        from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

        self._stop()
        seconds = duration_text(self._seconds)
        self._console.print(
            f"{_MARKS[state]} {escape(self._name)} [dim]{seconds}  {escape(detail)}[/]"
        )
        if state is StepState.FAILED or self._keeps_tails:
            for text in self._tail:
                self._console.print(f"    {text}", style="dim", markup=False)

    def _picture(self) -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
        from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

        head = Text(f"» {self._name}  {duration_text(self._seconds)}", style="bold")
        tail = [
            Text(f"    {text}", style="dim", no_wrap=True, overflow="ellipsis")
            for text in self._tail
        ]
        return Group(head, *tail)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
