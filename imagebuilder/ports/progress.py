"""Progress: who watches a build while it runs, and who keeps its log.

The terminal, a plain pipe, JSON lines and the run's own record stand behind it.
"""

from typing import Protocol

from imagebuilder.domain.run import StepState


class Progress(Protocol):
    """Is told what happens. Steps do not nest; a line belongs to the step that runs."""

    def step_started(self, name: str) -> None:
        """A step began."""
        ...

    def line(self, text: str) -> None:
        """The running step printed a line."""
        ...

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """The running step came to its end."""
        ...
