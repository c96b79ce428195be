"""A channel's gate as people type it."""

from imagebuilder.domain.channel import ChannelGate, checked_channel_name
from imagebuilder.domain.errors import InvalidInput
from imagebuilder.domain.evidence import Stage
from imagebuilder.domain.units import duration_seconds


def parsed_gate(
    after: str | None, soak: str | None, tests: str | None, *, clear: bool
) -> ChannelGate | None:
    """Give the gate that options write, or None when they write none.

    Raises: GateMalformed; ChannelMalformed.
    """
    if after is None and soak is None and tests is None:
        return None
    if clear:
        raise GateMalformed("A gate cannot be set and cleared at once.")
    if soak is not None and after is None:
        raise GateMalformed("--soak says for how long on a channel, and --after which it is.")
    try:
        return ChannelGate(
            after=None if after is None else checked_channel_name(after),
            soak_seconds=0 if soak is None else duration_seconds(soak),
            stages=tuple(dict.fromkeys(Stage(name.strip()) for name in (tests or "").split(",")))
            if tests is not None
            else (),
        )
    except ValueError as error:
        raise GateMalformed(f"{error}.") from error


class GateMalformed(InvalidInput):
    """What was typed is no gate of a channel."""

    code = "gate-malformed"

    def __init__(self, reason: str) -> None:
        """Say why, and show the form."""
        super().__init__(
            "The options do not make a gate.",
            context=reason,
            hint="Write for example --after candidate --soak 24h --tests offline,booted,machine.",
        )
