"""SourceText: a document's text that knows its places, checked before any parser sees it."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from imagebuilder.documents.problems import Problem
from imagebuilder.domain.origin import Origin

SIZE_LIMIT_BYTES = 1024 * 1024

_BYTE_ORDER_MARK = "\ufeff"
_LINE_END = re.compile(r"\r\n|\n|\r")
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)
_ESCAPED_BYTES = range(0xDC80, 0xDD00)
_CHARACTER_PROBLEM_LIMIT = 10


def text_of(content: bytes) -> str:
    """Give a document's text; what is not UTF-8 is kept so that reading it can say where it is."""
    return content.decode("utf-8", "surrogateescape")


class SourceText:
    """The text of a document, with the place of each of its characters."""

    def __init__(self, text: str, document: str) -> None:
        """Keep the text, without the mark some editors put before it."""
        self.document = document
        self.text = text.removeprefix(_BYTE_ORDER_MARK)
        self._line_starts = [0, *(m.end() for m in _LINE_END.finditer(self.text))]

    @property
    def size_bytes(self) -> int:
        """How large the text is as UTF-8."""
        return len(self.text.encode("utf-8", "surrogateescape"))

    def origin(self, index: int) -> Origin:
        """Give the place of a character, counted from 0."""
        line = bisect_right(self._line_starts, index)
        return Origin(
            document=self.document, line=line, column=index - self._line_starts[line - 1] + 1
        )

    def line(self, number: int) -> str:
        """Give a line, counted from 1, without its end; empty behind the last."""
        if number > len(self._line_starts):
            return ""
        start = self._line_starts[number - 1]
        matched = _LINE_END.search(self.text, start)
        return self.text[start : matched.start() if matched else len(self.text)]

    def problem(self, message: str, origin: Origin, hint: str = "") -> Problem:
        """Give a problem that can be shown under its line."""
        return Problem(message=message, origin=origin, hint=hint, line=self.line(origin.line))

    def character_problems(self) -> Iterator[Problem]:
        """Give what makes the text unfit for any parser; the first few of each document."""
        size_bytes = self.size_bytes if len(self.text) <= SIZE_LIMIT_BYTES else len(self.text)
        if size_bytes > SIZE_LIMIT_BYTES:
            yield Problem(
                message=f"The document is larger than {SIZE_LIMIT_BYTES // 1024} KiB.",
                origin=Origin(document=self.document),
                hint="Move data into files of its own.",
            )
            return
        for count, matched in enumerate(_FORBIDDEN.finditer(self.text)):
            if count == _CHARACTER_PROBLEM_LIMIT:
                return
            yield self._character_problem(matched[0], matched.start())

    def _character_problem(self, character: str, index: int) -> Problem:
        code = ord(character)
        if code in _ESCAPED_BYTES:
            message = f"Byte 0x{code - 0xDC00:02X} is not part of UTF-8 text."
            return self.problem(message, self.origin(index), "Save the document as UTF-8.")
        return self.problem(
            f"Character U+{code:04X} may not stand in a document.",
            self.origin(index),
            f'Remove it, or write it as "\\u{code:04x}" between double quotes.'
            if code
            else "Remove it.",
        )
