"""Fields of foreign advisory data, taken only where they are what their format promises.

Others wrote these files: nothing in them is believed before it was looked at, and what is wrong is
told with its place.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_LONGEST_NAME = 200
_LONGEST_TEXT = 400
_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Za-z0-9.:_+]+)+")
_LONGEST_ID = 64
CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
"""Source: CVE Record Format, cveId."""
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~-]*")
_RELEASE = re.compile(r"[a-z][a-z0-9-]{0,40}")


class MalformedEntry(ValueError):
    """An entry is not what its format promises; `where` is its place in the file."""

    def __init__(self, where: str, reason: str) -> None:
        """Name the place and what is wrong there."""
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


def mapping_of(value: object, where: str) -> Mapping[str, Any]:
    """Give a JSON object. Raises: MalformedEntry."""
    if not isinstance(value, dict):
        raise MalformedEntry(where, f"It is {kind_of(value)}, and must be an object.")
    return value


def list_of(value: object, where: str) -> list[Any]:
    """Give a JSON list, empty where there is none. Raises: MalformedEntry."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedEntry(where, f"It is {kind_of(value)}, and must be a list.")
    return value


def text_of(value: object, where: str) -> str:
    """Give text, empty where there is none. Raises: MalformedEntry."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedEntry(where, f"It is {kind_of(value)}, and must be text.")
    return value


def shown_text(value: object, where: str) -> str:
    """Give text for people on one line, shortened. Raises: MalformedEntry."""
    line = " ".join(text_of(value, where)[: 4 * _LONGEST_TEXT].split())
    line = "".join(c for c in line if c.isprintable())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 3]}..."


def id_of(value: object, where: str) -> str:
    """Give the id of a CVE or a notice. Raises: MalformedEntry."""
    text = text_of(value, where)
    if len(text) > _LONGEST_ID or _ID.fullmatch(text) is None:
        raise MalformedEntry(where, f"{short(text)} is no id of a vulnerability.")
    return text


def package_of(value: object, where: str) -> str:
    """Give the name of a source package. Raises: MalformedEntry."""
    text = text_of(value, where)
    if len(text) > _LONGEST_NAME or _PACKAGE.fullmatch(text) is None:
        raise MalformedEntry(where, f"{short(text)} is no name of a source package.")
    return text


def release_of(value: object, where: str) -> str:
    """Give the code name of a release. Raises: MalformedEntry."""
    text = text_of(value, where)
    if _RELEASE.fullmatch(text) is None:
        raise MalformedEntry(where, f"{short(text)} is no code name of a release.")
    return text


def moment_of(value: object, where: str) -> datetime | None:
    """Give the moment that text of ISO 8601 tells, None where there is none.

    Raises: MalformedEntry.
    """
    text = text_of(value, where)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedEntry(where, f"{short(text)} is no moment.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def short(text: str) -> str:
    """Quote text, shortened and with nothing in it that could steer a terminal."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004 - of a line


def kind_of(value: object) -> str:
    """Say what a JSON value is."""
    names: Mapping[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
