"""A VulnerabilityStore in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from imagebuilder.domain.advisory import Dates, Matched, MatchedBy
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.ports.vulnerabilities import MatchKey
from tests.fakes.catalogue import FakeVersionStore


class FakeVulnerabilityStore:
    """Keeps what was found of versions that another fake holds."""

    def __init__(self, versions: FakeVersionStore) -> None:
        """Look at the packages of versions."""
        self._versions = versions
        self._sets: list[tuple[InstalledPackage, ...]] = []
        self.found: dict[MatchKey, Matched] = {}

    def key(self, version_id: VersionId) -> MatchKey | None:
        """Give the packages and the release of a version, None when no bill tells its release."""
        found = [v for v in self._versions.versions if v.id == version_id]
        return self._key(found[0]) if found else None

    def keys(self, image: ImageName | None = None) -> Mapping[MatchKey, MatchedBy | None]:
        """Give what versions have, and what it was matched with."""
        keys = sorted({key for _, key in self._billed(image)})
        return {key: self.found[key].by if key in self.found else None for key in keys}

    def unbilled(self, image: ImageName | None = None) -> Sequence[str]:
        """Give the references of versions without a bill."""
        return [v.reference for v in self._live(image) if v.bill is None]

    def unchecked(self) -> int:
        """Give of how many versions nothing is known."""
        sure = {key for key, found in self.found.items() if found.by.dates.said_at}
        return sum(self._key(version) not in sure for version in self._live(None))

    def holders(
        self, keys: Collection[MatchKey], image: ImageName | None = None
    ) -> Mapping[MatchKey, Sequence[str]]:
        """Give the references of versions that have such packages."""
        held: dict[MatchKey, list[str]] = {}
        for version, key in self._billed(image):
            if key in keys:
                held.setdefault(key, []).append(version.reference)
        return held

    def packages(self, sets: Collection[int]) -> Mapping[int, Sequence[InstalledPackage]]:
        """Give the packages of sets."""
        return {number: self._sets[number] for number in sets}

    def matched(self, keys: Collection[MatchKey]) -> Mapping[MatchKey, Matched]:
        """Give what was found; what was never looked at is left out."""
        return {key: self.found[key] for key in keys if key in self.found}

    def keep(self, found: Mapping[MatchKey, Matched]) -> None:
        """Keep what was found in place of what was found before."""
        for key, matched in found.items():
            before = self.found[key].vulnerabilities if key in self.found else ()
            seen = {each.key: each.first_seen_at for each in before}
            aged = (
                replace(each, first_seen_at=seen.get(each.key, matched.at))
                for each in matched.vulnerabilities
            )
            sorted_ = tuple(sorted(aged, key=lambda each: each.key))
            self.found[key] = replace(matched, vulnerabilities=sorted_)

    def redate(self, keys: Collection[MatchKey], dates: Dates) -> None:
        """Keep that the advisories that keys were matched with are of another moment."""
        for key in keys:
            by = replace(self.found[key].by, dates=dates)
            self.found[key] = replace(self.found[key], by=by)

    def knows(self, cve: str) -> bool:
        """Whether a CVE was found in any packages."""
        return any(v.cve == cve for found in self.found.values() for v in found.vulnerabilities)

    def _live(self, image: ImageName | None) -> Sequence[ImageVersion]:
        return [
            version
            for version in self._versions.versions
            if image in (None, version.image) and not self._versions._is_deleted(version)
        ]

    def _billed(self, image: ImageName | None) -> Sequence[tuple[ImageVersion, MatchKey]]:
        keys = [(version, self._key(version)) for version in self._live(image)]
        return [(version, key) for version, key in keys if key is not None]

    def _key(self, version: ImageVersion) -> MatchKey | None:
        if version.bill is None:
            return None
        packages = tuple(sorted(version.packages))
        if packages not in self._sets:
            self._sets.append(packages)
        return MatchKey(release=version.bill.release, package_set=self._sets.index(packages))
