"""The list that dpkg keeps of packages, read as what a hostile image may have written there.

Source: deb-control(5); dpkg-query(1), the values of Status; Debian Policy 5.6.1, 5.6.7 and 5.6.12.
"""

import re
from collections.abc import Iterator

from imagebuilder.domain.bill import PackageListMalformed
from imagebuilder.domain.package import InstalledPackage

_MOST_PACKAGES = 100_000
_LONGEST_VALUE = 1000
_FIELD = re.compile(r"[!-,.-9;-~][!-9;-~]*:")
_WANTED = frozenset(("package", "status", "version", "architecture", "source"))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*")
_VERSION = re.compile(r"[A-Za-z0-9.+~:_-]+")
_ARCHITECTURE = re.compile(r"[a-z0-9-]+")
_ABSENT = frozenset(("not-installed", "config-files"))
_BEGUN = "half-installed"
_UNPACKED = frozenset(
    ("unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed")
)
_STATES = _ABSENT | _UNPACKED | {_BEGUN}
_SOURCE = re.compile(r"(\S+)(?: +\(([^()\s]+)\))?")


def installed_in(
    content: bytes, path: str, *, is_always_installed: bool = False
) -> tuple[InstalledPackage, ...]:
    """Give the packages whose files a list tells to be there, in its order.

    That somebody has yet to configure a package does not make its files any less vulnerable.
    `is_always_installed` where a list has no states, as in an image without dpkg.

    Raises: PackageListMalformed: it is no such list, or cut short; the file is called path.
    """
    found: list[InstalledPackage] = []
    for number, fields in _paragraphs(content, path):
        if not is_always_installed and not _is_there(fields, number, path):
            continue
        found.append(_package(fields, number, path))
        if len(found) > _MOST_PACKAGES:
            raise PackageListMalformed(path, f"It has more than {_MOST_PACKAGES:,} packages.")
    if not is_always_installed and content and not content.endswith(b"\n"):
        raise PackageListMalformed(path, "It is cut short: its last line has no end.")
    return tuple(found)


def _paragraphs(content: bytes, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the wanted fields of each paragraph, with the number of its first line."""
    fields: dict[str, str] = {}
    start, is_inside = 1, False
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            if is_inside:
                yield start, fields
            fields, is_inside = {}, False
            continue
        if not is_inside:
            start = number
        if line[:1] in (b" ", b"\t") and is_inside:
            continue
        is_inside = True
        _take(line, fields, f"Line {number}", path)
    if is_inside:
        yield start, fields


def _take(line: bytes, fields: dict[str, str], where: str, path: str) -> None:
    name, colon, value = line.partition(b":")
    # Most lines are none of ours; of those only the field's name has to be one.
    text = name.decode("ascii", errors="replace")
    if not colon or _FIELD.fullmatch(f"{text}:") is None:
        raise PackageListMalformed(path, f"{where} is no field: {line[:60]!r}.")
    if text.lower() not in _WANTED:
        return
    if text.lower() in fields:
        raise PackageListMalformed(path, f"{where} says {text} a second time.")
    said = value.decode(errors="replace").strip()
    if len(said) > _LONGEST_VALUE:
        raise PackageListMalformed(path, f"{where} is longer than {_LONGEST_VALUE:,} characters.")
    fields[text.lower()] = said


def _is_there(fields: dict[str, str], number: int, path: str) -> bool:
    """Whether files of a package are there; one that has no state is not installed."""
    status = fields.get("status", "not-installed")
    state = status.rpartition(" ")[2]
    if state not in _STATES:
        where = f"The package at line {number}"
        raise PackageListMalformed(path, f"{where} has the status {status[:60]!r}.")
    # Of one that broke off while it was unpacked for the first time, dpkg may know no version.
    return state in _UNPACKED or (state == _BEGUN and bool(fields.get("version")))


def _package(fields: dict[str, str], number: int, path: str) -> InstalledPackage:
    where = f"The package at line {number}"
    name = _checked(fields, "package", _NAME, where, path)
    version = _checked(fields, "version", _VERSION, where, path)
    source = _SOURCE.fullmatch(fields.get("source", name))
    if (
        source is None
        or _NAME.fullmatch(source[1]) is None
        or _VERSION.fullmatch(source[2] or version) is None
    ):
        raise PackageListMalformed(path, f"{where} has the source {fields['source'][:60]!r}.")
    return InstalledPackage(
        name=name,
        version=version,
        architecture=_checked(fields, "architecture", _ARCHITECTURE, where, path),
        source=source[1],
        source_version=source[2] or version,
    )


def _checked(
    fields: dict[str, str], field: str, pattern: re.Pattern[str], where: str, path: str
) -> str:
    value = fields.get(field, "")
    if pattern.fullmatch(value) is None:
        what = f"has the {field} {value[:60]!r}" if value else f"has no {field}"
        raise PackageListMalformed(path, f"{where} {what}.")
    return value
