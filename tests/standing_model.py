"""A naive model of what versions and channels come to: it lives through every moment in order.

It shares nothing with the package but the words for lifecycles and for kinds of moves.
"""

from dataclasses import dataclass, field

from imagebuilder.domain.channel import MoveKind
from imagebuilder.domain.standing import Lifecycle

GONE = (Lifecycle.DISABLED, Lifecycle.DELETED)


@dataclass
class ModelRevocation:
    """Somebody's word about a version, in force from a second on, until it is ended."""

    version: str
    begins: float
    reaches: bool
    rolls: bool
    ended: float | None = None


@dataclass
class ModelVersion:
    """A version, what it came from, and how far retention went with it."""

    image: str
    number: int
    above: tuple[str, ...]
    lifecycle: Lifecycle = Lifecycle.ACTIVE


@dataclass
class ModelChannel:
    """A channel: what it held, where in that it is, and all that happened to it."""

    held: list[str] = field(default_factory=list)
    place: int | None = None
    log: list[tuple[MoveKind, str | None, str | None]] = field(default_factory=list)

    @property
    def version(self) -> str | None:
        """What it means."""
        return None if self.place in (None, -1) else self.held[self.place or 0]


class Model:
    """What should be so, at the second that `now` says."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.now = 0.0
        self.versions: dict[str, ModelVersion] = {}
        self.revocations: list[ModelRevocation] = []
        self.channels: dict[tuple[str, str], ModelChannel] = {}

    def live_until(self, second: float) -> None:
        """Let time pass, stopping wherever a revocation begins."""
        while self.now < second:
            begins = (r.begins for r in self.revocations if self.now < r.begins < second)
            self.now = min([second, *begins])
            self._fall()

    def state(self, version: str) -> str:
        """Give what is read of a version now."""
        lifecycle = self.versions[version].lifecycle
        if lifecycle is Lifecycle.DELETED:
            return "deleted"
        if self._revoking(version):
            return "revoked"
        coming = [r for r in self._reaching(version) if r.begins > self.now]
        if lifecycle is Lifecycle.ACTIVE and coming:
            return "revocation-scheduled"
        return lifecycle.value

    def is_usable(self, version: str) -> bool:
        """Whether a version may be used now."""
        return self.versions[version].lifecycle not in GONE and not self._revoking(version)

    def latest(self, image: str) -> str | None:
        """Give the highest usable version of an image."""
        usable = [
            (v.number, name)
            for name, v in self.versions.items()
            if v.image == image and self.is_usable(name)
        ]
        return max(usable)[1] if usable else None

    def revoke(self, version: str, after: float, *, reaches: bool, rolls: bool) -> bool:
        """Revoke a version, and say whether that was allowed."""
        open_ones = [r for r in self.revocations if r.version == version and r.ended is None]
        if any(r.begins <= self.now + after for r in open_ones):
            return False
        for each in open_ones:
            each.ended = self.now
        self.revocations.append(ModelRevocation(version, self.now + after, reaches, rolls))
        self._fall()
        return True

    def restore(self, version: str) -> bool:
        """End a version's own revocations, and say whether there were any."""
        open_ones = [r for r in self.revocations if r.version == version and r.ended is None]
        for each in open_ones:
            each.ended = self.now
        return bool(open_ones)

    def retire(self, version: str, lifecycle: Lifecycle) -> None:
        """Let retention go on with a version."""
        order = list(Lifecycle)
        old = self.versions[version].lifecycle
        self.versions[version].lifecycle = max(old, lifecycle, key=order.index)
        self._fall()

    def enter(self, version: str, name: str, kind: MoveKind = MoveKind.SET) -> bool:
        """Put a version on a channel of its image, and say whether it may enter."""
        if not self.is_usable(version):
            return False
        channel = self.channels.setdefault((self.versions[version].image, name), ModelChannel())
        if channel.version != version:
            channel.log.append((kind, channel.version, version))
            channel.held.append(version)
            channel.place = len(channel.held) - 1
        return True

    def promote(self, image: str, source: str, target: str) -> bool:
        """Let a channel mean what another does, and say whether that was allowed."""
        found = self.channels.get((image, source))
        if found is None or not found.log or found.version is None:
            return False
        return self.enter(found.version, target, MoveKind.PROMOTED)

    def rollback(self, image: str, name: str) -> bool:
        """Let a channel mean what it held before, and say whether there was such."""
        channel = self.channels.get((image, name), ModelChannel())
        old = channel.version
        below = channel.held if old is None else channel.held[: channel.place]
        usable = [version for version in below if version != old and self.is_usable(version)]
        if not usable:
            return False
        channel.log.append((MoveKind.ROLLED_BACK, old, usable[-1]))
        while channel.held[-1] != usable[-1]:
            channel.held.pop()
        channel.place = len(channel.held) - 1
        return True

    def unset(self, image: str, name: str) -> bool:
        """Let a channel mean nothing, and say whether there was one."""
        channel = self.channels.get((image, name), ModelChannel())
        if not channel.log:
            return False
        if channel.place is not None:
            channel.log.append((MoveKind.UNSET, channel.version, None))
            channel.place = None
        return True

    def _fall(self) -> None:
        for channel in self.channels.values():
            old = channel.version
            if old is None or channel.place is None or not self._must_leave(old):
                continue
            place = channel.place - 1
            while place >= 0 and not self.is_usable(channel.held[place]):
                place -= 1
            channel.place = place
            channel.log.append((MoveKind.FELL_BACK, old, channel.version))

    def _must_leave(self, version: str) -> bool:
        is_gone = self.versions[version].lifecycle in GONE
        return is_gone or any(r.rolls for r in self._revoking(version))

    def _revoking(self, version: str) -> list[ModelRevocation]:
        return [r for r in self._reaching(version) if r.begins <= self.now]

    def _reaching(self, version: str) -> list[ModelRevocation]:
        found = [r for r in self.revocations if r.ended is None and r.version == version]
        for ancestor in self._ancestors(version):
            found += [
                r
                for r in self.revocations
                if r.ended is None and r.version == ancestor and r.reaches
            ]
        return found

    def _ancestors(self, version: str) -> set[str]:
        above = set(self.versions[version].above)
        return above.union(*(self._ancestors(each) for each in above))
