"""Errors as HTTP tells them: a number for each family, and for few leaves one of their own."""

from collections.abc import Mapping

from imagebuilder.domain.errors import (
    Broken,
    ImageBuilderError,
    InvalidInput,
    Refused,
    StepFailed,
    Unavailable,
    WrongState,
)
from imagebuilder.domain.hook import LARGEST_BODY_BYTES
from imagebuilder.domain.units import size_text
from imagebuilder.ports.pipelines import PipelineNotFound


class PathUnknown(WrongState):
    """There is nothing at the path that was asked for."""

    code = "path-unknown"

    def __init__(self, path: str) -> None:
        """Name it, and what there is."""
        super().__init__(
            f"There is nothing at {path[:200]}.",
            hint="There are POST /hooks/PIPELINE, GET /metrics and GET /healthz.",
        )


class MethodUnfit(InvalidInput):
    """The path is asked for by another method than it takes."""

    code = "method-unfit"

    def __init__(self, path: str, method: str, allowed: str) -> None:
        """Say which it takes."""
        super().__init__(f"{path[:200]} does not take {method[:20]}.", hint=f"Use {allowed}.")
        self.allowed = allowed


class BodyTooLarge(InvalidInput):
    """The body of a request is larger than any that is read."""

    code = "body-too-large"

    def __init__(self) -> None:
        """Say how large it may be."""
        super().__init__(
            f"The body is larger than {size_text(LARGEST_BODY_BYTES)}.",
            hint="Send only what the hook needs.",
        )


STATUS: Mapping[type[ImageBuilderError], int] = {
    PathUnknown: 404,
    PipelineNotFound: 404,
    MethodUnfit: 405,
    BodyTooLarge: 413,
    InvalidInput: 422,
    WrongState: 409,
    Refused: 403,
    StepFailed: 500,
    Unavailable: 503,
    Broken: 500,
}
"""Leaves before their families."""


def status_of(error: ImageBuilderError) -> int:
    """Give the number of an error."""
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))
