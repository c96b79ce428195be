"""Progress: who watches a build while it runs, and who keeps its log.

The terminal, a plain pipe, JSON lines and the run's own record stand behind it.
"""

from typing import Protocol

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.distribution import DeliveryStep
from imagebuilder.domain.run import StepState


class Progress(Protocol):
    """Is told what happens. Steps do not nest; a line belongs to the step that runs."""

    def step_started(self, name: str) -> None:
        """A step began."""
        ...

    def line(self, text: str) -> None:
        """The running step printed a line."""
        ...

    def detailed(self, name: str, document: Canonical) -> None:
        """A component did something; the document of that name says all of it so far.

        No secret stands in it. The one that was told before under its name is obsolete.
        """
        ...

    def step_ended(self, state: StepState, detail: str = "") -> None:
        """The running step came to its end."""
        ...


class DeliveryProgress(Protocol):
    """Is told how versions come to their targets, of which many are spoken to at once."""

    def changed(self, step: DeliveryStep) -> None:
        """The step of a target began, or came to its end."""
        ...

    def moved(self, target: str, size_bytes: int) -> None:
        """So many more bytes came to a target. Said by several threads."""
        ...

    def troubled(self, target: str, why: str) -> None:
        """A target did not answer and is tried again. Said by several threads."""
        ...
