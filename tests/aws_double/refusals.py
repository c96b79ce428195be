"""What AWS says when it refuses."""


class Refusal(Exception):
    """A request is refused with a code, as a client of AWS sees it."""

    def __init__(
        self, code: str, message: str, *, status: int | None = None, reason: str | None = None
    ) -> None:
        """Without a status, it is the model's, or 400."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason
