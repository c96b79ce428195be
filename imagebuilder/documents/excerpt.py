"""A problem shown as people read it: the place, the sentence, the line, a caret under the column.

Documents are foreign text: nothing in them may steer a terminal, and no password is repeated.
"""

import re
import unicodedata

from imagebuilder.domain.origin import Origin

_TAB_COLUMNS = 4
_WIDTH_LIMIT = 100
_BEFORE_CARET = 60
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+(?=@)")
_QUOTED_LIMIT = 60
_ELLIPSIS = "…"


def excerpt(message: str, origin: Origin, line: str, hint: str = "") -> str:
    """Give the text of one problem, ready for a terminal, without a line end after it."""
    shown = [f"{origin}: {message}"]
    if line.strip():
        gutter = str(origin.line)
        text, caret = caret_lines(line, origin.column)
        shown += [f"  {gutter} | {text}", f"  {' ' * len(gutter)} | {caret}"]
    if hint:
        shown.append(f"  {hint}")
    return "\n".join(shown)


def caret_lines(line: str, column: int) -> tuple[str, str]:
    """Give a document's line made safe and short to show, and the line with the caret below it.

    Units: `column` counts characters from 1; what is shown counts terminal cells.
    """
    safe = _without_credentials(line)
    lead = [_cell(c) for c in safe[max(0, column - 1 - _BEFORE_CARET) : column - 1]]
    is_cut = column - 1 > _BEFORE_CARET
    while sum(_width(cell) for cell in lead) > _BEFORE_CARET:
        del lead[0]
        is_cut = True
    shown = [_ELLIPSIS] * is_cut + lead
    rest = [_cell(c) for c in safe[column - 1 : column - 1 + _WIDTH_LIMIT]]
    return _cut("".join(shown + rest)), " " * sum(_width(cell) for cell in shown) + "^"


def quoted(text: str) -> str:
    """Give a document's text between quotes for a message: one short line, safe to show."""
    safe = "".join(_cell(c) for c in _without_credentials(" ".join(text.split())))
    return (
        f"'{safe}'" if len(safe) <= _QUOTED_LIMIT else f"'{safe[: _QUOTED_LIMIT - 1]}{_ELLIPSIS}'"
    )


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub(lambda matched: "*" * len(matched[0]), text)


def _cell(character: str) -> str:
    if character == "\t":
        return " " * _TAB_COLUMNS
    return "�" if unicodedata.category(character).startswith("C") else character


def _width(cell: str) -> int:
    return sum(_character_width(character) for character in cell)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str) -> str:
    width = 0
    for index, character in enumerate(text):
        width += _character_width(character)
        if width > _WIDTH_LIMIT:
            return text[:index] + _ELLIPSIS
    return text.rstrip()
