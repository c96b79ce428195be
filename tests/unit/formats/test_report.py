"""The report's page: whatever it says is text, and it needs nothing but itself."""

import re
from html.parser import HTMLParser

from imagebuilder.formats.report import Card, Cell, Page, Section, Tone, report_html

HOSTILE = '</td><script>alert(1)</script><img src=//x onerror="x">\'&amp;{{7*7}}'


class _Elements(HTMLParser):
    """Remembers all elements and their attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def a_page(text: str = "x") -> Page:
    """Give a page in which every place holds a text."""
    cell = Cell(text=text, tone=Tone.BAD, is_code=True)
    return Page(
        title=text,
        made=text,
        facts=((text, text),),
        cards=(Card(name=text, text=text, more=text, tone=Tone.GOOD),),
        sections=(
            Section(name=text, notes=(text,), headings=(text,), rows=((cell,), (Cell(text=text),))),
            Section(name="Empty", notes=(text,)),
        ),
    )


def read(page: Page) -> _Elements:
    """Give the elements of a page."""
    elements = _Elements()
    elements.feed(report_html(page).decode())
    return elements


def test_report_when_every_text_is_hostile_then_all_of_it_is_text() -> None:
    plain, hostile = read(a_page()), read(a_page(HOSTILE))

    assert hostile.names == plain.names
    assert {"script", "img", "iframe", "link", "object"}.isdisjoint(hostile.names)
    assert HOSTILE in hostile.texts
    assert not [name for name, _ in hostile.attributes if name.startswith("on")]


def test_report_then_needs_nothing_but_itself() -> None:
    text = report_html(a_page()).decode()
    links = [value for name, value in read(a_page()).attributes if name in ("href", "src")]

    assert all(link is not None and link.startswith("#") for link in links)
    assert "default-src 'none'" in text
    assert re.search(r"url\(|@import|https?:", text) is None


def test_report_when_a_name_is_no_text_then_is_written_all_the_same() -> None:
    assert b"caf?" in report_html(a_page("caf\udce9"))


def test_report_when_made_twice_then_is_the_same() -> None:
    assert report_html(a_page()) == report_html(a_page())
