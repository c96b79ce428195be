"""XML of others as a stream: however it is made, it takes little memory, and no other file."""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import BinaryIO, TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from imagebuilder.domain.units import size_text

Found: TypeAlias = tuple[Sequence[Element], Element]
"""An element that is whole, and those above it, which have their attributes and no more."""

_DEEPEST = 200


class XmlRefused(ValueError):
    """A file is not the XML that was expected; the text says why, in one sentence."""


@contextmanager
def opened(path: PurePath, limit_bytes: int) -> Iterator[BinaryIO]:
    """Open a plain file of no more than a limit. Raises: XmlRefused."""
    try:
        # A pipe would be waited for, were it not opened so.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise XmlRefused(f"It cannot be read: {os.strerror(error.errno or 0)}.") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise XmlRefused("It is no plain file.")
    with os.fdopen(fd, "rb") as file:
        if status.st_size > limit_bytes:
            raise XmlRefused(
                f"It has {size_text(status.st_size)}; more than {size_text(limit_bytes)} is not "
                "read."
            )
        yield file


def elements(file: BinaryIO, root: str, wanted: Collection[str]) -> Iterator[Found]:
    """Give all elements of the wanted names, in the order of their ends; the rest is forgotten.

    Document types, and with them entities, are refused, for no such file needs them.
    Raises: XmlRefused: it has another root, is cut short, is too deep or is no XML.
    """
    above: list[Element] = []
    inside = 0
    try:
        for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                _check(element, above, root)
                above.append(element)
                inside += element.tag in wanted
                continue
            above.pop()
            if element.tag in wanted:
                inside -= 1
                yield above, element
            if not inside and above:
                # It is its parent's last child. What follows it as text goes with it.
                above[-1].remove(element)
    except ParseError as error:
        raise XmlRefused(f"It is cut short, or no XML: {error}.") from error
    except DefusedXmlException as error:
        raise XmlRefused("It declares a document type or entities.") from error
    except (UnicodeError, LookupError) as error:
        raise XmlRefused(f"Its characters cannot be read: {error}.") from error


def _check(element: Element, above: Sequence[Element], root: str) -> None:
    if not above and element.tag != root:
        raise XmlRefused(f"Its root is {_shown(element.tag)}, not {_shown(root)}.")
    if len(above) > _DEEPEST:
        raise XmlRefused(f"Its elements lie deeper than {_DEEPEST} in each other.")


def _shown(tag: str) -> str:
    return repr(tag.rpartition("}")[2][:80])


def text_of(element: Element, longest: int = 300) -> str:
    """Give the words of an element and all that is in it, in one line, without control signs."""
    words = " ".join("".join(element.itertext()).split())
    return "".join(c for c in words if c.isprintable())[:longest]
