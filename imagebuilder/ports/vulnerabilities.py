"""VulnerabilityStore: what advisories say of the sets of packages that versions have.

Versions with the same packages share a set; what is found belongs to the set and the release, so
that it is looked for once however many versions there are.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from imagebuilder.domain.advisory import Dates, Matched, MatchedBy
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.package import InstalledPackage


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MatchKey:
    """A set of packages, by its number in this catalogue, in a release."""

    release: str
    package_set: int


class VulnerabilityStore(Protocol):
    """Keeps what was found. Versions that were deleted are as good as not there."""

    def key(self, version_id: VersionId) -> MatchKey | None:
        """Give the packages and the release of a version, None when no bill tells its release."""
        ...

    def keys(self, image: ImageName | None = None) -> Mapping[MatchKey, MatchedBy | None]:
        """Give what versions have, of one image when it is named, and what it was matched with.

        Shape: in the order of keys; None for what was never looked at.
        """
        ...

    def unbilled(self, image: ImageName | None = None) -> Sequence[str]:
        """Give the references of versions without a bill, in the order of their recording."""
        ...

    def unchecked(self) -> int:
        """Give of how many versions nothing is known, not even that nothing was found."""
        ...

    def holders(
        self, keys: Collection[MatchKey], image: ImageName | None = None
    ) -> Mapping[MatchKey, Sequence[str]]:
        """Give the references of versions that have such packages, as they were recorded."""
        ...

    def packages(self, sets: Collection[int]) -> Mapping[int, Sequence[InstalledPackage]]:
        """Give the packages of sets."""
        ...

    def matched(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Matched]:
        """Give what was found; what was never looked at is left out.

        Shape: vulnerabilities by CVE, package and version.
        """
        ...

    def keep(self, found: Mapping[MatchKey, Matched]) -> None:
        """Keep what was found, all at once, in place of what was found before.

        A vulnerability that was there stays first seen when it was.
        """
        ...

    def redate(self, keys: Collection[MatchKey], dates: Dates) -> None:
        """Keep that the advisories that keys were matched with are of another moment."""
        ...

    def knows(self, cve: str) -> bool:
        """Whether a CVE was found in any packages."""
        ...
