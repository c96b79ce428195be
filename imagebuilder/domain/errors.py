"""The six families of errors: what a caller may decide by.

A leaf stands beside the noun it speaks of and writes its own sentence from facts; this module never
knows the house above it. Faults in a document are not errors but problems (`documents.problems`),
collected as values and carried by one error at the end.
"""

from typing import ClassVar

from imagebuilder.domain.origin import Origin


class ImageBuilderError(Exception):
    """The work cannot go on, and a person can read why and what to do next.

    Invariant: `code` is kebab-case and unique; `message` is one sentence that ends with a period.
    """

    code: ClassVar[str]

    def __init__(
        self, message: str, *, context: str = "", hint: str = "", origin: Origin | None = None
    ) -> None:
        """Keep what, why and what to do next apart, so that each door shows them in its way."""
        super().__init__(message)
        self.message = message
        self.context = context
        self.hint = hint
        self.origin = origin


class InvalidInput(ImageBuilderError):
    """The asker must change something; never retried."""

    code = "invalid-input"


class WrongState(ImageBuilderError):
    """True at another time; never retried blindly."""

    code = "wrong-state"


class Refused(ImageBuilderError):
    """A rule said no; a person may grant it."""

    code = "refused"


class StepFailed(ImageBuilderError):
    """The work was done and went wrong; its evidence is kept."""

    code = "step-failed"


class Unavailable(ImageBuilderError):
    """The world does not answer; the same call may work later."""

    code = "unavailable"


class Broken(ImageBuilderError):
    """Our own fault or damaged data; stop and keep everything."""

    code = "broken"
