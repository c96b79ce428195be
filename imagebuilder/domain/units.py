"""Sizes and durations as people write them, and back."""

import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
_SIZE_UNITS = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

SIZE_PATTERN = r"^[1-9][0-9]*(B|KiB|MiB|GiB|TiB)$"
DURATION_PATTERN = r"^[1-9][0-9]*(s|m|h|d|w)$"


def size_bytes(text: str) -> int:
    """Give the bytes of a size such as 4GiB.

    Raises: ValueError: text is not a whole number followed by B, KiB, MiB, GiB or TiB.
    """
    matched = re.fullmatch(SIZE_PATTERN, text)
    if matched is None:
        raise ValueError(f"{text!r} is not a size such as 4GiB")
    unit = matched.group(1)
    return int(text.removesuffix(unit)) * _SIZE_UNITS[unit]


def duration_seconds(text: str) -> int:
    """Give the seconds of a duration such as 15m or 7d.

    Raises: ValueError: text is not a whole number followed by s, m, h, d or w.
    """
    matched = re.fullmatch(DURATION_PATTERN, text)
    if matched is None:
        raise ValueError(f"{text!r} is not a duration such as 15m or 7d")
    unit = matched.group(1)
    return int(text.removesuffix(unit)) * _DURATION_UNITS[unit]


def size_text(size_bytes: int) -> str:
    """Write a size for people, in the largest binary unit that keeps it above one."""
    for unit, factor in reversed(_SIZE_UNITS.items()):
        if size_bytes >= factor > 1:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


def duration_text(seconds: float) -> str:
    """Write a duration for people: 0.4 s, 12 s, 3 min 05 s, 1 h 02 min."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds a tenth is worth showing
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def span_text(seconds: float) -> str:
    """Write a length of time in the largest whole unit: 90d, 12h, 0d."""
    for unit in ("d", "h", "m"):
        if seconds % _DURATION_UNITS[unit] == 0:
            return f"{int(seconds // _DURATION_UNITS[unit])}{unit}"
    return f"{int(seconds)}s"
