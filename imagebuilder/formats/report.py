"""A report as one HTML page that needs nothing but itself: no script, no other file, no network.

Whatever stands in it is text: names come from images, and images are foreign.
"""

from dataclasses import dataclass
from enum import StrEnum

from jinja2 import Environment, PackageLoader, StrictUndefined


class Tone(StrEnum):
    """How a thing is meant to be taken."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A text in a table; `is_code` for what is to be copied, such as a digest or a command."""

    text: str
    tone: Tone = Tone.PLAIN
    is_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is to be seen first: a word or a number, and what it is of."""

    name: str
    text: str
    more: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page: what is to be said first, then a table; `notes` alone when it is empty.

    Invariant: each row has as many cells as there are headings.
    """

    name: str
    notes: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page says. Shape: `facts` are names with what they are."""

    title: str
    made: str
    facts: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]


def report_html(page: Page) -> bytes:
    """Give the page."""
    environment = Environment(
        loader=PackageLoader("imagebuilder.formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(page=page)
    # A name that is no UTF-8 is shown as one that is none.
    return text.encode(errors="replace")
