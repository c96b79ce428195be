"""Moments as people type them."""

from typing import TYPE_CHECKING, TypeAlias

from imagebuilder.domain.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

MomentText: TypeAlias = str | None
"""What was typed for a moment, or None when nothing was."""


def parsed_moment(text: MomentText) -> "datetime | None":
    """Give the moment that a day, or a day and a time, writes; in UTC unless a zone is written.

    Raises: MomentMalformed.
    """
    return None if text is None else _moment(text)


def ends_text(moment: "datetime", now: "datetime") -> str:
    """Say in how long a moment comes, in whole days or hours, rounded down."""
    hours = int((moment - now).total_seconds() // 3600)
    count, unit = (hours // 24, "day") if hours >= 24 else (hours, "hour")  # noqa: PLR2004 - of a day
    if hours < 1:
        return "ends within the hour"
    return f"ends in {count} {unit}{'' if count == 1 else 's'}"


def _moment(text: str) -> "datetime":
    from datetime import UTC, datetime  # noqa: PLC0415 - few commands need it

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MomentMalformed(text) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parsed_since(text: MomentText, now: "datetime") -> "datetime | None":
    """Give the moment that a duration such as 12h before now was, or that a moment writes.

    Raises: MomentMalformed.
    """
    from datetime import timedelta  # noqa: PLC0415 - few commands need it

    from imagebuilder.domain.units import duration_seconds  # noqa: PLC0415 - the same

    if text is None:
        return None
    try:
        return now - timedelta(seconds=duration_seconds(text))
    except (ValueError, OverflowError):
        return parsed_moment(text)


def parsed_until(text: str, now: "datetime") -> "datetime":
    """Give the moment that is a duration such as 30d after now, or that a moment writes.

    Raises: MomentMalformed.
    """
    from datetime import timedelta  # noqa: PLC0415 - few commands need it

    from imagebuilder.domain.units import duration_seconds  # noqa: PLC0415 - the same

    try:
        return now + timedelta(seconds=duration_seconds(text))
    except OverflowError as error:
        raise MomentMalformed(text) from error
    except ValueError:
        return _moment(text)


class MomentMalformed(InvalidInput):
    """What was typed is no moment."""

    code = "moment-malformed"

    def __init__(self, text: str) -> None:
        """Quote it and show the forms there are."""
        super().__init__(
            f"{text[:80]!r} is not a moment.",
            context="A moment is a day, or a day and a time; in UTC unless a zone is written.",
            hint="Write 2026-03-01, 2026-03-01T12:30 or 2026-03-01T12:30:00+02:00.",
        )
