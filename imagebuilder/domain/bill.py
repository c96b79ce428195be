"""Bill of materials: what is in an image, neutral of any standard; `formats` write it as one.

What is only known of a root file system are its contents: they are kept as a document, which
versions with the same contents share. A bill adds what the record of a version knows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.errors import StepFailed, WrongState
from imagebuilder.domain.package import InstalledPackage

UNKNOWN_RELEASE = "unknown"
"""The release of an image that does not say what it is."""

_FORM = 2
"""It is another number when documents are written in another way."""
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(\"([^\"\\]*)\"|'([^']*)'|([^\s\"'\\]*))\s*")
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Which release of which distribution an image says it is. `title` is for people."""

    name: str = UNKNOWN_RELEASE
    title: str = ""

    @property
    def distribution(self) -> str:
        """The distribution alone, empty when nobody knows."""
        return "" if self.name == UNKNOWN_RELEASE else self.name.partition(":")[0]

    @property
    def codename(self) -> str:
        """The release within its distribution, empty when nobody knows."""
        return self.name.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BilledPackage:
    """A package, and the digest of the archive file that it came in where a signed list told it."""

    package: InstalledPackage
    archive: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Software:
    """What is installed and no package of dpkg's: of pip, npm, rpm, or a program by itself.

    `url` is its package URL, and `path` the file in the image that tells of it.
    """

    name: str
    version: str
    url: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the root file system of an image holds.

    `gaps` say what could not be told of it. `software` is empty where nobody was asked for it.
    Invariant: `packages` and `software` are sorted.
    """

    release: Release
    packages: tuple[BilledPackage, ...] = ()
    software: tuple[Software, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def installed(self) -> tuple[InstalledPackage, ...]:
        """The packages alone."""
        return tuple(each.package for each in self.packages)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedBill:
    """What a version's record says of its bill: its release, and where its contents are."""

    release: str
    document: Digest


class PartKind(StrEnum):
    """What an image was made of besides packages."""

    RECIPE = "recipe"
    COMPONENT = "component"
    PARENT = "parent"
    INDEX = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPart:
    """One of the things that an image was made of."""

    kind: PartKind
    name: str
    version: str = ""
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledFile:
    """A file that the image is handed out as."""

    format: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The whole bill of a version. Invariant: `contents` and `parts` are sorted or in build order.

    `identity` is the digest of its disk: builds of the same bits are the same thing.
    """

    image: str
    version: str
    recorded_at: datetime
    identity: Digest
    files: tuple[BilledFile, ...]
    parts: tuple[BillPart, ...]
    contents: Contents

    @property
    def reference(self) -> str:
        """How people name the version."""
        return f"{self.image}@{self.version}"


class PackageListMalformed(StepFailed):
    """What an image says of its packages is nothing that a package manager wrote."""

    code = "package-list-malformed"

    def __init__(self, path: str, reason: str) -> None:
        """Name the file in the image and what is wrong with it."""
        super().__init__(
            f"{path} in the image is no list of packages that could be read.",
            context=reason,
            hint="Find the component that changed it; only a package manager may write there.",
        )


class BillMissing(WrongState):
    """A version was recorded without a bill."""

    code = "bill-missing"

    def __init__(self, reference: str) -> None:
        """Name the version and say why that can be."""
        super().__init__(
            f"{reference} has no bill of materials.",
            context="It was recorded by an imagebuilder that made none.",
            hint="Build it again, and each new version has one; its packages are in: "
            f"imagebuilder image packages {reference}",
        )


class BillUnreadable(WrongState):
    """The document of a bill is none that this imagebuilder knows."""

    code = "bill-unreadable"

    def __init__(self, digest: Digest, reason: str) -> None:
        """Name the document and what is wrong with it."""
        super().__init__(
            f"The bill {digest.short} cannot be read.",
            context=reason,
            hint="Use the imagebuilder that recorded it, or build the image again.",
        )


def release_of(text: str) -> Release:
    """Give the release that an os-release file tells; what is no plain word is not believed.

    Source: os-release(5); VERSION_CODENAME where a distribution has it, else VERSION_ID.
    """
    fields = dict(_assignments(text))
    distribution = fields.get("ID", "")
    if _WORD.fullmatch(distribution) is None:
        return Release()
    title = "".join(c for c in fields.get("PRETTY_NAME", "") if c.isprintable())[:_LONGEST_TITLE]
    for field in ("VERSION_CODENAME", "VERSION_ID"):
        version = fields.get(field, "")
        if _WORD.fullmatch(version) is not None:
            return Release(name=f"{distribution}:{version}", title=title)
    return Release(name=distribution, title=title)


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        found = _ASSIGNMENT.fullmatch(line.strip())
        if found is not None:
            yield found[1], found[3] or found[4] or found[5] or ""


def contents_document(contents: Contents) -> Canonical:
    """Give contents as they are written down."""
    return {
        "form": _FORM,
        "release": contents.release.name,
        "title": contents.release.title,
        "packages": [_row(each) for each in contents.packages],
        "software": [[s.name, s.version, s.url, s.path] for s in contents.software],
        "gaps": list(contents.gaps),
    }


def contents_of(document: Mapping[str, Any]) -> Contents:
    """Give what was written down as that. Raises: ValueError: it is no such document."""
    try:
        if document["form"] != _FORM:
            raise ValueError(f"it is in form {document['form']}, and {_FORM} is the one known here")
        return Contents(
            release=Release(name=document["release"], title=document["title"]),
            packages=tuple(map(_billed, document["packages"])),
            software=tuple(map(_software, document["software"])),
            gaps=tuple(document["gaps"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it does not tell what is in an image: {error!r}") from error


def _software(row: Sequence[str]) -> Software:
    name, version, url, path = row
    return Software(name=name, version=version, url=url, path=path)


def _row(billed: BilledPackage) -> list[Canonical]:
    # There are hundreds of them, and their fields are always these.
    p, archive = billed.package, billed.archive
    known = None if archive is None else str(archive)
    return [p.name, p.version, p.architecture, p.source, p.source_version, known]


def _billed(row: Sequence[Any]) -> BilledPackage:
    name, version, architecture, source, source_version, archive = row
    package = InstalledPackage(
        name=name,
        version=version,
        architecture=architecture,
        source=source,
        source_version=source_version,
    )
    return BilledPackage(
        package=package, archive=None if archive is None else Digest.parse(archive)
    )
