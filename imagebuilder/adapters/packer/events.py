"""What Packer prints when a machine is to read it.

Source: Packer 1.6.6, "Machine-Readable Output": timestamp, target, type, data, parted by commas.
That something is printed as an error says nothing of the build: so are the errors of all scripts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FIELDS_BEFORE_DATA = 3
TELLING = {"error", "artifact"}
"""The kinds of events that say how builds ended."""
_ESCAPES = {"%!(PACKER_COMMA)": ",", "\\n": "\n", "\\r": "\r"}


@dataclass(frozen=True, slots=True)
class Event:
    """A line of it. `target` is the name of a build, empty when it is of none."""

    target: str
    kind: str
    words: tuple[str, ...]

    @property
    def said(self) -> str:
        """What is to be shown to people; nothing when it is not for them."""
        return self.words[-1] if self.kind == "ui" and self.words else ""


def event_of(line: str) -> Event | None:
    """Give the event that a line tells; None when it tells none."""
    fields = line.rstrip("\n").split(",")
    if len(fields) < _FIELDS_BEFORE_DATA or not fields[0].isdigit():
        return None
    _, target, kind, *words = fields
    return Event(target, kind, tuple(map(_unescaped, words)))


def _unescaped(word: str) -> str:
    for written, meant in _ESCAPES.items():
        word = word.replace(written, meant)
    return word


@dataclass(frozen=True, slots=True)
class Made:
    """An artifact as the events tell it; an `id` may name several, parted by commas."""

    build: str
    builder_id: str
    id: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """All that events say of how builds ended. Shape: `errors` maps a build to its message."""

    made: tuple[Made, ...]
    errors: Mapping[str, str]


def told(events: Iterable[Event]) -> Told:
    """Give what events say. Each post-processor lists an artifact again; it is given once."""
    parts: dict[tuple[str, str], dict[str, list[str]]] = {}
    errors: dict[str, str] = {}
    for event in events:
        if event.kind == "error" and event.target and event.words:
            errors[event.target] = event.words[-1]
        elif event.kind == "artifact" and len(event.words) > 1:
            number, name, *values = event.words
            parts.setdefault((event.target, number), {}).setdefault(name, []).extend(values[-1:])
    made = (
        Made(
            build=build,
            builder_id="".join(part.get("builder-id", [])),
            id="".join(part.get("id", [])),
            files=tuple(part.get("file", [])),
        )
        for (build, _), part in parts.items()
    )
    return Told(made=tuple(dict.fromkeys(made)), errors=errors)
