"""SearchStore: versions found by what they hold and by what was said of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionSummary
from imagebuilder.domain.package_query import PackageQuery
from imagebuilder.domain.search import Hits, Match, VersionQuery


class SearchStore(Protocol):
    """Finds versions. Package versions are compared in the order of their package manager."""

    def search(self, query: VersionQuery, limit: int | None = None, offset: int = 0) -> Hits:
        """Give the versions that fit everything that is said, in the order that is asked for.

        Of them, `limit` are given after the first `offset`; all are counted.

        By name: the images by the bytes of their names, of each the last recorded first. Created
        and size: the last, and the largest, first. Equals follow as they were recorded, the last
        first; reversed, all is the other way round.
        """
        ...

    def summaries_of(self, ids: Collection[VersionId]) -> Mapping[VersionId, VersionSummary]:
        """Give what a list shows of versions; an id that is not recorded is left out."""
        ...

    def matches(
        self, ids: Collection[VersionId], packages: Collection[PackageQuery]
    ) -> Mapping[VersionId, Sequence[Match]]:
        """Give the packages of versions that one of some queries means, by name."""
        ...

    def vulnerable(
        self, ids: Collection[VersionId], cves: Collection[str]
    ) -> Mapping[VersionId, Sequence[Match]]:
        """Give the source packages of versions that CVEs were found in, by name.

        Shape: the architecture of a match is `source`.
        """
        ...

    def fixes(self, cve: str) -> Sequence[PackageQuery]:
        """Give what is older than the fix of a CVE, of each package that was fixed.

        A package may have several: each release has its own. What is one of them is not meant.
        """
        ...
