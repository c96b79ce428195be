"""Evidence: what OVAL tests saw in an image, cut to what a person can read.

Source: OVAL 5.11, results and system characteristics schemas.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from imagebuilder.adapters.openscap.xml_stream import text_of

LONGEST_EVIDENCE = 4096
_RESULTS = "{http://oval.mitre.org/XMLSchema/oval-results-5}"
_SYSTEM = "{http://oval.mitre.org/XMLSchema/oval-system-characteristics-5}"
_DEFINITIONS = "{http://oval.mitre.org/XMLSchema/oval-definitions-5}"
_MOST_ITEMS = 5
_DULL = frozenset(("path", "filename", "pattern", "instance", "line", "a_time", "c_time", "m_time"))
"""What an item says of where it was looked for, or what its other fields say too."""
_SECRET_FILES = ("/etc/shadow", "/etc/gshadow")
_SECRET_FIELDS = frozenset(("text", "subexpression", "value", "password"))
"""What would put digests of passwords into records."""
_SAID = ("true", "not evaluated", "not applicable")
"""Of what held, or was not asked, nothing is told."""


@dataclass(frozen=True, slots=True)
class _Test:
    result: str
    items: tuple[str, ...]
    variables: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What was read of OVAL results so far. Shape: each by its id."""

    comments: dict[str, str] = field(default_factory=dict)
    criteria: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tests: dict[str, _Test] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    messages: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def note(self, element: Element) -> None:
        """Keep what an element of OVAL_NAMES says."""
        if element.tag == f"{_RESULTS}definition":
            self.criteria[element.get("definition_id", "")] = tuple(_unmet(element))
        elif element.tag == f"{_RESULTS}test":
            self.tests[element.get("test_id", "")] = _test(element)
        elif element.tag == f"{_DEFINITIONS}tests":
            for test in element:
                self.comments[test.get("id", "")] = test.get("comment", "")
        else:
            for item in element:
                self.items[item.get("id", "")] = _item(item)

    def note_messages(self, definitions: tuple[str, ...], messages: Sequence[str]) -> None:
        """Keep what the engine said of checks."""
        if messages:
            self.messages.setdefault(definitions, []).extend(messages)

    def told(self, definitions: tuple[str, ...]) -> str:
        """Give what speaks against these definitions, a test a line and below it what it saw."""
        lines = list(self.messages.get(definitions, ()))
        for test in dict.fromkeys(self._tests_of(definitions, set())):
            lines += self._lines(test)
        text = "\n".join(dict.fromkeys(lines))
        if len(text) <= LONGEST_EVIDENCE:
            return text
        return f"{text[: LONGEST_EVIDENCE - 2].rpartition(chr(10))[0]}\n…"

    def _tests_of(self, definitions: Sequence[str], done: set[str]) -> Iterator[str]:
        for reference in definitions:
            if reference in self.criteria and reference not in done:
                done.add(reference)
                yield from self._tests_of(self.criteria[reference], done)
            elif reference in self.tests:
                yield reference

    def _lines(self, test: str) -> Iterator[str]:
        known = self.tests[test]
        yield f"{self.comments.get(test) or test}: {known.result}"
        found = [self.items[item] for item in known.items if item in self.items]
        yield from (f"  {each}" for each in found[:_MOST_ITEMS])
        if len(found) > _MOST_ITEMS:
            yield f"  and {len(found) - _MOST_ITEMS} more"
        if not found:
            yield from (f"  {each}" for each in known.variables[:_MOST_ITEMS])


OVAL_NAMES = frozenset(
    (
        f"{_RESULTS}definition",
        f"{_RESULTS}test",
        f"{_DEFINITIONS}tests",
        f"{_SYSTEM}system_data",
    )
)


def _unmet(definition: Element) -> Iterator[str]:
    """Give the tests and definitions that did not hold, or of which nobody knows."""
    for kind, reference in (("criterion", "test_ref"), ("extend_definition", "definition_ref")):
        for each in definition.iter(f"{_RESULTS}{kind}"):
            if each.get("result") not in _SAID:
                yield each.get(reference, "")


def _test(element: Element) -> _Test:
    tested = element.findall(f"{_RESULTS}tested_item")
    variables = element.findall(f"{_RESULTS}tested_variable")
    return _Test(
        result=element.get("result", ""),
        # Those that were as they should be only hide the others.
        items=tuple(i.get("item_id", "") for i in tested if i.get("result") != "true"),
        variables=tuple(
            f"{v.get('variable_id', '').removeprefix('oval:ssg-').partition(':')[0]}={text_of(v)}"
            for v in variables
        ),
    )


def _item(element: Element) -> str:
    fields = [(field.tag.rpartition("}")[2], text_of(field, 200)) for field in element]
    file = dict(fields).get("filepath", "")
    is_secret = file.startswith(_SECRET_FILES) or element.tag.endswith("}shadow_item")
    left_out = _DULL | _SECRET_FIELDS if is_secret else _DULL
    return " ".join(f"{name}={text}" for name, text in fields if text and name not in left_out)
