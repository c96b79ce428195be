"""A StandingStore in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from imagebuilder.domain.audit import Act
from imagebuilder.domain.ids import VersionId
from imagebuilder.domain.image import VersionNotFound
from imagebuilder.domain.standing import (
    Ban,
    Lifecycle,
    Revocation,
    Standing,
    bans_of,
    lifecycle_at,
    standing_of,
)
from imagebuilder.ports.catalogue import VersionStore


class FakeStandingStore:
    """Keeps revocations in a list, and when versions came to their lifecycles in dictionaries."""

    def __init__(self, versions: VersionStore) -> None:
        """Keep what is said of recorded versions."""
        self._versions = versions
        self.kept: list[Revocation] = []
        self.since: dict[VersionId, dict[Lifecycle, datetime]] = {}

    def standings(self, ids: Collection[VersionId], at: datetime) -> Mapping[VersionId, Standing]:
        """Give how versions stand at a moment; an id that is not recorded is left out."""
        lines = {version_id: self._line(version_id) for version_id in ids}
        return {
            version_id: standing_of(
                line, self._by_version(), lifecycle_at(self.since.get(version_id, {}), at), at
            )
            for version_id, line in lines.items()
            if line
        }

    def bans(self, version_id: VersionId) -> Sequence[Ban]:
        """Give when a version is not usable."""
        line = self._line(version_id)
        return bans_of(line, self._by_version(), self.since.get(version_id, {}))

    def revocations(self, version_id: VersionId) -> Sequence[Revocation]:
        """Give the revocations of a version itself, restored ones too, oldest first."""
        own = [each for each in self.kept if each.version_id == version_id]
        return sorted(own, key=lambda each: (each.act.at, each.id))

    def revoke(self, revocation: Revocation) -> None:
        """Keep a revocation."""
        self._versions.get(revocation.version_id)
        self.kept.append(revocation)

    def restore(self, revocation_id: str, act: Act) -> None:
        """Keep that a revocation no longer holds."""
        self.kept = [
            replace(each, restored=act) if each.id == revocation_id else each for each in self.kept
        ]

    def set_lifecycle(self, version_id: VersionId, lifecycle: Lifecycle, at: datetime) -> None:
        """Keep how far retention has gone with a version, and since when."""
        self._versions.get(version_id)
        reached = self.since.setdefault(version_id, {})
        order = [Lifecycle.ACTIVE, *reached]
        if list(Lifecycle).index(lifecycle) > list(Lifecycle).index(order[-1]):
            reached[lifecycle] = at

    def _by_version(self) -> Mapping[VersionId, Sequence[Revocation]]:
        return {each.version_id: self.revocations(each.version_id) for each in self.kept}

    def _line(self, version_id: VersionId) -> Sequence[VersionId]:
        try:
            version = self._versions.get(version_id)
        except VersionNotFound:
            return ()
        line = [version_id]
        for above in (version.parent.version_id, version.copied_from):
            if above is not None:
                line += [each for each in self._line(above) if each not in line]
        return line
