"""Encodings that file actions know: utf8, utf16 and utf32, little-endian unless they say otherwise.

No byte order mark is written, so that what is appended to a file never brings one into its middle;
one that is read is taken off.

Source: AWS Task Orchestrator and Executor, action modules for the file system.
"""

from imagebuilder.services.provisioning.inputs import Item
from imagebuilder.services.provisioning.refusals import ActionRefusedError

_CODECS = {
    "utf8": "utf-8",
    "utf16": "utf-16le",
    "utf16le": "utf-16le",
    "utf16be": "utf-16be",
    "utf32": "utf-32le",
    "utf32le": "utf-32le",
    "utf32be": "utf-32be",
}
_MARK = "\ufeff"


def encoding_of(item: Item) -> str:
    """Give the encoding an item names, as Python and iconv call it. Raises: ActionRefusedError."""
    written = item.optional("encoding") or "utf8"
    codec = _CODECS.get(written.lower().replace("-", ""))
    if codec is None:
        known = ", ".join(_CODECS)
        raise ActionRefusedError(f"The encoding {written} is not known; known are {known}.")
    return codec


def content_of(item: Item) -> bytes:
    """Give the content an item is to write. Raises: ActionRefusedError."""
    content = item.given.get("content")
    try:
        return str("" if content is None else content).encode(encoding_of(item))
    except UnicodeEncodeError as error:
        raise ActionRefusedError(f"The content cannot be written: {error.reason}.") from error


def text_in(content: bytes, encoding: str) -> str | None:
    """Give the text of a file, or None when it is not text."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.removeprefix(_MARK)
