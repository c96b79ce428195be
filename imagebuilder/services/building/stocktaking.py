"""Stocktaking: what is in an image that was built, and which archive files it came in."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from imagebuilder.domain.bill import (
    Contents,
    RecordedBill,
    contents_document,
    contents_of,
)
from imagebuilder.domain.digest import Digest, canonical_json
from imagebuilder.domain.errors import ImageBuilderError, Refused, Unavailable
from imagebuilder.domain.package import PackageKey
from imagebuilder.domain.recipe import Repository
from imagebuilder.ports.archives import PackageArchives
from imagebuilder.ports.blobs import BlobStore
from imagebuilder.ports.inspection import ContentsReader, SoftwareReader, SoftwareUnread


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What is in an image, and under which bill that was kept; `complaint` says what is missing."""

    contents: Contents
    bill: RecordedBill
    complaint: str = ""


class Stocktaking:
    """Looks into roots."""

    def __init__(
        self,
        reader: ContentsReader,
        archives: PackageArchives,
        blobs: BlobStore,
        software: SoftwareReader | None = None,
    ) -> None:
        """Read roots with reader; ask archives for digests; keep bills in blobs.

        With software, what is installed besides packages is told too.
        """
        self._reader = reader
        self._software = software
        self._archives = archives
        self._blobs = blobs

    def take(
        self,
        root: PurePath,
        repositories: Sequence[Repository],
        known: Iterable[RecordedBill | None],
    ) -> Stock:
        """Give what is in a root, and keep it as a document.

        An archive forgets what it had: the digests of what did not change come from bills that are
        known already. No build fails because an archive does not tell a digest.

        Raises: PackageListMalformed.
        """
        contents, complaint = self._with_software(self._reader.read(root), root)
        sums: dict[PackageKey, Digest] = {}
        for bill in known:
            sums |= self._recorded(bill)
        missing = {p.key for p in contents.installed} - sums.keys()
        if missing and repositories:
            try:
                sums |= self._archives.sums(repositories, missing)
            except (Unavailable, Refused) as error:
                complaint += f" Digests of {len(missing)} packages are not known: {error.message}"
        packages = (replace(p, archive=sums.get(p.package.key)) for p in contents.packages)
        contents = replace(contents, packages=tuple(packages))
        document = self._blobs.put(canonical_json(contents_document(contents)))
        bill = RecordedBill(release=contents.release.name, document=document)
        return Stock(contents=contents, bill=bill, complaint=complaint.strip())

    def _with_software(self, contents: Contents, root: PurePath) -> tuple[Contents, str]:
        """Give contents with what else is installed; that nobody can tell it is a gap."""
        if self._software is None:
            return contents, ""
        try:
            software = self._software.read(root)
        except SoftwareUnread as error:
            gap = "what is installed besides packages"
            return replace(contents, gaps=(*contents.gaps, gap)), f"{error.message}"
        return replace(contents, software=software), ""

    def _recorded(self, bill: RecordedBill | None) -> dict[PackageKey, Digest]:
        """Give the digests that a bill tells; one that is gone or damaged tells none."""
        if bill is None:
            return {}
        try:
            found = contents_of(json.loads(self._blobs.read(bill.document)))
        except (ImageBuilderError, ValueError):
            return {}
        return {p.package.key: p.archive for p in found.packages if p.archive is not None}
